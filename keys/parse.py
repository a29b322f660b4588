"""What a key file may look like: strict parsing within limits, and no cryptography.

A key file of one lock is a JWE. One of several is an object with one member, "locks": a list of JWEs.

Everything here is checked before anything is decoded, derived or decrypted, so that a hostile file costs no more than
reading it.
"""

import base64
import binascii
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from keys.errors import DamagedKey, UnsupportedKey
from keys.payload import FORMAT_VERSION, MAX_FACES, require_version
from keys.recipients import KINDS, Header, Identity, passphrase
from keys.recipients.base import require_base64, require_members

TYP = "veilkey+jwe"
VERSION = FORMAT_VERSION
ENC = "A256GCM"

MAX_KEY_FILE = 32 * 2**20  # bytes
MAX_LOCKS = MAX_FACES + 1
MAX_RECIPIENTS = 1024  # of all locks together
MAX_PASSPHRASES = 8  # locks with one; nobody can tell which is whose, so each costs a tenth of a second of PBKDF2
MAX_HEADER = 2048  # characters of the protected header; room for every number of a face
MAX_WRAPPED_KEY = 1024  # characters; room for RSA

# An entry has about ten of these characters, a lock beside its entries eight, and base64url none, so counting them
# bounds what the JSON parser can build (and how deep) before it builds it.
_STRUCTURE = b"{[,"
_MAX_STRUCTURE = 32 * MAX_RECIPIENTS

_DAMAGED = "this is not a veilkey key file, or it is damaged; get it again"


@dataclass(frozen=True)
class Jwe:
    """One lock that keeps to the format: its texts in base64url, as they stand in the file."""

    faces: tuple[int, ...] | None
    """The numbers of the faces that it says to hold; None: it says to be whole."""
    protected: str
    iv: str
    ciphertext: str
    tag: str
    entries: tuple[dict[str, Any], ...]
    """One for each recipient: {"header": {...}, "encrypted_key": "..."}."""

    @property
    def headers(self) -> list[Header]:
        """The header of each entry."""
        return [entry["header"] for entry in self.entries]

    def entries_for(self, identity: Identity) -> list[dict[str, Any]]:
        """The entries that are, or may be, for ``identity``."""
        return [entry for entry in self.entries if identity.opens(entry["header"])]


def parse(key_file: bytes) -> tuple[Jwe, ...]:
    """The locks of a key file. Raises DamagedKey or UnsupportedKey for what is none of ours, or exceeds a limit."""
    if len(key_file) > MAX_KEY_FILE:
        raise DamagedKey(f"the file is larger than {MAX_KEY_FILE >> 20} MiB, so it is no key file; check the path")
    if sum(key_file.count(character) for character in _STRUCTURE) > _MAX_STRUCTURE:
        raise DamagedKey(f"the key file has too many parts, {MAX_RECIPIENTS} recipients are allowed; get it again")
    data = _load(key_file)
    locks = [data]
    if "locks" in data:
        require_members(data, {"locks"})
        locks = data["locks"]
    if not isinstance(locks, list) or not 1 <= len(locks) <= MAX_LOCKS:
        raise DamagedKey(f"a key file has 1 to {MAX_LOCKS} locks and this one has not; get it again")
    jwes = tuple(_jwe(lock) for lock in locks)
    if problem := misfit((jwe.faces, jwe.headers) for jwe in jwes):
        raise DamagedKey(f"the key file has {problem}; get it again")
    return jwes


def misfit(locks: Iterable[tuple[tuple[int, ...] | None, list[Header]]]) -> str | None:
    """What keeps locks, each given by its faces and its entries' headers, from being one key file; None: nothing."""
    whole, recipients, passphrases = 0, 0, 0
    taken: set[int] = set()
    for faces, headers in locks:
        own = sum(header["alg"] == passphrase.ALG for header in headers)
        if own > 1:
            return "more than one passphrase for a lock"
        if not taken.isdisjoint(faces or ()):
            return "more than one lock for a face"
        taken.update(faces or ())
        whole += faces is None
        recipients += len(headers)
        passphrases += own
    if whole > 1:
        return "more than one lock for the whole photo"
    if recipients > MAX_RECIPIENTS:
        return f"more than {MAX_RECIPIENTS} recipients"
    if passphrases > MAX_PASSPHRASES:
        return f"more than {MAX_PASSPHRASES} locks with a passphrase"
    return None


def protected_header(faces: tuple[int, ...] | None) -> Header:
    """The protected header of a new lock that holds ``faces``; None: of a whole one."""
    header: Header = {"typ": TYP, "v": VERSION, "enc": ENC}
    return header if faces is None else {**header, "faces": list(faces)}


def _jwe(data: object) -> Jwe:
    if not isinstance(data, dict):
        raise DamagedKey(_DAMAGED)
    header = _protected(data.get("protected"))
    require_members(data, {"protected", "recipients", "iv", "ciphertext", "tag"})
    require_base64(data["iv"], 16, 16)
    require_base64(data["tag"], 22, 22)
    require_base64(data["ciphertext"], 0, MAX_KEY_FILE)
    entries = data["recipients"]
    if not isinstance(entries, list) or not entries:
        raise DamagedKey("a lock of the key file has no recipients; get it again")
    for entry in entries:
        _check_entry(entry)
    faces = tuple(header["faces"]) if "faces" in header else None
    return Jwe(faces, data["protected"], data["iv"], data["ciphertext"], data["tag"], tuple(entries))


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


def _protected(protected: object) -> Header:
    """The protected header; raises when it is not one that we write."""
    require_base64(protected, 1, MAX_HEADER)
    assert isinstance(protected, str)
    try:
        text = base64.urlsafe_b64decode(protected + "=" * (-len(protected) % 4))
    except binascii.Error as error:
        raise DamagedKey(_DAMAGED) from error
    header = _load(text)
    version = header.get("v")
    if header.get("typ") != TYP or type(version) is not int:
        raise DamagedKey(_DAMAGED)
    require_version(version)
    if "zip" in header:
        raise UnsupportedKey("the key file is compressed, which we do not open; have it sealed without zip")
    if header.get("enc") != ENC:
        raise UnsupportedKey(f"the key file is not encrypted with {ENC}, the only one we open; have it sealed with it")
    require_members(header, {"typ", "v", "enc"}, frozenset({"faces"}))
    if "faces" in header:
        _check_faces(header["faces"])
    # joserfc authenticates its own compact rewriting of this header, so it must be the same text.
    if json.dumps(header, separators=(",", ":")).encode() != text:
        raise UnsupportedKey("the key file's protected header is not compact JSON; have it sealed again")
    return header


def _check_faces(faces: object) -> None:
    if (
        not isinstance(faces, list)
        or not 1 <= len(faces) <= MAX_FACES
        or not all(type(number) is int and 1 <= number <= MAX_FACES for number in faces)
        or faces != sorted(set(faces))
    ):
        raise DamagedKey("a lock of the key file does not say properly which faces it holds; get it again")


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
