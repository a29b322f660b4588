"""Who may undo the protection of a photo: the key file, and whom it is sealed for.

A key file has one lock or several. A lock is a payload (what it takes to undo a photo, or some of its faces) sealed for
one passphrase, any number of X25519 key pairs, or a mix of both. The modules, each imported by name
(``from keys import keyring, payload``):

* ``payload``     what a key says, as an HDF5 file in memory
* ``keyring``     the key file: its locks sealed, opened, and what can be told without opening them
* ``envelope``    one lock
* ``recipients``  a passphrase or a PEM file as a recipient (to seal) or an identity (to open)
* ``keypair``     making NAME.pem and NAME.pub.pem
* ``study``       making and reading NAME.study, by which pseudonyms are drawn; it opens no key file
* ``errors``      everything that can be wrong with a key file, an identity or a study key; all are ``KeyFileError``

    >>> from keys import keypair, keyring, recipients
    >>> private, public = keypair.generate("alice")
    >>> key_file = keyring.seal([keyring.Lock(payload, [recipients.load_recipient(public)])])
    >>> (payload,) = keyring.unseal(key_file, recipients.load_identity(private))

Which to choose. A key pair where the reader has a computer of their own: nothing secret is sent and nothing can be
guessed. A passphrase where a person must carry it: the key file can then be guessed at offline by whoever has it,
210,000 rounds of PBKDF2 a guess, so it takes a passphrase that was drawn (five random words), not thought up.

What a key file hides and what it does not. Without an identity it shows its locks: which numbers of faces each holds,
how many recipients it has, which public keys they hold, and its size; not the photo. Who opens one lock learns no more
of the others. It does not say who issued it, nor that no lock was taken out: anyone can seal a key for a public key.

What stays compatible. A lock is a JSON Web Encryption in General JSON form (RFC 7516), A256GCM, with
ECDH-ES+A256KW or PBES2-HS512+A256KW per recipient, so other languages open it with their own libraries; a key file of
one lock is that, and one of several a JSON object whose "locks" is a list of them. PEM files are PKCS #8 and
SubjectPublicKeyInfo. A change that an older version cannot read raises the format's number, and the older version then
answers ``UnsupportedKey``. Format 2 is the first that later versions keep reading.
"""

__all__ = ["envelope", "errors", "keypair", "keyring", "payload", "recipients", "study"]
