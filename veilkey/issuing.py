"""From a protected photo to its key file: what leads back to the file, and who may open what."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from keys import keyring
from keys.keyring import Lock
from keys.payload import MAX_NAME, MAX_SAVED, Payload, to_bytes
from keys.recipients import Recipient
from mask_template.randomness import derive
from veilkey.carriers import Carrier, PhotoFile, open_photo
from veilkey.errors import CheckFailed, UnreadablePhoto, UsageError
from veilkey.restorer import DIGEST, evidence, restore_file

# The file itself comes back, and not only its pixels, where that makes the key larger by no more than this share.
CHEAP = 0.05


@dataclass(frozen=True)
class Issued:
    """Someone who may restore: `face`, counted from 1, or the whole photo where that is None."""

    recipient: Recipient
    face: int | None = None


def complete(
    data: bytes, original: PhotoFile, protected: PhotoFile, payload: Payload, exact: bool, name: str, modified: int
) -> Payload:
    """A photo's payload with what brings back its file: the bytes, where that is cheap or asked for, name and time.

    Args:
        data: the file that `original` was opened from. exact: whether its bytes have to come back, whatever that costs.
        name: the file's name without folders, or "". modified: nanoseconds since the epoch, or 0.

    Raises:
        CheckFailed: the protected file does not restore in memory.
        UnreadablePhoto: the key would have to keep more of the file than it can.
    """
    plain = replace(payload, name=_plain(name), modified=modified)
    saved = hashlib.sha256(data).digest() + original.saved(protected.encode())
    if original.keeps_pixels and not exact and len(saved) > DIGEST + CHEAP * len(to_bytes(plain)):
        saved = b""
    if len(saved) > MAX_SAVED:
        raise UnreadablePhoto(
            f"the key would have to keep {len(saved) >> 20} MiB of the file, and takes {MAX_SAVED >> 20}: remove films "
            "and second pictures from it first, or leave --exact-file out"
        )
    filled = replace(plain, saved=saved)
    restored = restore_file(open_photo(protected.encode()), [filled])
    if filled.saved and restored.data != data:
        raise CheckFailed(
            "the protected photo does not restore to the original file; nothing was written: please report this"
        )
    return filled


def seal(protected: Carrier, payload: Payload, issued: Sequence[Issued]) -> bytes:
    """The key file: one lock for the whole photo, and one for each face that somebody may restore alone.

    Who was named for each of several faces may open them all, and so gets the whole photo.

    Raises:
        UsageError: nobody to seal for, a face that is not protected, or more than a key file can hold.
    """
    if not issued:
        raise UsageError("nobody could restore this photo: pass recipients or a passphrase")
    numbers = {face.number for face in payload.faces}
    for one in issued:
        if one.face is not None and one.face not in numbers:
            raise UsageError(
                f"face {one.face} is not protected, so nobody can restore it: name one of {_list(numbers)}"
            )
    whole = [one.recipient for one in issued if one.face is None]
    if not whole and (lost := numbers - {one.face for one in issued}):
        raise UsageError(f"nobody could restore face {_list(lost)}: name somebody for it, or for the whole photo")
    for one in issued:
        theirs = {other.face for other in issued if other.recipient is one.recipient}
        if theirs >= numbers and one.recipient not in whole:
            whole.append(one.recipient)
    locks = [Lock(payload, whole)] if whole else []
    for number in sorted(numbers):
        some = [one.recipient for one in issued if one.face == number and one.recipient not in whole]
        if some:
            locks.append(Lock(_for_face(protected, payload, number), some))
    try:
        return keyring.seal(locks)
    except ValueError as error:
        raise UsageError(f"the key cannot be sealed so: {error}") from None


def _plain(name: str) -> str:
    """A file name as a key may hold it: of printable characters, and no folder."""
    last = "".join(one if one.isprintable() and one != "\\" else "_" for one in PurePath(name).name)
    return last[:MAX_NAME]


def _list(numbers: set[int]) -> str:
    return ", ".join(map(str, sorted(numbers))) or "none"


def _for_face(protected: Carrier, payload: Payload, number: int) -> Payload:
    (face,) = (one for one in payload.faces if one.number == number)
    others = [one for one in payload.faces if one is not face]
    return replace(
        payload,
        original_digest=protected.take_off(face).digest(),
        secret=derive(payload.secret, f"face {number}"),
        faces=(face,),
        saved=evidence(protected, face, others),
        whole=False,
    )
