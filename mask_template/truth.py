"""What the Mask Template Network learns: where a recognizer really looks.

The attribution is of integrated gradients (Sundararajan, Taly, Yan, "Axiomatic attribution for deep networks", 2017),
with the blurred face as the baseline: how much of the embedding's likeness to itself is lost when a block is blurred.
"""

from typing import Protocol

import cv2
import numpy as np

from mask_template.grid import BLOCK, CROP, GRID, block_sums

BLUR_SIGMA = 8.0
"""Standard deviation, in crop pixels, of the blur that stands for "not visible"."""
STEPS = 4
LANDMARK_SHARE = 0.15


class Gradient(Protocol):
    """What a recognizer makes of its input (S, S, 3) float32, an embedding (D,) float32, and which way that changes."""

    def __call__(self, crop: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The embedding, and J^T v (S, S, 3) for v (D,), J the Jacobian of the embedding."""

    def forward(self, crop: np.ndarray) -> np.ndarray:
        """The embedding alone, which takes a third of the time."""


def blur(crop: np.ndarray) -> np.ndarray:
    """The canonical crop (256, 256, 3) with nothing left that tells people apart."""
    return cv2.GaussianBlur(crop, (0, 0), BLUR_SIGMA, borderType=cv2.BORDER_REPLICATE)


def attribute(crop: np.ndarray, to_input: np.ndarray, size: int, gradient: Gradient, own: np.ndarray) -> np.ndarray:
    """Attribution of a face's embedding over the blocks, (64, 64) float32; positive where blurring costs likeness.

    Args:
        crop: (256, 256, 3) uint8 RGB canonical crop.
        to_input: (2, 3) crop -> the recognizer's aligned input of `size` pixels.
        gradient: (input, v) -> (embedding, J^T v) of the recognizer.
        own: (D,) float32 unit vector from the recognizer's mean embedding to this face's.
    """
    sharp = crop.astype(np.float32)
    dull = blur(sharp)
    inputs = [cv2.warpAffine(x, to_input, (size, size), borderMode=cv2.BORDER_REPLICATE) for x in (dull, sharp)]
    total = np.zeros_like(inputs[0])
    for step in range(STEPS):
        at = inputs[0] + (inputs[1] - inputs[0]) * ((step + 0.5) / STEPS)
        total += gradient(at, own)[1]
    values = (total / STEPS * (inputs[1] - inputs[0])).sum(2)
    scale = np.linalg.det(to_input[:, :2])
    back = cv2.warpAffine(values, to_input, (CROP, CROP), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return block_sums(back * scale).astype(np.float32)


def truth(attribution: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """The distribution (4096,) float32, sum 1, of an attribution (64, 64) joined with landmarks (68, 2) crop pixels."""
    looks = cv2.GaussianBlur(np.maximum(attribution, 0), (0, 0), 0.8)
    points = np.zeros((GRID, GRID), np.float32)
    at = np.clip(landmarks / BLOCK, 0, GRID - 1).astype(int)
    np.add.at(points, (at[:, 1], at[:, 0]), 1.0)
    near = cv2.GaussianBlur(points, (0, 0), 1.0)
    joined = (1 - LANDMARK_SHARE) * looks / looks.sum() + LANDMARK_SHARE * near / near.sum()
    return (joined / joined.sum()).ravel().astype(np.float32)
