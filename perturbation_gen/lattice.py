"""The integer lattice that carries a face's residual, and its way to the photo's resolution.

A lattice is int8 (h, w, C) over a rectangle of the photo, never finer than the photo's own pixels. What it becomes at
full resolution is the same on every machine: OpenCV documents INTER_LINEAR_EXACT as bit-exact on integers.
"""

import cv2
import numpy as np

MAX_SIDE = 192
LIMIT = 127


def lattice_shape(width: int, height: int) -> tuple[int, int]:
    """(h, w) of the lattice over a region of `width` x `height` pixels."""
    scale = min(1.0, MAX_SIDE / max(width, height))
    return max(1, round(height * scale)), max(1, round(width * scale))


def expand(lattice: np.ndarray, width: int, height: int) -> np.ndarray:
    """The residual (height, width, C) int16 of a lattice (h, w, C) int8."""
    shifted = (lattice.astype(np.int16) + 128).astype(np.uint8)
    full = cv2.resize(shifted, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
    return full.reshape(height, width, lattice.shape[2]).astype(np.int16) - 128


def headroom(pixels: np.ndarray, mask: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """How far each lattice point may go (low, high), (h, w, C) int16, so that no pixel leaves 0..255.

    A pixel's residual lies between those of the lattice points around it. Held to the least room of all masked pixels
    that it reaches, a point can drive none of them into saturation, so the key needs no list of saturated pixels.

    Args:
        pixels: (H, W, C) uint8. mask: (H, W) bool. shape: (h, w) of the lattice.
    """
    height, width = mask.shape
    down = np.where(mask[..., None], pixels, np.uint8(255))
    up = np.where(mask[..., None], 255 - pixels, np.uint8(255))
    if shape != (height, width):
        # A point reaches less than one lattice step to each side; the window is a pixel wider for the rounding.
        window = np.ones((2 * -(-height // shape[0]) + 3, 2 * -(-width // shape[1]) + 3), np.uint8)
        rows = np.minimum((np.arange(shape[0]) + 0.5) * height / shape[0], height - 1).astype(int)
        columns = np.minimum((np.arange(shape[1]) + 0.5) * width / shape[1], width - 1).astype(int)
        down, up = (
            cv2.erode(room, window, borderType=cv2.BORDER_REPLICATE).reshape(pixels.shape)[np.ix_(rows, columns)]
            for room in (down, up)
        )
    return -np.minimum(down, LIMIT).astype(np.int16), np.minimum(up, LIMIT).astype(np.int16)
