"""What the generator is told besides the face: the template, and two looks at the way to the target."""

import cv2
import numpy as np

from mask_template.truth import Gradient
from perturbation_gen.budget import texture
from perturbation_gen.noise import SIZE
from perturbation_gen.target import IdentitySpace, pull

AHEAD = 8.0
"""Root mean square, in grey levels inside the template, of the plain step after which the second look is taken."""


def saliency(
    crop: np.ndarray,
    gate: np.ndarray,
    to_input: np.ndarray,
    size: int,
    gradient: Gradient,
    embedding: np.ndarray,
    target: np.ndarray,
    space: IdentitySpace,
) -> np.ndarray:
    """The identity loss's descent direction, (128, 128, 6) float32: at the clean face, and one plain step ahead.

    Each look is smoothed, weighed by how much the texture hides, kept to the template, and of mean square 1 there.

    Args:
        crop: (256, 256, 3) uint8 RGB. gate: (128, 128, 1) float32 as of `gate_of`.
        to_input: (2, 3) crop -> the recognizer's input of `size` pixels.
        gradient: of the recognizer. embedding: (D,) of the clean face. target: (D,) unit vector.
    """
    face = crop.astype(np.float32)
    weight = gate * texture(cv2.resize(face, (SIZE, SIZE), interpolation=cv2.INTER_AREA))
    own = space.direction(embedding)

    def look(image: np.ndarray, embedding: np.ndarray) -> np.ndarray:
        _, slope = gradient(_see(image, to_input, size), pull(embedding, own, target, space))
        back = cv2.warpAffine(slope, to_input, face.shape[:2], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        small = cv2.resize(back, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
        weighed = cv2.GaussianBlur(small, (0, 0), 1.0) * weight
        return weighed / (np.sqrt(np.sum(weighed**2) / (3 * gate.sum() + 1e-6)) + 1e-12)

    first = look(face, embedding)
    ahead = face + cv2.resize(AHEAD * first, face.shape[:2], interpolation=cv2.INTER_LINEAR)
    there = gradient.forward(_see(ahead, to_input, size))
    return np.concatenate([first, look(ahead, there)], axis=2)


def gate_of(mask: np.ndarray) -> np.ndarray:
    """The template's mask (256, 256) bool as the generator's gate (128, 128, 1) float32."""
    return mask.reshape(SIZE, 2, SIZE, 2).mean((1, 3), dtype=np.float32)[..., None]


def _see(image: np.ndarray, to_input: np.ndarray, size: int) -> np.ndarray:
    return cv2.warpAffine(image, to_input, (size, size), borderMode=cv2.BORDER_REPLICATE)
