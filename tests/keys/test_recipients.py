from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x448
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from jwcrypto.jwk import JWK

from keys import envelope
from keys.errors import BadIdentity, PassphraseNeeded
from keys.recipients import PassphraseIdentity, PassphraseRecipient, X25519Recipient, load_identity, load_recipient


def public_pem(private_key: object) -> bytes:
    return private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(private_key: object, passphrase: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def test_pem_files_open_what_they_seal(sealed: SimpleNamespace, tmp_path: Path, unseal: Callable[..., bytes]) -> None:
    key = sealed.private_key
    for name, pem in {
        "a.pem": private_pem(key),
        "b.pem": private_pem(key, b"secret"),
        "a.pub.pem": public_pem(key),
    }.items():
        (tmp_path / name).write_bytes(pem)
    for recipient in (load_recipient(tmp_path / "a.pub.pem"), load_recipient(public_pem(key))):
        key_file = envelope.seal(b"x", [recipient])
        assert unseal(key_file, load_identity(str(tmp_path / "a.pem"))) == b"x"
        assert unseal(key_file, load_identity(tmp_path / "b.pem", b"secret")) == b"x"
        assert unseal(key_file, load_identity(private_pem(key), b"not needed")) == b"x"


def test_the_kid_is_the_rfc_7638_thumbprint() -> None:
    # The public key of RFC 7748 section 6.1; jwcrypto says what its thumbprint is.
    raw = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")
    recipient = X25519Recipient(X25519PublicKey.from_public_bytes(raw))
    assert recipient.header["kid"] == JWK.from_pyca(X25519PublicKey.from_public_bytes(raw)).thumbprint()


X25519 = X25519PrivateKey.generate()
OTHERS = {
    "RSA": rsa.generate_private_key(65537, 2048),
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    "X448": x448.X448PrivateKey.generate(),
}
SMALL_ORDER = X25519PublicKey.from_public_bytes(bytes(32)).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
BROKEN = {
    "empty": b"",
    "text": b"hello",
    "cut short": private_pem(X25519)[:60],
    "too large": private_pem(X25519) + b"\n" * 65536,
    "certificate": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
}
BAD_RECIPIENTS = {
    **BROKEN,
    **{name: public_pem(key) for name, key in OTHERS.items()},
    "private": private_pem(X25519),
    "private, encrypted": private_pem(X25519, b"x"),
    "small order": SMALL_ORDER,
}
BAD_IDENTITIES = {
    **BROKEN,
    **{name: private_pem(key) for name, key in OTHERS.items()},
    "public": public_pem(X25519),
}


@pytest.mark.parametrize("name", BAD_RECIPIENTS)
def test_bad_recipients(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(BAD_RECIPIENTS[name])
    for source in (BAD_RECIPIENTS[name], tmp_path / "file"):
        with pytest.raises(BadIdentity) as caught:
            load_recipient(source)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BAD_IDENTITIES)
@pytest.mark.parametrize("passphrase", [None, b"x"], ids=["bare", "with passphrase"])
def test_bad_identities(name: str, passphrase: bytes | None) -> None:
    with pytest.raises(BadIdentity) as caught:
        load_identity(BAD_IDENTITIES[name], passphrase)
    assert not isinstance(caught.value, PassphraseNeeded)


def test_encrypted_identities() -> None:
    pem = private_pem(X25519, b"secret")
    for missing in (None, b""):
        with pytest.raises(PassphraseNeeded):
            load_identity(pem, missing)
    with pytest.raises(BadIdentity, match="passphrase for the PEM data is wrong"):
        load_identity(pem, b"wrong")
    with pytest.raises(BadIdentity):
        load_identity(pem[:100] + b"\n-----END ENCRYPTED PRIVATE KEY-----\n", b"secret")


@pytest.mark.parametrize("load", [load_recipient, load_identity])
def test_a_path_that_cannot_be_read(load: object, tmp_path: Path) -> None:
    for path in (tmp_path / "none.pem", tmp_path):
        with pytest.raises(BadIdentity, match="cannot be read"):
            load(path)


@pytest.mark.parametrize("kind", [PassphraseRecipient, PassphraseIdentity])
def test_an_empty_passphrase_is_refused(kind: type) -> None:
    with pytest.raises(BadIdentity, match="empty"):
        kind(b"")


@pytest.mark.parametrize(
    "passphrase", [b"x", "pässwörd".encode(), b"\xff\x00", public_pem(X25519), b"a" * 5000], ids=len
)
@pytest.mark.filterwarnings("error")
def test_any_bytes_are_a_passphrase(passphrase: bytes, unseal: Callable[..., bytes]) -> None:
    key_file = envelope.seal(b"x", [PassphraseRecipient(passphrase)])
    assert unseal(key_file, PassphraseIdentity(passphrase)) == b"x"
