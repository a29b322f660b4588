"""From a photo to its faces."""

from dataclasses import dataclass
from functools import cached_property

import dlib
import numpy as np

from veilkey.faces.detector import Detector
from veilkey.faces.geometry import CANONICAL_POINTS, canonical_transform, crop, fit_similarity, invert, map_points
from veilkey.models import packaged_file

# The landmark predictor was trained inside the boxes of dlib's HOG detector on upright faces. Each face is therefore
# turned upright by the detector's five points into a chip of its own, where that box is always the same: the median
# of the HOG boxes over 400 photos of `train`.
CHIP_SIZE = 512
CHIP_POINTS = CANONICAL_POINTS + [128.0, 136.0]
CHIP_BOX = dlib.rectangle(150, 169, 355, 374)


@dataclass(frozen=True)
class Face:
    """One face. `box` (x, y, width, height) whole pixels inside the photo; `landmarks` (68, 2) float64 photo pixels."""

    box: tuple[int, int, int, int]
    landmarks: np.ndarray

    @cached_property
    def transform(self) -> np.ndarray:
        """Photo -> canonical crop, (2, 3)."""
        return canonical_transform(self.landmarks)


class FaceFinder:
    """The detector and the landmark predictor, loaded once."""

    def __init__(self) -> None:
        self._detector = Detector()
        model = packaged_file("face_recognition_models", "models/shape_predictor_68_face_landmarks.dat")
        self._predictor = dlib.shape_predictor(str(model))

    def find(self, image: np.ndarray) -> list[Face]:
        """All faces of `image` (H, W, 3) uint8 RGB, largest first."""
        return [
            Face(_clip(box, image.shape[1], image.shape[0]), self._landmarks(image, points))
            for box, points in self._detector.detect(image)
        ]

    def _landmarks(self, image: np.ndarray, points: np.ndarray) -> np.ndarray:
        upright = fit_similarity(points, CHIP_POINTS)
        shape = self._predictor(crop(image, upright, CHIP_SIZE), CHIP_BOX)
        return map_points(invert(upright), np.array([(p.x, p.y) for p in shape.parts()], dtype=np.float64))


def _clip(box: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    x0, y0 = np.clip(np.floor(box[:2]), 0, [width - 1, height - 1]).astype(int)
    x1, y1 = np.clip(np.ceil(box[:2] + box[2:]), [x0 + 1, y0 + 1], [width, height]).astype(int)
    return int(x0), int(y0), int(x1 - x0), int(y1 - y0)
