"""What a key file may look like: strict parsing within limits, and no cryptography.

Everything here is checked before anything is decoded, derived or decrypted, so that a hostile file costs no more than
reading it.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from keys.errors import DamagedKey, UnsupportedKey
from keys.recipients import KINDS, Header, passphrase
from keys.recipients.base import require_base64, require_members

TYP = "veilkey+jwe"
VERSION = 1
ENC = "A256GCM"

MAX_KEY_FILE = 32 * 2**20  # bytes
MAX_RECIPIENTS = 1024
MAX_PASSPHRASES = 1  # each costs a tenth of a second of PBKDF2
MAX_HEADER = 1024  # characters of the protected header
MAX_WRAPPED_KEY = 1024  # characters; room for RSA

# An entry has about ten of these characters and base64url none, so counting them bounds what the JSON parser can
# build (and how deep) before it builds it.
_STRUCTURE = b"{[,"
_MAX_STRUCTURE = 32 * MAX_RECIPIENTS

_DAMAGED = "this is not a veilkey key file, or it is damaged; get it again"


@dataclass(frozen=True)
class KeyFile:
    """A key file that keeps to the format: its texts in base64url, as they stand in the file."""

    version: int
    protected: str
    iv: str
    ciphertext: str
    tag: str
    entries: tuple[dict[str, Any], ...]
    """One for each recipient: {"header": {...}, "encrypted_key": "..."}."""


def parse(key_file: bytes) -> KeyFile:
    """Raises DamagedKey or UnsupportedKey for what is not a key file of ours, or exceeds a limit."""
    if len(key_file) > MAX_KEY_FILE:
        raise DamagedKey(f"the file is larger than {MAX_KEY_FILE >> 20} MiB, so it is no key file; check the path")
    if sum(key_file.count(character) for character in _STRUCTURE) > _MAX_STRUCTURE:
        raise DamagedKey(f"the key file has too many parts, {MAX_RECIPIENTS} recipients are allowed; get it again")
    data = _load(key_file)
    version = _version(data.get("protected"))
    require_members(data, {"protected", "recipients", "iv", "ciphertext", "tag"})
    require_base64(data["iv"], 16, 16)
    require_base64(data["tag"], 22, 22)
    require_base64(data["ciphertext"], 0, MAX_KEY_FILE)
    entries = data["recipients"]
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_RECIPIENTS:
        raise DamagedKey(f"a key file has 1 to {MAX_RECIPIENTS} recipients and this one has not; get it again")
    for entry in entries:
        _check_entry(entry)
    if sum(entry["header"]["alg"] == passphrase.ALG for entry in entries) > MAX_PASSPHRASES:
        raise DamagedKey("the key file has more than one passphrase, and a key file has at most one; get it again")
    return KeyFile(version, data["protected"], data["iv"], data["ciphertext"], data["tag"], tuple(entries))


def protected_header() -> Header:
    """The protected header of a new key file."""
    return {"typ": TYP, "v": VERSION, "enc": ENC}


def _load(text: bytes) -> dict[str, Any]:
    """A JSON object in which no member comes twice: two readers could each believe another one."""
    try:
        data = json.loads(text.decode(), object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise DamagedKey(_DAMAGED) from error
    if not isinstance(data, dict):
        raise DamagedKey(_DAMAGED)
    return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member comes twice")
    return members


def _version(protected: object) -> int:
    """The format version; raises when the protected header is not one that we write."""
    require_base64(protected, 1, MAX_HEADER)
    assert isinstance(protected, str)
    try:
        text = base64.urlsafe_b64decode(protected + "=" * (-len(protected) % 4))
    except binascii.Error as error:
        raise DamagedKey(_DAMAGED) from error
    header = _load(text)
    version = header.get("v")
    if header.get("typ") != TYP or type(version) is not int or version < 1:
        raise DamagedKey(_DAMAGED)
    if version > VERSION:
        raise UnsupportedKey(f"the key file is of format {version}, this program knows {VERSION}: update it")
    if "zip" in header:
        raise UnsupportedKey("the key file is compressed, which we do not open; have it sealed without zip")
    if header.get("enc") != ENC:
        raise UnsupportedKey(f"the key file is not encrypted with {ENC}, the only one we open; have it sealed with it")
    require_members(header, {"typ", "v", "enc"})
    # joserfc authenticates its own compact rewriting of this header, so it must be the same text.
    if json.dumps(header, separators=(",", ":")).encode() != text:
        raise UnsupportedKey("the key file's protected header is not compact JSON; have it sealed again")
    return version


def _check_entry(entry: object) -> None:
    if not isinstance(entry, dict):
        raise DamagedKey(_DAMAGED)
    require_members(entry, {"header", "encrypted_key"})
    require_base64(entry["encrypted_key"], 1, MAX_WRAPPED_KEY)
    header = entry["header"]
    if not isinstance(header, dict) or not isinstance(header.get("alg"), str):
        raise DamagedKey(_DAMAGED)
    for kind in KINDS:
        if kind.claims(header):
            return kind.check(header)
    raise UnsupportedKey("the key file has a recipient of a kind that this program does not know: update it")
