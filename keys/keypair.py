"""Making a key pair: NAME.pem to keep, NAME.pub.pem to give away."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from keys.files import write_new


def generate(name: str | Path, passphrase: bytes | None = None) -> tuple[Path, Path]:
    """Writes a new X25519 pair and returns the paths of NAME.pem (mode 0600) and NAME.pub.pem.

    With a ``passphrase`` the private key is encrypted (PKCS #8). Never overwrites: raises KeyExists when either
    file is there, and OSError when one cannot be written; in both cases no new file stays behind.
    """
    private_key = X25519PrivateKey.generate()
    encryption: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    private_pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    public_pem = private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    private_path, public_path = Path(f"{name}.pem"), Path(f"{name}.pub.pem")
    write_new(private_path, private_pem, 0o600)
    try:
        write_new(public_path, public_pem, 0o644)
    except BaseException:
        private_path.unlink()
        raise
    return private_path, public_path
