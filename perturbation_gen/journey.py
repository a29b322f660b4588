"""What befalls a photo on its way to a recognizer: made smaller, blurred, recompressed."""

from collections.abc import Callable

import cv2
import numpy as np

HALVED, BLURRED, RECOMPRESSED = 0.3, 0.15, 0.3
"""How often; the rest arrives as it left."""

Linear = Callable[[np.ndarray], np.ndarray]


def travel(image: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, Linear]:
    """`image` (h, w, 3) float32 as it may arrive, and how a slope (h, w, 3) there is carried back to what left.

    A blur is its own transpose and so, nearly, is a way to a smaller size and back. Recompression is passed straight
    through.
    """
    lot = random.random()
    if lot < HALVED:
        height, width = image.shape[:2]
        scale = random.uniform(0.45, 0.7)
        small = (max(1, round(width * scale)), max(1, round(height * scale)))

        def halve(x: np.ndarray) -> np.ndarray:
            there = cv2.resize(x, small, interpolation=cv2.INTER_AREA)
            return cv2.resize(there, (width, height), interpolation=cv2.INTER_LINEAR)

        return halve(image), halve
    if lot < HALVED + BLURRED:
        sigma = random.uniform(0.6, 1.2)

        def blur(x: np.ndarray) -> np.ndarray:
            return cv2.GaussianBlur(x, (0, 0), sigma)

        return blur(image), blur
    if lot < HALVED + BLURRED + RECOMPRESSED:
        return _recompress(image, int(random.integers(60, 96))), _straight
    return image, _straight


def _recompress(image: np.ndarray, quality: int) -> np.ndarray:
    pixels = np.clip(image, 0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))[..., ::-1].astype(np.float32)


def _straight(x: np.ndarray) -> np.ndarray:
    return x
