"""The part of a photo that a method changes, and the budget that its change is brought to."""

from dataclasses import dataclass

import cv2
import numpy as np

from perturbation_gen.budget import ssim
from veilkey.evaluation.sample import Sample
from veilkey.faces import CROP_SIZE, map_points
from veilkey.faces.geometry import source_box

LARGEST = 2.0**16
"""No change is multiplied by more: one that does not show cannot use up the budget."""


@dataclass(frozen=True)
class Region:
    """What the canonical crop covers of a photo, joined with the face box: no recognizer looks farther.

    photo: (H, W, 3) uint8 RGB. area: rows and columns in it.
    image: (h, w, 3) float32 RGB in 0..255, the area at the photo's resolution, reduced where it is larger than the
    canonical crop: recognizers see no more, and a step takes no longer on a large photo.
    box: rows and columns of the face box in the area. landmarks: (68, 2) float64 in pixels of `image`.
    """

    photo: np.ndarray
    area: tuple[slice, slice]
    image: np.ndarray
    box: tuple[slice, slice]
    landmarks: np.ndarray

    @classmethod
    def of(cls, sample: Sample) -> "Region":
        face, (rows, columns) = sample.face, sample.image.shape[:2]
        x, y, width, height = face.box
        left, top, right, bottom = source_box(face.transform, CROP_SIZE, columns, rows)
        left, top, right, bottom = min(left, x), min(top, y), max(right, x + width), max(bottom, y + height)
        area = (slice(top, bottom), slice(left, right))
        shrink = min(1.0, CROP_SIZE / max(right - left, bottom - top))
        size = (max(1, round((right - left) * shrink)), max(1, round((bottom - top) * shrink)))
        sx, sy = size[0] / (right - left), size[1] / (bottom - top)
        to_image = np.array([[sx, 0, (0.5 - left) * sx - 0.5], [0, sy, (0.5 - top) * sy - 0.5]])
        return cls(
            photo=sample.image,
            area=area,
            image=cv2.resize(sample.image[area], size, interpolation=cv2.INTER_AREA).astype(np.float32),
            box=(slice(y - top, y - top + height), slice(x - left, x - left + width)),
            landmarks=map_points(to_image, face.landmarks),
        )

    @property
    def origin(self) -> tuple[int, int]:
        """x and y of the area's first pixel in the photo."""
        return self.area[1].start, self.area[0].start

    def with_area(self, pixels: np.ndarray) -> np.ndarray:
        """The photo (H, W, 3) uint8 with other pixels in the area."""
        photo = self.photo.copy()
        photo[self.area] = pixels
        return photo

    def fit(self, change: np.ndarray, budget: float, random: np.random.Generator) -> tuple[np.ndarray, float]:
        """The photo (H, W, 3) uint8 with that multiple of `change` (h, w, 3) float32 added that uses up the budget.

        The mean structural similarity of the face box ends on `budget` and not below. Second, the factor.
        """
        before = self.photo[self.area]
        change = cv2.resize(change, before.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        # Values between two grey levels are rounded up for their share of pixels: rounded all alike, a change of few
        # levels could only grow in leaps.
        threshold = random.random(before.shape, dtype=np.float32)

        def changed(factor: float) -> np.ndarray:
            return np.clip(before + np.floor(factor * change + threshold), 0, 255).astype(np.uint8)

        def within(factor: float) -> bool:
            return ssim(before[self.box], changed(factor)[self.box]) >= budget

        low, high = 0.0, 1.0
        while high < LARGEST and within(high):
            low, high = high, 2 * high
        for _ in range(16):
            middle = (low + high) / 2
            low, high = (middle, high) if within(middle) else (low, middle)
        return self.with_area(changed(low)), low
