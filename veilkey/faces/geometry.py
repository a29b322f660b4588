"""Similarity transforms between a photo and the canonical 256x256 crop of a face.

A transform is a float64 array of shape (2, 3) that maps points (x, y, 1) in pixels; pixel centres have integer
coordinates, as in OpenCV.
"""

import cv2
import numpy as np

CROP_SIZE = 256

# Where the canonical crop wants the two eye centres, the nose tip and the mouth corners. The eyes are 0.33 of the
# width apart, which makes the crop reach as far as the widest recognizer looks (dlib's 150-pixel chip).
CANONICAL_POINTS = np.array([[85.0, 93.0], [170.0, 93.0], [127.5, 142.0], [92.5, 186.0], [162.5, 186.0]])


def five_points(landmarks: np.ndarray) -> np.ndarray:
    """Eye centres, nose tip and mouth corners (5, 2) of 68 landmarks (68, 2)."""
    return np.stack(
        [landmarks[36:42].mean(0), landmarks[42:48].mean(0), landmarks[30], landmarks[48], landmarks[54]]
    ).astype(np.float64)


def fit_similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Least-squares similarity (rotation, scale, shift; no reflection) that takes `source` (N, 2) to `target` (N, 2).

    Written with complex numbers, where such a map is z -> a z + b (Umeyama 1991 gives the same minimum).
    """
    z = source[:, 0] + 1j * source[:, 1]
    w = target[:, 0] + 1j * target[:, 1]
    zc, wc = z - z.mean(), w - w.mean()
    spread = np.vdot(zc, zc).real
    if spread == 0:
        raise ValueError("`source` must hold at least two different points.")
    a = np.vdot(zc, wc) / spread
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def invert(transform: np.ndarray) -> np.ndarray:
    """The transform that undoes `transform`."""
    linear = np.linalg.inv(transform[:, :2])
    return np.column_stack([linear, -linear @ transform[:, 2]])


def compose(second: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The transform that does `first`, then `second`."""
    return np.column_stack([second[:, :2] @ first[:, :2], second[:, :2] @ first[:, 2] + second[:, 2]])


def map_points(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (N, 2) under `transform`."""
    return points @ transform[:, :2].T + transform[:, 2]


def scale_of(transform: np.ndarray) -> float:
    """How many target pixels one source pixel becomes."""
    return float(np.sqrt(abs(np.linalg.det(transform[:, :2]))))


def canonical_transform(landmarks: np.ndarray) -> np.ndarray:
    """Photo -> canonical crop for one face's landmarks (68, 2) in photo pixels."""
    return fit_similarity(five_points(landmarks), CANONICAL_POINTS)


def crop(image: np.ndarray, transform: np.ndarray, size: int = CROP_SIZE) -> np.ndarray:
    """Cut a `size` x `size` crop out of `image` (H, W[, C]) uint8; what lies outside the photo repeats its edge.

    Shrinking is done by averaging first, so that a large face does not alias.
    """
    scale = scale_of(transform)
    if scale < 0.5:
        # Cut out what is needed, shrink it by whole factors, and let the warp do the rest.
        x0, y0, x1, y1 = source_box(transform, size, image.shape[1], image.shape[0])
        factor = int(1 / scale)
        part = image[y0:y1, x0:x1]
        width, height = max(1, (x1 - x0) // factor), max(1, (y1 - y0) // factor)
        part = cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA)
        sx, sy = (x1 - x0) / width, (y1 - y0) / height
        enlarge = np.array([[sx, 0, x0 + sx / 2 - 0.5], [0, sy, y0 + sy / 2 - 0.5]])
        image, transform = part, compose(transform, enlarge)
    return cv2.warpAffine(image, transform, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def source_box(transform: np.ndarray, size: int, width: int, height: int) -> tuple[int, int, int, int]:
    """Upright box (x0, y0, x1, y1) of photo pixels that a `size` x `size` crop covers, cut at the photo's edges."""
    far = size - 1.0
    points = map_points(invert(transform), np.array([[0, 0], [far, 0], [0, far], [far, far]]))
    x0, y0 = np.floor(points.min(0)).astype(int)
    x1, y1 = np.ceil(points.max(0)).astype(int) + 1
    x0, x1 = np.clip([x0, x1], 0, width)
    y0, y1 = np.clip([y0, y1], 0, height)
    return int(x0), int(y0), max(int(x1), int(x0) + 1), max(int(y1), int(y0) + 1)
