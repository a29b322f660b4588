"""What befalls a photo on its way to a recognizer: cleaned by a network, made smaller, blurred, recompressed."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

PURIFIED_EVERY = 7
"""At every so manieth step a purifier has cleaned the photo before it leaves, where there is one."""
HALVED, BLURRED, RECOMPRESSED = 0.3, 0.15, 0.3
"""How often on the way; the rest arrives as it left."""

Linear = Callable[[np.ndarray], np.ndarray]
Journey = Callable[[np.ndarray], tuple[np.ndarray, Linear]]
"""A photo (h, w, 3) float32 -> as it arrives, and how a slope (h, w, 3) there is carried back to what left."""


def purifier_at(turn: int, purifiers: Sequence[Journey]) -> Journey:
    """The purifiers in turn, each after the same number of turns; in between what leaves all as it is."""
    if purifiers and turn % PURIFIED_EVERY == 0:
        return purifiers[turn // PURIFIED_EVERY % len(purifiers)]
    return _unchanged


def draw_journey(random: np.random.Generator) -> Journey:
    """A journey, by chance. A blur is its own transpose and so, nearly, is a way to a smaller size and back.
    Recompression is passed straight through."""
    lot = random.random()
    if lot < HALVED:
        return _shrinking(random.uniform(0.45, 0.7))
    if lot < HALVED + BLURRED:
        return _blurring(random.uniform(0.6, 1.2))
    if lot < HALVED + BLURRED + RECOMPRESSED:
        return _recompressing(int(random.integers(60, 96)))
    return _unchanged


def _shrinking(scale: float) -> Journey:
    def go(image: np.ndarray) -> tuple[np.ndarray, Linear]:
        height, width = image.shape[:2]
        small = (max(1, round(width * scale)), max(1, round(height * scale)))

        def halve(x: np.ndarray) -> np.ndarray:
            there = cv2.resize(x, small, interpolation=cv2.INTER_AREA)
            return cv2.resize(there, (width, height), interpolation=cv2.INTER_LINEAR)

        return halve(image), halve

    return go


def _blurring(sigma: float) -> Journey:
    def blur(x: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(x, (0, 0), sigma)

    return lambda image: (blur(image), blur)


def _recompressing(quality: int) -> Journey:
    def go(image: np.ndarray) -> tuple[np.ndarray, Linear]:
        pixels = np.clip(image, 0, 255).astype(np.uint8)
        data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1].astype(np.float32)
        return decoded, _straight

    return go


def _unchanged(image: np.ndarray) -> tuple[np.ndarray, Linear]:
    return image, _straight


def _straight(x: np.ndarray) -> np.ndarray:
    return x
