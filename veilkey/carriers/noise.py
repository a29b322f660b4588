"""A face's noise from its key, and the XOR that puts it on pixels and takes it off."""

import cv2
import numpy as np

from keys.payload import FaceKey
from mask_template.template import mask_in_photo
from perturbation_gen.lattice import expand
from perturbation_gen.xor import noise_for, noise_from, xor
from veilkey.carriers.picture import Picture


def put_on(picture: Picture, face: FaceKey) -> Picture:
    """`picture` with one face's noise on."""
    colour = picture.colour().copy()
    area = window(face.region)
    residual, mask = face_residual(face)
    colour[area] = xor(colour[area], noise_for(colour[area], residual), mask)
    return picture.with_colour(colour)


def take_off(picture: Picture, face: FaceKey) -> Picture:
    """`picture` with one face's noise off; the same XOR that `put_on` calls."""
    colour = picture.colour().copy()
    area = window(face.region)
    residual, mask = face_residual(face)
    colour[area] = xor(colour[area], noise_from(colour[area], residual), mask)
    return picture.with_colour(colour)


def face_residual(face: FaceKey) -> tuple[np.ndarray, np.ndarray]:
    """Residual (h, w, C) int16, 0 outside the template, and mask (h, w) bool over the face's region."""
    mask = mask_in_photo(face.blocks, face.transform, face.region)
    residual = expand(face.lattice, face.region[2], face.region[3])
    # What is not copied is 0.
    return cv2.copyTo(residual, mask.view(np.uint8)).reshape(residual.shape), mask


def window(region: tuple[int, int, int, int]) -> tuple[slice, slice]:
    """Rows and columns of a region (x, y, w, h)."""
    x, y, width, height = region
    return slice(y, y + height), slice(x, x + width)
