"""What happens to a photo on its way through the world: recompressed, resized, blurred. All keep its size."""

import hashlib
import io
from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image

from veilkey.errors import UsageError

Transform = Callable[[np.ndarray], np.ndarray]
# Raised whenever a transform changes what it does, so that old entries in stores are not used.
VERSION = 1


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Through a JPEG file of this quality, colour subsampled 4:2:0 as Pillow does unless told otherwise."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def noise(image: np.ndarray, step: int) -> np.ndarray:
    """Every value moved up or down by `step`, at random; the same way for the same image."""
    random = np.random.default_rng(list(hashlib.sha256(image.tobytes()).digest()))
    moved = random.choice(np.array([-step, step], np.int16), image.shape)
    return np.clip(image.astype(np.int16) + moved, 0, 255).astype(np.uint8)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur, sigma in pixels."""
    return cv2.GaussianBlur(image, (0, 0), sigma)


def _half(image: np.ndarray) -> np.ndarray:
    return _by_way_of(image, 0.5, cv2.INTER_AREA, cv2.INTER_LINEAR)


def _screenshot(image: np.ndarray) -> np.ndarray:
    # A viewer that fits the photo to a window, and the picture of that window brought back to size.
    return _by_way_of(image, 0.83, cv2.INTER_LINEAR, cv2.INTER_CUBIC)


def _by_way_of(image: np.ndarray, scale: float, there: int, back: int) -> np.ndarray:
    height, width = image.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(cv2.resize(image, size, interpolation=there), (width, height), interpolation=back)


def _crop(image: np.ndarray) -> np.ndarray:
    """A twentieth cut off each side, and what is left enlarged."""
    height, width = image.shape[:2]
    y, x = height // 20, width // 20
    return cv2.resize(image[y : height - y, x : width - x], (width, height), interpolation=cv2.INTER_LINEAR)


def _grey(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


_TRANSFORMS: dict[str, Transform] = {
    "jpeg90": lambda image: jpeg(image, 90),
    "jpeg75": lambda image: jpeg(image, 75),
    "jpeg50": lambda image: jpeg(image, 50),
    "half": _half,
    "blur1": lambda image: blur(image, 1.0),
    "median3": lambda image: cv2.medianBlur(image, 3),
    "crop": _crop,
    "screenshot": _screenshot,
    "grey": _grey,
}


def names() -> tuple[str, ...]:
    """Names of all transforms."""
    return tuple(_TRANSFORMS)


def get(name: str) -> Transform:
    """The transform (H, W, 3) uint8 RGB -> the same shape.

    Raises UsageError where there is none of that name.
    """
    if name not in _TRANSFORMS:
        raise UsageError(f"no transform is called {name!r}; there are {', '.join(_TRANSFORMS)}")
    return _TRANSFORMS[name]
