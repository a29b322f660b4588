"""The key file of a photo: one lock, or several, each with its own payload, content key and recipients.

A lock that is whole leads back to the original; any other holds some of the photo's faces, and says in its protected
header which. A key file of one lock is a JWE (see ``envelope``); of several, ``{"locks": [JWE, JWE, ...]}``.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from keys import envelope, parse
from keys.errors import DamagedKey, WrongIdentity
from keys.payload import Payload, from_bytes, room, to_bytes
from keys.recipients import Identity, Recipient


@dataclass(frozen=True)
class Lock:
    """A payload, and whom it is to be sealed for."""

    payload: Payload
    recipients: Sequence[Recipient]


@dataclass(frozen=True)
class Entry:
    """One recipient as the key file shows it."""

    alg: str
    kid: str | None
    """RFC 7638 thumbprint of the recipient's public key; None for a passphrase, or where it was left out."""
    p2c: int | None
    """Rounds of PBKDF2 for a passphrase."""


@dataclass(frozen=True)
class LockDescription:
    """One lock as the key file shows it."""

    faces: tuple[int, ...] | None
    """The numbers of the faces that it holds, ascending; None for one that leads back to the original."""
    recipients: tuple[Entry, ...]
    payload_bytes: int


@dataclass(frozen=True)
class Description:
    """What a key file tells without being opened. None of it is authenticated."""

    version: int
    enc: str
    file_bytes: int
    locks: tuple[LockDescription, ...]


def seal(locks: Sequence[Lock]) -> bytes:
    """The key file of one photo. Who opens a lock learns its payload, and of the others what ``describe`` tells.

    Raises ValueError for no locks or more than 257, a lock without recipients or with two passphrases, more than 1024
    recipients or 8 passphrases in all, two whole locks, two locks for one face, payloads of different photos, or a file
    of more than 32 MiB.
    """
    if not 1 <= len(locks) <= parse.MAX_LOCKS:
        raise ValueError(f"`locks` must be 1 to {parse.MAX_LOCKS}. Received: {len(locks)}")
    headers = [[recipient.header for recipient in lock.recipients] for lock in locks]
    payloads = [lock.payload for lock in locks]
    if problem := parse.misfit(zip(map(_faces, payloads), headers, strict=True)):
        raise ValueError(f"a key file cannot have {problem}")
    if problem := _misfit(payloads):
        raise ValueError(f"a key file cannot have {problem}")
    jwes = [envelope.seal(to_bytes(lock.payload), lock.recipients, _faces(lock.payload)) for lock in locks]
    key_file = jwes[0] if len(jwes) == 1 else b'{"locks":[' + b",".join(jwes) + b"]}"
    if len(key_file) > envelope.MAX_KEY_FILE:
        raise ValueError(f"a key file must have at most {envelope.MAX_KEY_FILE} bytes. Received: {len(key_file)}")
    return key_file


def unseal(key_file: bytes, identity: Identity) -> list[Payload]:
    """What ``identity`` may open: the one whole payload where it may open that, otherwise all that it opens.

    Every payload is as it was sealed, all are of one photo, and no face comes twice. That a lock was taken out of the
    file, or an entry damaged, does not show: less opens then.

    Raises DamagedKey or UnsupportedKey where the file is not one of ours, damaged or beyond a limit; WrongIdentity
    where no lock opens.
    """
    locks = sorted(parse.parse(key_file), key=lambda lock: lock.faces is not None)
    # That a lock with an entry for it does not open tells more than that another has none.
    meant = [lock for lock in locks if lock.entries_for(identity)] or locks[:1]
    opened: list[Payload] = []
    for lock in meant:
        try:
            data = envelope.unseal(lock, identity)
        except WrongIdentity as error:
            wrong = error
            continue
        payload = from_bytes(data, opened)
        if _faces(payload) != lock.faces:
            raise DamagedKey("a lock of the key file holds something else than it says; get it again")
        if payload.whole:
            return [payload]
        opened.append(payload)
        if problem := _misfit(opened):
            raise DamagedKey(f"the key file has {problem}; get it again")
    if not opened:
        raise wrong
    return opened


def describe(key_file: bytes) -> Description:
    """What can be told about ``key_file`` by anyone. Raises DamagedKey or UnsupportedKey as ``unseal`` does."""
    return Description(
        version=parse.VERSION,
        enc=parse.ENC,
        file_bytes=len(key_file),
        locks=tuple(
            LockDescription(
                faces=lock.faces,
                recipients=tuple(Entry(h["alg"], h.get("kid"), h.get("p2c")) for h in lock.headers),
                payload_bytes=len(lock.ciphertext) * 3 // 4,
            )
            for lock in parse.parse(key_file)
        ),
    )


def _faces(payload: Payload) -> tuple[int, ...] | None:
    """The faces that a lock with this payload says to hold."""
    return None if payload.whole else payload.numbers


def _misfit(payloads: Sequence[Payload]) -> str | None:
    """What keeps payloads from being of one key file; None: nothing."""
    photos = {(p.kind, p.width, p.height, p.mode, p.protected_digest) for p in payloads}
    if len(photos) > 1:
        return "locks of different photos"
    # Faces that are opened one by one may together hold no more than one payload of them all.
    if min(room([payload for payload in payloads if not payload.whole]).values()) < 0:
        return "more in its locks than a key may hold"
    return None
