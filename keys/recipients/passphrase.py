"""A passphrase: PBES2-HS512+A256KW (RFC 7518 section 4.8). A key file has at most one such entry."""

from joserfc.jwk import Key, OctKey

from keys.errors import BadIdentity, DamagedKey, UnsupportedKey
from keys.recipients.base import Header, Kind, require_base64, require_members

ALG = "PBES2-HS512+A256KW"

COUNT = 210_000
"""Rounds of PBKDF2 for new key files: OWASP's figure for HMAC-SHA-512."""
MIN_COUNT, MAX_COUNT = 100_000, 300_000
"""Rounds that are accepted: fewer would be a file made to be guessed, more is joserfc's own ceiling (0.1 s)."""


class _Passphrase:
    name = "the passphrase"

    def __init__(self, passphrase: bytes) -> None:
        if not passphrase:
            raise BadIdentity("the passphrase is empty; give one")
        # Not OctKey.import_key, which would warn about short ones and look for a PEM file in it.
        self.key: Key = OctKey(passphrase, passphrase)


class PassphraseRecipient(_Passphrase):
    """Seals for whoever knows the passphrase (UTF-8, taken as it is). Raises BadIdentity for an empty one."""

    def __init__(self, passphrase: bytes) -> None:
        super().__init__(passphrase)
        self.header: Header = {"alg": ALG, "p2c": COUNT}  # joserfc adds "p2s", 16 random bytes


class PassphraseIdentity(_Passphrase):
    """Opens what was sealed with the passphrase. Raises BadIdentity for an empty one."""

    def opens(self, header: Header) -> bool:
        return _claims(header)


def _claims(header: Header) -> bool:
    return header["alg"] == ALG


def _check(header: Header) -> None:
    require_members(header, {"alg", "p2s", "p2c"})
    require_base64(header["p2s"], 22, 86)  # 16 to 64 bytes
    count = header["p2c"]
    if type(count) is not int:
        raise DamagedKey("the key file has a malformed count of rounds; get it again")
    if not MIN_COUNT <= count <= MAX_COUNT:
        raise UnsupportedKey(
            f"the key file asks for {count} rounds of PBKDF2, not {MIN_COUNT} to {MAX_COUNT}; have it sealed again"
        )


KIND = Kind(ALG, _claims, _check)
