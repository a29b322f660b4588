"""Sigma: how much a person may see, and how much of it a change uses.

The bound is perceptual. Structural similarity over face box and crop lets the change into brows, eyes
and lips, where it reads as retouching, and keeps it out of smooth skin; FLIP bounds colour.
"""

from dataclasses import dataclass

import cv2
import numpy as np

WINDOW = 7
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@dataclass(frozen=True)
class Budget:
    """Least structural similarity, over the face box and over the crop, and largest mean FLIP over the face box."""

    ssim: float
    flip: float


STRENGTHS = {"light": Budget(0.99, 0.060), "standard": Budget(0.98, 0.075), "strong": Budget(0.96, 0.100)}


def grey(image: np.ndarray) -> np.ndarray:
    """Mean of the channels, (h, w, 1), of an image (h, w, C) float32. NumPy's own mean is a hundred times slower."""
    channels = image.shape[2]
    return cv2.transform(image, np.full((1, channels), 1 / channels)).reshape(*image.shape[:2], 1)


def texture(image: np.ndarray) -> np.ndarray:
    """How much each place hides: local standard deviation (h, w, 1) in grey levels of an image (h, w, 3) float32.

    A little is added, so that nothing is untouchable.
    """
    mean, square = cv2.blur(image, (WINDOW, WINDOW)), cv2.blur(image * image, (WINDOW, WINDOW))
    return grey(np.sqrt(np.maximum(square - mean * mean, 0))) + 4.0


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Mean structural similarity of (H, W, C) images in 0..255 (Wang et al. 2004; as scikit-image computes it)."""
    return float(ssim_map(first.astype(np.float32), second.astype(np.float32)).mean())


def ssim_map(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Structural similarity in each window of WINDOW x WINDOW pixels, (H - 6, W - 6, C), of images (H, W, C) float32.

    The mean over the windows `inside` a box is the similarity of the box.
    """
    part = _reached(first, second)
    return _among_same(_inner(_ssim_parts(first[part], second[part])[0]), part, _inner(first))


def inside(windows: np.ndarray, box: tuple[slice, slice]) -> np.ndarray:
    """Of a map as of `ssim_map`, the windows that lie in `box`, rows and columns of the images."""
    rows, columns = (slice(side.start, max(side.start, side.stop - WINDOW + 1)) for side in box)
    return windows[rows, columns]


def ssim_with_gradient(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Map as of `ssim_map`, and the gradient of its mean in `second`; both images (H, W, C) float32."""
    part, gradient = _reached(first, second), np.zeros_like(second)
    one, other = first[part], second[part]
    values, m1, m2, a1, a2, b1, b2 = _ssim_parts(one, other)
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    over = 1 / (b1 * b2)
    by_cross = (2 * unbiased) * a1 * over
    by_square = -unbiased * values / b2
    by_mean = 2 * (m1 * a2 * over - m2 * values / b1 - m2 * by_square) - by_cross * m1
    across, square, mean = (_box(_without_edge(x)) for x in (by_cross, by_square, by_mean))
    windows = _among_same(_inner(values), part, _inner(first))
    gradient[part] = (mean + one * across + 2 * other * square) / windows.size
    return windows, gradient


def _reached(first: np.ndarray, second: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of all windows in which images (H, W, C) differ, and of those that these overlap: in the others
    similarity is 1, and has no gradient. A protected face differs inside its template alone."""
    height, width, channels = first.shape
    differ = (first != second).view(np.uint8).reshape(height, width * channels)
    x, y, across, down = cv2.boundingRect(differ)
    far = WINDOW - 1
    left, right = x // channels, -(-(x + across) // channels)
    return slice(max(0, y - far), y + down + far), slice(max(0, left - far), right + far)


def _among_same(windows: np.ndarray, part: tuple[slice, slice], centres: np.ndarray) -> np.ndarray:
    """Similarity at all `centres` of windows, where those of a part of the images are known and the rest is alike."""
    every = np.ones_like(centres)
    every[part[0].start :, part[1].start :][: windows.shape[0], : windows.shape[1]] = windows
    return every


def _ssim_parts(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, ...]:
    """Similarity, means, numerators and denominators of the window around each pixel; what lies outside counts as 0."""
    m1, m2, s11, s22, s12 = (_box(x) for x in (first, second, first * first, second * second, first * second))
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    cross, squares = m1 * m2, m1 * m1 + m2 * m2
    a1, a2 = 2 * cross + C1, (2 * unbiased) * (s12 - cross) + C2
    b1, b2 = squares + C1, unbiased * (s11 + s22 - squares) + C2
    return a1 * a2 / (b1 * b2), m1, m2, a1, a2, b1, b2


def _box(x: np.ndarray) -> np.ndarray:
    return cv2.blur(x, (WINDOW, WINDOW), borderType=cv2.BORDER_CONSTANT).reshape(x.shape)


def _inner(x: np.ndarray) -> np.ndarray:
    edge = WINDOW // 2
    return x[edge:-edge, edge:-edge]


def _without_edge(x: np.ndarray) -> np.ndarray:
    edge = WINDOW // 2
    x[:edge], x[-edge:], x[:, :edge], x[:, -edge:] = 0, 0, 0, 0
    return x


def flip(first: np.ndarray, second: np.ndarray) -> float:
    """Mean FLIP difference of (H, W, 3) RGB images in 0..255 (Andersson et al. 2020), 0 the same to 1."""
    import flip_evaluator

    images = [np.ascontiguousarray(np.clip(np.rint(x.astype(np.float32)), 0, 255) / 255.0) for x in (first, second)]
    return float(flip_evaluator.evaluate(*images, "LDR", applyMagma=False, computeMeanError=True)[1])
