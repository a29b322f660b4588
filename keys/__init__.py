"""Who may undo the protection of a photo: the key file, and whom it is sealed for.

A key file is a payload (what it takes to undo one photo) sealed for one passphrase, any number of X25519 key
pairs, or a mix of both. The modules, each imported by name (``from keys import envelope, payload``):

* ``payload``     what a key says, as an HDF5 file in memory
* ``envelope``    sealing it, opening it, and what can be told without opening it
* ``recipients``  a passphrase or a PEM file as a recipient (to seal) or an identity (to open)
* ``keypair``     making NAME.pem and NAME.pub.pem
* ``errors``      everything that can be wrong with a key file or an identity; all are ``KeyFileError``

    >>> from keys import envelope, keypair, recipients
    >>> private, public = keypair.generate("alice")
    >>> key_file = envelope.seal(b"...", [recipients.load_recipient(public)])
    >>> envelope.unseal(key_file, recipients.load_identity(private))
    b'...'

Which to choose. A key pair where the reader has a computer of their own: nothing secret is sent and nothing can be
guessed. A passphrase where a person must carry it: the key file can then be guessed at offline by whoever has it,
210,000 rounds of PBKDF2 a guess, so it takes a passphrase that was drawn (five random words), not thought up.

What a key file hides and what it does not. Without an identity it shows how many recipients there are, which public
keys they hold, and its size; not the photo. It does not say who issued it: anyone can seal a key for a public key.

What stays compatible. A key file is a JSON Web Encryption in General JSON form (RFC 7516), A256GCM, with
ECDH-ES+A256KW or PBES2-HS512+A256KW per recipient, so other languages open it with their own libraries; PEM files are
PKCS #8 and SubjectPublicKeyInfo. Files of format 1 stay readable by every later version. A change that an older
version cannot read raises the number, and the older version then answers ``UnsupportedKey``.
"""

__all__ = ["envelope", "errors", "keypair", "payload", "recipients"]
