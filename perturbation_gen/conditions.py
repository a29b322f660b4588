"""What the generator is told besides the face: the template, and two looks at the way to the target."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import cv2
import numpy as np

from perturbation_gen.budget import texture
from perturbation_gen.noise import SIZE
from perturbation_gen.refine import Attacked, shares

LOOKS = 2
AHEAD = 5.0
"""Root mean square, in grey levels inside the template, of the plain step after which the next look is taken."""


def saliency(crop: np.ndarray, gate: np.ndarray, attacked: Sequence[Attacked]) -> np.ndarray:
    """The identity loss's descent direction, (128, 128, 6) float32: at the clean face, and one plain step ahead.

    Each look is the recognizers' together, smoothed, weighed by how much the texture hides, kept to the template, and
    of mean square 1 there. In the second one a recognizer counts by how much of its margin is missing, as in `refine`.

    Args:
        crop: (256, 256, 3) uint8 RGB. gate: (128, 128, 1) float32 as of `gate_of`.
        attacked: at least one; `to_input` is crop -> aligned input.
    """
    face = crop.astype(np.float32)
    weight = gate * texture(cv2.resize(face, (SIZE, SIZE), interpolation=cv2.INTER_AREA))
    ahead = np.zeros((SIZE, SIZE, 3), np.float32)
    looks: list[np.ndarray] = []
    with ThreadPoolExecutor(len(attacked)) as pool:
        for _ in range(LOOKS):
            image = face + cv2.resize(ahead, face.shape[:2], interpolation=cv2.INTER_LINEAR)
            answers = list(pool.map(partial(_ask, image=image, clean=not looks), attacked))
            weights = shares(np.array([missing for _, missing in answers], np.float32))
            slopes = (_unit(slope * weight, gate) for slope, _ in answers)
            look = sum(share * slope for share, slope in zip(weights, slopes, strict=True))
            looks.append(_unit(look, gate))
            ahead += AHEAD * looks[-1]
    return np.concatenate(looks, axis=2)


def _ask(one: Attacked, image: np.ndarray, clean: bool) -> tuple[np.ndarray, float]:
    """Which way `image` (256, 256, 3) should change, (128, 128, 3), and the share of the margin that is missing.

    `clean`: nothing is changed yet, so that its embedding is known.
    """
    seen = cv2.warpAffine(image, one.to_input, (one.size, one.size), borderMode=cv2.BORDER_REPLICATE)
    embedding = one.own_embedding if clean else one.gradient.forward(seen)
    _, slope = one.gradient(seen, one.pull(embedding))
    back = cv2.warpAffine(slope, one.to_input, image.shape[:2], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    small = cv2.resize(back, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(small, (0, 0), 1.0), 1 - one.travelled(embedding) / one.leave


def _unit(look: np.ndarray, gate: np.ndarray) -> np.ndarray:
    """`look` (128, 128, 3), of mean square 1 inside the gate."""
    return look / (np.sqrt(np.sum(look**2) / (3 * gate.sum() + 1e-6)) + 1e-12)


def gate_of(mask: np.ndarray) -> np.ndarray:
    """The template's mask (256, 256) bool as the generator's gate (128, 128, 1) float32."""
    return mask.reshape(SIZE, 2, SIZE, 2).mean((1, 3), dtype=np.float32)[..., None]
