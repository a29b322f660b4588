"""X25519 key pairs: ECDH-ES+A256KW (RFC 7518 section 4.6, RFC 8037).

An entry names its reader by the RFC 7638 thumbprint of the public key ("kid"). Other tools may leave it out; such
entries are tried.
"""

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from joserfc.jwk import Key, OKPKey

from keys.errors import BadIdentity
from keys.recipients.base import Header, Kind, require_base64, require_members

ALG = "ECDH-ES+A256KW"


class X25519Recipient:
    """Seals for the holder of a private key. Raises BadIdentity for a public key that has no private key."""

    def __init__(self, public_key: X25519PublicKey) -> None:
        try:
            X25519PrivateKey.generate().exchange(public_key)
        except ValueError as error:  # a point of small order, with which every secret comes out as zero
            raise BadIdentity("this X25519 public key is not a real one; ask its owner for it again") from error
        self.key: Key = OKPKey.import_key(public_key)
        self.header: Header = {"alg": ALG, "kid": self.key.thumbprint()}


class X25519Identity:
    """Opens what was sealed for its public key."""

    def __init__(self, private_key: X25519PrivateKey) -> None:
        self.key: Key = OKPKey.import_key(private_key)
        self._kid = self.key.thumbprint()
        self.name = f"the X25519 key {self._kid}"

    def opens(self, header: Header) -> bool:
        return _claims(header) and header.get("kid", self._kid) == self._kid


def _claims(header: Header) -> bool:
    epk = header.get("epk")
    return header["alg"] == ALG and isinstance(epk, dict) and (epk.get("kty"), epk.get("crv")) == ("OKP", "X25519")


def _check(header: Header) -> None:
    require_members(header, {"alg", "epk"}, frozenset({"kid"}))
    require_members(header["epk"], {"kty", "crv", "x"})
    require_base64(header["epk"]["x"], 43, 43)
    require_base64(header.get("kid", "A" * 43), 43, 43)


def _recipient(public_key: object) -> X25519Recipient | None:
    return X25519Recipient(public_key) if isinstance(public_key, X25519PublicKey) else None


def _identity(private_key: object) -> X25519Identity | None:
    return X25519Identity(private_key) if isinstance(private_key, X25519PrivateKey) else None


KIND = Kind(ALG, _claims, _check, _recipient, _identity)
