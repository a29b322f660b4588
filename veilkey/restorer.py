"""The way back: from a protected photo and an opened key to the original. Imports no TensorFlow, Keras or dlib."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import cv2
import numpy as np

from keys.payload import FaceKey, Payload
from mask_template.template import blocks_under, mask_in_photo
from veilkey.carriers import Carrier, PhotoFile
from veilkey.carriers.sealed import SealedCarrier
from veilkey.errors import ForeignKey

DIGEST = 32

AnyCarrier = TypeVar("AnyCarrier", bound=Carrier)


class Restored(NamedTuple):
    """A restored file. `exact`: it is the original file byte for byte, and not only the same picture."""

    data: bytes
    exact: bool


def restore(protected: AnyCarrier, payloads: Sequence[Payload]) -> AnyCarrier:
    """The photo with the noise off of all faces that the key opens: one whole payload, or one for each face.

    Raises:
        ForeignKey: the key belongs to another photo, or this one was changed after it was protected.
    """
    restored = protected
    for payload in payloads:
        _check_size(protected, payload)
        if payload.whole:
            if protected.digest() != payload.protected_digest:
                raise ForeignKey(
                    "the key is another photo's, or this one was recompressed or edited: find the file as it was "
                    "written"
                )
            restored = take_off_all(restored, payload.faces)
            if not payload.saved and restored.digest() != payload.original_digest:
                raise ForeignKey("the key does not lead back to the original: it was not made by this program")
        else:
            restored = _restore_face(restored, payload)
    return restored


def restore_file(protected: PhotoFile, payloads: Sequence[Payload]) -> Restored:
    """The file that `restore` leads back to.

    Raises:
        ForeignKey: as `restore`.
    """
    first = payloads[0]
    try:
        restored = restore(protected, payloads)
    except ForeignKey:
        data = _from_copy(protected, first) if first.whole and first.saved else None
        if data is None:
            raise
        return Restored(data, True)
    if not first.saved or not first.whole:
        return Restored(restored.encode(), False)
    # The protected file of what was sealed is of another kind than the original.
    original = SealedCarrier(restored.picture, b"") if first.kind == SealedCarrier.kind else restored
    wrong = ForeignKey("the key does not lead back to the original: it was not made by this program")
    try:
        data = original.rebuild(first.saved[DIGEST:], protected.encode())
        if hashlib.sha256(data).digest() == first.saved[:DIGEST]:
            return Restored(data, True)
    except ForeignKey as error:
        wrong = error
    if restored.digest() != first.original_digest:
        raise wrong
    # The pixels are right. Metadata of the protected file were changed, or this is another version of a compressor than
    # the one that the photo was protected with.
    return Restored(restored.encode(), False)


def _from_copy(protected: PhotoFile, payload: Payload) -> bytes | None:
    """The original file from one in which only the picture is as it was protected: metadata are gone, or it is coded
    anew without loss. None where this is no such file, or the key has too little of the rest."""
    try:
        copy = protected.as_copy(payload.saved[DIGEST:])
        if copy is None:
            return None
        _check_size(copy, payload)
        data = take_off_all(copy, payload.faces).rebuild(payload.saved[DIGEST:], protected.encode())
    except ForeignKey:
        return None
    return data if hashlib.sha256(data).digest() == payload.saved[:DIGEST] else None


def take_off_all(protected: AnyCarrier, faces: Iterable[FaceKey]) -> AnyCarrier:
    """`protected` with the noise of all `faces` off."""
    for face in reversed(tuple(faces)):
        protected = protected.take_off(face)
    return protected


def own_blocks(face: FaceKey, others: Iterable[FaceKey], grain: int) -> np.ndarray:
    """Which of a face's blocks (n,) bool no other face's noise comes near: only this face's changes what lies there."""
    x, y, width, height = face.region
    near = np.zeros((height + 2 * grain, width + 2 * grain), bool)
    for other in others:
        left, top, wide, high = other.region
        x0, x1 = max(x - grain, left), min(x + width + grain, left + wide)
        y0, y1 = max(y - grain, top), min(y + height + grain, top + high)
        if x0 < x1 and y0 < y1:
            part = mask_in_photo(other.blocks, other.transform, (x0, y0, x1 - x0, y1 - y0))
            near[y0 - y + grain : y1 - y + grain, x0 - x + grain : x1 - x + grain] |= part
    if grain and near.any():
        near = cv2.dilate(near.astype(np.uint8), np.ones((2 * grain + 1, 2 * grain + 1), np.uint8)).astype(bool)
    inside = near[grain : grain + height, grain : grain + width]
    return ~np.isin(face.blocks, blocks_under(inside, face.transform, face.region))


def evidence(protected: Carrier, face: FaceKey, others: Iterable[FaceKey]) -> bytes:
    """What a face's own lock keeps to tell an untouched face: what lies under it, protected and restored, and where."""
    own = own_blocks(face, others, protected.grain)
    part = replace(face, **{name: getattr(face, name)[own] for name in _COLUMNS})
    return protected.under(part) + protected.take_off(face).under(part) + np.packbits(own).tobytes()


_COLUMNS = ("blocks", "recognizer", "group", "tau")


def _restore_face(protected: AnyCarrier, payload: Payload) -> AnyCarrier:
    (face,) = payload.faces
    own = np.unpackbits(np.frombuffer(payload.saved[2 * DIGEST :], np.uint8), count=len(face.blocks)).astype(bool)
    part = replace(face, **{name: getattr(face, name)[own] for name in _COLUMNS})
    there = protected.under(part)
    if there == payload.saved[DIGEST : 2 * DIGEST] != payload.saved[:DIGEST]:
        raise ForeignKey(f"face {face.number} is restored already")
    if there != payload.saved[:DIGEST]:
        raise ForeignKey(
            f"the key is another photo's, or face {face.number} was recompressed or edited: find the file as it was "
            "written"
        )
    return protected.take_off(face)


def _check_size(protected: Carrier, payload: Payload) -> None:
    size, wanted = protected.size, (payload.width, payload.height, payload.mode)
    if size != wanted:
        raise ForeignKey(
            "the key is for a picture of {}x{} {}, this one is {}x{} {}, another or a resized or cropped one: find the "
            "file as it was written".format(*wanted, *size)
        )
