"""One face as the optimisation sees it: the photo at the lattice's resolution, and what may change there."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from perturbation_gen.budget import Budget, flip, inside, ssim_map

FEATHER = 1.0
"""Softening of the template's edge, in lattice points, so that no seam shows there."""


GROW = 4.0
"""How much a residual may be enlarged to use its budget up."""
TRIES = 8
"""So many amplitudes are tried; two or three are enough but for residuals that the room cuts."""


@dataclass(frozen=True)
class Scene:
    """image: (h, w, 3) float32 RGB at the lattice's resolution, grey repeated.

    gate: (h, w, 1) float32, 0 outside the template. low, high: (h, w, C) float32 room of each lattice point, C the
    photo's colour channels. box: rows and columns of the face box. settle: what is left to see of a whole-numbered
    residual (h, w, C) float32 once it is in the file; None where that is the residual itself.
    """

    image: np.ndarray
    gate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    box: tuple[slice, slice]
    settle: Callable[[np.ndarray], np.ndarray] | None = None

    def confine(self, residual: np.ndarray) -> np.ndarray:
        """`residual` (h, w, C) kept inside the room that each point has."""
        return np.clip(residual, self.low, self.high)

    def apply(self, residual: np.ndarray) -> np.ndarray:
        """The image with whole-numbered `residual` (h, w, C) added, (h, w, 3) float32."""
        whole = np.rint(residual)
        return self.image + (whole if self.settle is None else self.settle(whole))

    def similarity(self, residual: np.ndarray) -> float:
        """The lower of the structural similarities of the face box and of the whole crop."""
        return self.similarity_in(ssim_map(self.image, self.apply(residual)))

    def similarity_in(self, windows: np.ndarray) -> float:
        """The same, of a map as of `ssim_map` between the image and a changed one."""
        return float(min(windows.mean(), inside(windows, self.box).mean()))

    def fit(self, residual: np.ndarray, budget: Budget) -> np.ndarray:
        """The largest multiple, up to GROW, of `residual` (h, w, C) within the budget, as the int8 lattice."""
        scale, allowed = 1.0, 1 - budget.ssim
        fits, exceeds = 0.0, np.inf
        for _ in range(TRIES):
            lost = 1 - self.similarity(self.confine(residual * scale))
            if lost > allowed:
                exceeds = min(exceeds, scale)
            else:
                fits = max(fits, scale)
                if lost >= 0.98 * allowed or scale == GROW:
                    break
            # Similarity is lost about as the square of the amplitude; where a file's quantization makes it lose in
            # steps, the middle of what is known to fit and known not to is the better guess.
            scale = min(GROW, scale * np.sqrt(0.99 * allowed / max(lost, 1e-9)))
            if not fits < scale < exceeds:
                scale = (fits + exceeds) / 2
        scale = fits or scale
        while self.similarity(self.confine(residual * scale)) < budget.ssim:
            scale *= 0.98
        for _ in range(6):
            lattice = np.rint(self.confine(residual * scale)).astype(np.int8)
            seen = flip(self.image[self.box], self.apply(lattice)[self.box])
            if seen <= budget.flip:
                break
            scale *= max(0.5, min(0.95, (budget.flip / seen) ** 1.3))
        return lattice


def make_gate(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The template's mask (H, W) bool in the photo as a gate (h, w, 1) float32 on the lattice, softened inwards."""
    part: np.ndarray = mask.astype(np.float32)
    if shape != mask.shape:
        part = cv2.resize(part, (shape[1], shape[0]), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(part, (0, 0), FEATHER, borderType=cv2.BORDER_REPLICATE)
    return (part * np.clip(1.5 * soft, 0, 1))[..., None]
