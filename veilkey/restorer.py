"""The way back: from a protected picture and an opened key to the original. Imports no TensorFlow, Keras or dlib."""

import numpy as np

from keys.payload import FaceKey, Payload
from mask_template.template import mask_in_photo
from perturbation_gen.lattice import expand
from perturbation_gen.xor import noise_for, noise_from, xor
from veilkey.carriers import Picture
from veilkey.errors import ForeignKey


def restore_picture(protected: Picture, payload: Payload) -> Picture:
    """The original picture.

    Raises:
        ForeignKey: the key belongs to another picture, or this one was changed after it was protected.
    """
    size = (payload.width, payload.height, payload.mode)
    if (protected.width, protected.height, protected.mode) != size:
        raise ForeignKey(
            f"the key is for a picture of {size[0]}x{size[1]} {size[2]}, this one is "
            f"{protected.width}x{protected.height} {protected.mode}: find the protected file as it was written"
        )
    if protected.digest() != payload.protected_digest:
        raise ForeignKey("the key is another picture's, or this one was edited: find the file as it was written")
    original = undo(protected, payload.faces)
    if original.digest() != payload.original_digest:
        raise ForeignKey("the key does not lead back to the original: it was not made by this program")
    return original


def undo(protected: Picture, faces: tuple[FaceKey, ...]) -> Picture:
    """Take the noise off face by face, the last first."""
    colour = protected.colour().copy()
    for face in reversed(faces):
        area = window(face.region)
        residual, mask = face_residual(face)
        colour[area] = xor(colour[area], noise_from(colour[area], residual), mask)
    return protected.with_colour(colour)


def apply(picture: Picture, face: FaceKey) -> Picture:
    """Put one face's noise on; the same XOR that `undo` calls."""
    colour = picture.colour().copy()
    area = window(face.region)
    residual, mask = face_residual(face)
    colour[area] = xor(colour[area], noise_for(colour[area], residual), mask)
    return picture.with_colour(colour)


def face_residual(face: FaceKey) -> tuple[np.ndarray, np.ndarray]:
    """Residual (h, w, C) int16, 0 outside the template, and mask (h, w) bool over the face's region."""
    mask = mask_in_photo(face.blocks, face.transform, face.region)
    residual = expand(face.lattice, face.region[2], face.region[3])
    residual *= mask[..., None]
    return residual, mask


def window(region: tuple[int, int, int, int]) -> tuple[slice, slice]:
    """Rows and columns of a region (x, y, w, h)."""
    x, y, width, height = region
    return slice(y, y + height), slice(x, x + width)
