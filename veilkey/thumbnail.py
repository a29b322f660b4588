"""A protected face made small, as its key keeps it: by this a changed copy is told from every other photo.

Another photo looks otherwise. The unprotected photo, and the same photo protected with another key, look alike but for
what protecting changed; how much of that is there is what is asked.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from keys.payload import THUMBNAIL
from veilkey.faces.geometry import compose, scale_of

FINER = 4  # samples a side that make a pixel
# A copy is the key's where so much of its face is told by the thumbnail, and so much of what protecting changed is
# there. On 12 faces of `train` and a portrait, as JPEG 30 to 90, halved, cropped and scaled: of the right key's change
# 0.70 or more was there (0.57 in one copy both halved and compressed) and 0.98 of the face was told; of an unprotected
# photo's change 0.12 at most, but where it is looked for in a wrong place, up to all of it, and then 0.963 of the face.
# Of another key of the same photo about as much is there as the two are alike, some 0.3 in the mean and now and then
# 0.6; in a halved copy of a small face up to 0.9, so that such a key is taken for the right one there.
ALIKE = 0.97
PRESENT = 0.65
# Share of a face that has to be seen.
SEEN = 0.1
# Where a copy has fewer pixels for one of the thumbnail's, half its size is compared: there is no detail beyond.
FINEST = 0.7


@dataclass(frozen=True)
class Likeness:
    """alike: share of a face's variance that the key's thumbnail explains. share: of what protecting changed, in it."""

    alike: float
    share: float

    @property
    def enough(self) -> bool:
        return self.alike >= ALIKE and self.share >= PRESENT


def make_thumbnail(face: np.ndarray) -> np.ndarray:
    """Of a protected face (h, w, 3) uint8: (64, 64) uint8, grey."""
    return cv2.resize(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)


def compare(thumbnail: np.ndarray, copy: np.ndarray, residual: np.ndarray, to_thumbnail: np.ndarray) -> Likeness:
    """How a face in a copy is like that of a key.

    thumbnail: (64, 64) uint8. copy: (h, w) float32 grey levels, NaN where it shows nothing. residual: (h, w) float32,
    what protecting changed, as it is at the copy's resolution. to_thumbnail: (2, 3), from these two.

    The copy is explained, by least squares, as the thumbnail, brightened, with more contrast, shifted and scaled a
    little, less what is missing of the residual.
    """
    side = THUMBNAIL if scale_of(to_thumbnail) <= FINEST else THUMBNAIL // 2
    shown, changed = _shrink(copy, to_thumbnail, side), _shrink(np.nan_to_num(residual), to_thumbnail, side)
    seen = np.isfinite(shown)
    base = _average(thumbnail.astype(np.float64), side)
    down, right = np.gradient(base)
    y, x = np.mgrid[:side, :side] / side - 0.5
    causes = np.stack([changed, np.ones_like(base), base, right, down, x * right, y * down], -1)[seen]
    if len(causes) < SEEN * side**2 or not causes[:, 0].any():
        return Likeness(0.0, 0.0)
    wanted = (shown - base)[seen]
    found = np.linalg.lstsq(causes, wanted, rcond=None)[0]
    unexplained = np.square(wanted - causes @ found).sum()
    varied = np.square(shown[seen] - shown[seen].mean()).sum()
    return Likeness(float(1 - unexplained / max(varied, 1e-9)), float(1 + found[0]))


def _shrink(plane: np.ndarray, to_thumbnail: np.ndarray, side: int) -> np.ndarray:
    """A plane (h, w) as a thumbnail would show it, (side, side) float32; NaN where it is not all there."""
    finer = np.array([[FINER, 0, (FINER - 1) / 2], [0, FINER, (FINER - 1) / 2]])
    fine = THUMBNAIL * FINER
    drawn = cv2.warpAffine(plane, compose(finer, to_thumbnail), (fine, fine), borderValue=np.nan)
    return _average(drawn, side)


def _average(plane: np.ndarray, side: int) -> np.ndarray:
    """A square plane made smaller by averaging, (side, side)."""
    step = len(plane) // side
    return plane.reshape(side, step, side, step).mean((1, 3))
