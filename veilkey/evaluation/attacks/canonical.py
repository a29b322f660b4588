"""Where faces of different photos lie on one another: the canonical crop, and the way back to the photo."""

import cv2
import numpy as np

from veilkey.faces import CROP_SIZE, Face, compose, crop

# A change is taken from the canonical crop at this size, unless a network wants it smaller.
SIZE = CROP_SIZE


def to_canonical(face: Face, size: int = SIZE) -> np.ndarray:
    """Photo -> canonical crop of `size` pixels, (2, 3)."""
    scale = size / CROP_SIZE
    shift = (scale - 1) / 2
    return compose(np.array([[scale, 0, shift], [0, scale, shift]]), face.transform)


def cut(image: np.ndarray, transform: np.ndarray, size: int = SIZE) -> np.ndarray:
    """The crop (size, size, 3) uint8 of a photo (H, W, 3) uint8."""
    return crop(image, transform, size)


def add(image: np.ndarray, transform: np.ndarray, change: np.ndarray) -> np.ndarray:
    """A photo (H, W, 3) uint8 with `change` (S, S, 3) float32, which lies in its crop, added."""
    placed = cv2.warpAffine(change, transform, image.shape[1::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.clip(np.rint(image + placed), 0, 255).astype(np.uint8)
