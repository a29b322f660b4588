"""Sealing a payload for its recipients, opening it, and telling what can be told without opening it.

A key file is a JSON Web Encryption in General JSON form (RFC 7516): the payload is encrypted once with A256GCM under a
random key, and each recipient has an entry with that key wrapped for them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from cryptography.exceptions import InvalidTag
from joserfc.errors import DecodeError, JoseError
from joserfc.jwe import GeneralJSONEncryption, GeneralJSONSerialization, JWERegistry, decrypt_json, encrypt_json
from joserfc.registry import HeaderParameter

from keys import parse
from keys.errors import DamagedKey, WrongIdentity
from keys.recipients import KINDS, Identity, Recipient, passphrase

MAX_KEY_FILE = parse.MAX_KEY_FILE
"""Bytes; whoever reads a key file need not read more than one byte beyond it."""


class _Registry(JWERegistry):
    max_ciphertext_length = parse.MAX_KEY_FILE


_REGISTRY = _Registry(
    header_registry={"v": HeaderParameter("Format version", "int", True)},
    algorithms=[parse.ENC, *(kind.alg for kind in KINDS)],
    max_recipients=parse.MAX_RECIPIENTS,
    verify_all_recipients=False,  # one entry that the identity opens is enough
)


@dataclass(frozen=True)
class Entry:
    """One recipient as the key file shows it."""

    alg: str
    kid: str | None
    """RFC 7638 thumbprint of the recipient's public key; None for a passphrase, or where it was left out."""
    p2c: int | None
    """Rounds of PBKDF2 for a passphrase."""


@dataclass(frozen=True)
class Description:
    """What a key file tells without being opened. None of it is authenticated."""

    version: int
    enc: str
    recipients: tuple[Entry, ...]
    file_bytes: int
    payload_bytes: int


def seal(payload: bytes, recipients: Sequence[Recipient]) -> bytes:
    """``payload`` (at most about 24 MB) as a key file that each of the recipients can open.

    Raises ValueError for no recipients, more than 1024, more than one passphrase, or a payload too large.
    """
    algs = [recipient.header["alg"] for recipient in recipients]
    if not 1 <= len(algs) <= parse.MAX_RECIPIENTS:
        raise ValueError(f"`recipients` must be 1 to {parse.MAX_RECIPIENTS}. Received: {len(algs)}")
    if algs.count(passphrase.ALG) > parse.MAX_PASSPHRASES:
        raise ValueError(f"`recipients` must hold at most {parse.MAX_PASSPHRASES} passphrase. Received: more")
    jwe = GeneralJSONEncryption(parse.protected_header(), payload)
    for recipient in recipients:
        jwe.add_recipient(dict(recipient.header), recipient.key)  # a copy: joserfc adds to it
    key_file = json.dumps(encrypt_json(jwe, None, registry=_REGISTRY), separators=(",", ":")).encode()
    if len(key_file) > MAX_KEY_FILE:
        raise ValueError(f"`payload` must fit into a key file of {MAX_KEY_FILE} bytes. Received: {len(payload)} bytes")
    return key_file


def unseal(key_file: bytes, identity: Identity) -> bytes:
    """The payload of ``key_file``, authenticated.

    Raises DamagedKey or UnsupportedKey where the file is not one of ours, not whole or beyond a limit; WrongIdentity
    where it is not for ``identity``. Bits that were changed in an entry look like a wrong identity.
    """
    file = parse.parse(key_file)
    entries = [entry for entry in file.entries if identity.opens(entry["header"])]
    if not entries:
        raise WrongIdentity(f"the key file is not sealed for {identity.name}; open it with what it was issued to")
    # Only entries that this one key may open, and all at once, so that the ciphertext is decoded once.
    data = {
        "protected": file.protected,
        "iv": file.iv,
        "ciphertext": file.ciphertext,
        "tag": file.tag,
        "recipients": entries,
    }
    try:
        jwe = decrypt_json(cast(GeneralJSONSerialization, data), identity.key, registry=_REGISTRY)
    except (JoseError, ValueError) as error:
        if isinstance(error, DecodeError) and not isinstance(error.__cause__, InvalidTag):
            raise WrongIdentity(f"{identity.name} does not open the key file; check it and try again") from error
        raise DamagedKey("the key file is damaged or was altered; get it again") from error
    assert jwe.plaintext is not None
    return jwe.plaintext


def describe(key_file: bytes) -> Description:
    """What can be told about ``key_file`` by anyone. Raises DamagedKey or UnsupportedKey as ``unseal`` does."""
    file = parse.parse(key_file)
    headers = [entry["header"] for entry in file.entries]
    return Description(
        version=file.version,
        enc=parse.ENC,
        recipients=tuple(Entry(header["alg"], header.get("kid"), header.get("p2c")) for header in headers),
        file_bytes=len(key_file),
        payload_bytes=len(file.ciphertext) * 3 // 4,
    )
