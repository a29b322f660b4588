"""The one operation that protects and restores."""

import numpy as np


def xor(image: np.ndarray, noise: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`image` XOR `noise` inside `mask`, and `image` outside; doing it twice gives `image` back.

    image, noise: (H, W, C) uint8 pixels, or int16 coefficients of H x W blocks. mask: (H, W) bool. Returns a new array.
    """
    return image ^ np.where(mask[..., None], noise, np.uint8(0))


def noise_for(original: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """The noise plane (H, W, C) uint8 that takes `original` to `original` + `residual`, int16 of the same shape.

    Raises ValueError where the sum leaves 0..255: such a change could not be told from its neighbours' when undone.
    """
    changed = original + residual
    if changed.size and (changed.min() < 0 or changed.max() > 255):
        raise ValueError("`residual` must keep every pixel in 0..255.")
    return original ^ changed.astype(np.uint8)


def noise_from(protected: np.ndarray, residual: np.ndarray) -> np.ndarray:
    """The same noise plane, told from the protected picture instead of the original."""
    return protected ^ (protected - residual).astype(np.uint8)
