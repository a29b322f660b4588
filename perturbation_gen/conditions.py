"""What the generator is told besides the face: the template, and how each pixel moves the face to the target."""

from collections.abc import Callable

import cv2
import numpy as np

from perturbation_gen.noise import SIZE
from perturbation_gen.target import IdentitySpace, pull

Gradient = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def saliency(
    crop: np.ndarray,
    to_input: np.ndarray,
    size: int,
    gradient: Gradient,
    embedding: np.ndarray,
    target: np.ndarray,
    space: IdentitySpace,
) -> np.ndarray:
    """The identity loss's descent direction in the crop, (128, 128, 3) float32 of deviation 1.

    Args:
        crop: (256, 256, 3) uint8 RGB. to_input: (2, 3) crop -> the recognizer's input of `size` pixels.
        gradient: (input, v) -> (embedding, J^T v). embedding: (D,) of the clean face. target: (D,) unit vector.
    """
    seen = cv2.warpAffine(crop.astype(np.float32), to_input, (size, size), borderMode=cv2.BORDER_REPLICATE)
    own = space.direction(embedding)
    _, slope = gradient(seen, pull(embedding, own, target, space))
    back = cv2.warpAffine(slope, to_input, crop.shape[:2], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    small = cv2.resize(back, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return small / (small.std() + 1e-12)


def gate_of(mask: np.ndarray) -> np.ndarray:
    """The template's mask (256, 256) bool as the generator's gate (128, 128, 1) float32."""
    return mask.reshape(SIZE, 2, SIZE, 2).mean((1, 3), dtype=np.float32)[..., None]
