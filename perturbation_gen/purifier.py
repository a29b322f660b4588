"""A purifier on the way to a recognizer: what is changed should last where a network takes changes off."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mask_template.truth import Gradient
from perturbation_gen.journey import Linear

SIDE = 128
"""Pixels of the canonical crop that a purifier cleans."""
WEIGHTS = Path(__file__).parent / "weights"


def shipped() -> list[Path]:
    """The weights of the purifiers that ship, each trained on what came out with those before it in the loop."""
    return sorted(WEIGHTS.glob("purifier-*.h5"))


@dataclass(frozen=True)
class Purifier:
    """What a purifier does to one photo, and what it lets through.

    gradient: (crop (128, 128, 3) float32, v) -> (the same, cleaned, J^T v). to_crop: (2, 3) photo -> canonical crop.
    """

    gradient: Gradient
    to_crop: np.ndarray

    def __call__(self, image: np.ndarray) -> tuple[np.ndarray, Linear]:
        """`image` (h, w, 3) float32 with what the purifier changes, and how a slope there is carried back."""
        size = image.shape[1::-1]
        crop = self._cut(image, cv2.BORDER_REPLICATE)
        cleaned = self.gradient.forward(crop)

        def back(slope: np.ndarray) -> np.ndarray:
            # The transpose of a bilinear warp back is, nearly, the warp there.
            there = self._cut(slope, cv2.BORDER_CONSTANT)
            return slope + self._place(self.gradient(crop, there)[1] - there, size)

        return np.clip(image + self._place(cleaned - crop, size), 0, 255), back

    def _cut(self, image: np.ndarray, border: int) -> np.ndarray:
        return cv2.warpAffine(image, self.to_crop, (SIDE, SIDE), flags=cv2.INTER_LINEAR, borderMode=border)

    def _place(self, crop: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        return cv2.warpAffine(crop, self.to_crop, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
