"""What the generator starts from: noise drawn from the photo's secret."""

import cv2
import numpy as np

from mask_template.randomness import stream

SIZE = 128
KINDS = ("gaussian", "feature-pixels")


def draw_noise(secret: bytes, kind: str, crop: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Noise (128, 128, 3) float32 of mean 0 and deviation 1.

    Args:
        kind: "gaussian", or "feature-pixels": pixel values drawn near the feature points of the face in low resolution,
            which match its skin tone.
        crop: (256, 256, 3) uint8 RGB canonical crop; landmarks: (68, 2) in its pixels. Only for "feature-pixels".
    """
    return random_noise(stream(secret, "noise"), kind, crop, landmarks)


def random_noise(random: np.random.Generator, kind: str, crop: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """As `draw_noise`, from any generator."""
    if kind == "gaussian":
        return random.standard_normal((SIZE, SIZE, 3), dtype=np.float32)
    if kind != "feature-pixels":
        raise ValueError(f"`kind` must be one of {KINDS}. Received: {kind!r}")
    small = cv2.resize(crop, (64, 64), interpolation=cv2.INTER_AREA)
    points = landmarks[random.integers(0, len(landmarks), SIZE * SIZE)] / 4 + random.normal(0, 1.5, (SIZE * SIZE, 2))
    x, y = np.clip(np.rint(points), 0, 63).astype(int).T
    pixels = small[y, x].reshape(SIZE, SIZE, 3).astype(np.float32)
    return (pixels - pixels.mean()) / (pixels.std() + 1e-6)
