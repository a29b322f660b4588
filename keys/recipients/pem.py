"""Reading NAME.pub.pem (SubjectPublicKeyInfo) and NAME.pem (PKCS #8)."""

import os

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from keys.errors import BadIdentity, PassphraseNeeded
from keys.files import read_pem
from keys.recipients.base import Identity, Recipient
from keys.recipients.kinds import KINDS


def load_recipient(source: str | os.PathLike[str] | bytes) -> Recipient:
    """The recipient in a public key file. ``source``: its path, or its contents as bytes.

    Raises BadIdentity when it cannot be read, is not a public key or is one of a type that no kind takes.
    """
    name, pem = read_pem(source)
    if b"PRIVATE KEY-----" in pem:
        raise BadIdentity(f"{name} is a private key; give the public one, NAME.pub.pem")
    try:
        public_key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadIdentity(f"{name} is not a public key in PEM form; give NAME.pub.pem as keygen wrote it") from error
    for kind in KINDS:
        if recipient := kind.recipient(public_key):
            return recipient
    raise BadIdentity(f"{name} is not an X25519 public key; make one with keygen")


def load_identity(source: str | os.PathLike[str] | bytes, passphrase: bytes | None = None) -> Identity:
    """The identity in a private key file. ``source``: its path, or its contents as bytes.

    ``passphrase`` is for a file that is encrypted; it is not looked at for one that is not.
    Raises PassphraseNeeded when it is encrypted and none was given; BadIdentity when the passphrase is wrong, or the
    file cannot be read, is not a private key or is one of a type that no kind takes.
    """
    name, pem = read_pem(source)
    if b"PUBLIC KEY-----" in pem:
        raise BadIdentity(f"{name} is a public key; give the private one, NAME.pem")
    encrypted = b"ENCRYPTED PRIVATE KEY-----" in pem
    if encrypted and not passphrase:
        raise PassphraseNeeded(f"{name} is encrypted; give the passphrase that keygen was given")
    try:
        private_key = load_pem_private_key(pem, passphrase if encrypted else None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if encrypted:
            raise BadIdentity(f"the passphrase for {name} is wrong, or the file is damaged; try again") from error
        raise BadIdentity(f"{name} is not a private key in PEM form; give NAME.pem as keygen wrote it") from error
    for kind in KINDS:
        if identity := kind.identity(private_key):
            return identity
    raise BadIdentity(f"{name} is not an X25519 private key; make one with keygen")
