"""A protected face made small, as its key keeps it: by this a changed copy is told from every other photo.

Another photo looks otherwise. The unprotected photo, and the same photo protected with another key, look alike but for
what protecting changed; how much of that is there is what is asked.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from keys.payload import THUMBNAIL

FINER = 8  # samples a side that make a pixel
# A copy is the key's where so much of its face is told by the thumbnail, and so much of what protecting changed is
# there. Measured by scripts/measure_approximate.py and on 21 faces of `train`: see README.
ALIKE = 0.9
PRESENT = 0.7
# Pixels that have to be seen of a face.
SEEN = 100


@dataclass(frozen=True)
class Likeness:
    """alike: share of a face's variance that the key's thumbnail explains. share: of what protecting changed, in it."""

    alike: float
    share: float

    @property
    def enough(self) -> bool:
        return self.alike >= ALIKE and self.share >= PRESENT


def make_thumbnail(face: np.ndarray) -> np.ndarray:
    """Of a protected face (h, w, 3) uint8: (32, 32) uint8, grey."""
    return cv2.resize(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)


def compare(thumbnail: np.ndarray, copy: np.ndarray, residual: np.ndarray, to_thumbnail: np.ndarray) -> Likeness:
    """How a face in a copy is like that of a key.

    thumbnail: (32, 32) uint8. copy: (h, w) float32 grey levels, NaN where it shows nothing. residual: (h, w) float32,
    what protecting changed, as it is at the copy's resolution. to_thumbnail: (2, 3), from these two.

    The copy is explained, by least squares, as the thumbnail, brightened, with more contrast, shifted and scaled a
    little, less what is missing of the residual.
    """
    shown, changed = _shrink(copy, to_thumbnail), _shrink(np.nan_to_num(residual), to_thumbnail)
    seen = np.isfinite(shown)
    base = thumbnail.astype(np.float64)
    down, right = np.gradient(base)
    y, x = np.mgrid[:THUMBNAIL, :THUMBNAIL] / THUMBNAIL - 0.5
    causes = np.stack([changed, np.ones_like(base), base, right, down, x * right, y * down], -1)[seen]
    if len(causes) < SEEN or not causes[:, 0].any():
        return Likeness(0.0, 0.0)
    wanted = (shown - base)[seen]
    found = np.linalg.lstsq(causes, wanted, rcond=None)[0]
    unexplained = np.square(wanted - causes @ found).sum()
    varied = np.square(shown[seen] - shown[seen].mean()).sum()
    return Likeness(float(1 - unexplained / max(varied, 1e-9)), float(1 + found[0]))


def _shrink(plane: np.ndarray, to_thumbnail: np.ndarray) -> np.ndarray:
    """A plane (h, w) as the thumbnail would show it, (32, 32) float32; NaN where it is not all there."""
    finer = np.array([[FINER, 0, (FINER - 1) / 2], [0, FINER, (FINER - 1) / 2]])
    transform = finer[:, :2] @ to_thumbnail
    transform[:, 2] += finer[:, 2]
    side = THUMBNAIL * FINER
    fine = cv2.warpAffine(plane, transform, (side, side), flags=cv2.INTER_LINEAR, borderValue=np.nan)
    return fine.reshape(THUMBNAIL, FINER, THUMBNAIL, FINER).mean((1, 3))
