"""What a person sees of a change: over the face box, over the whole photo, and at the size of a thumbnail.

SSIM: Wang et al. 2004, as scikit-image computes it. PSNR in decibels. FLIP: Andersson et al. 2020. CIEDE2000: Sharma,
Wu, Dalal 2005. SSIMULACRA2: Sneyers 2023 (100 the same, 90 hardly visible, 70 high quality, 50 medium, 30 low).
People know faces of 16x16 pixels (Sinha et al. 2006), so the face box is compared at 32x32 and 16x16, too. LPIPS is not
measured: no package carries the weights of its backbone.
"""

import io
from typing import Any

import cv2
import numpy as np
from PIL import Image

from perturbation_gen.budget import flip, ssim
from veilkey.carriers.noise import window

# Raised whenever a measure changes, so that old entries in stores are not used.
VERSION = 1
SMALL = (32, 16)
SSIMULACRA2_SIDE = 256

Box = tuple[int, int, int, int]


def face_measures(before: np.ndarray, after: np.ndarray, box: Box) -> dict[str, float | None]:
    """Measures over the face box (x, y, w, h) of two photos (H, W, 3) uint8 RGB.

    ssim, psnr (None where nothing changed), flip, ciede_mean, ciede_p99, and ssim_32, ciede_32, ssim_16, ciede_16 of
    the box at 32x32 and 16x16.
    """
    first, second = before[window(box)], after[window(box)]
    figures: dict[str, float | None] = {**_plain(first, second), "flip": flip(first, second)}
    for side in SMALL:
        # Always by averaging: a thumbnail is made so, and nothing aliases.
        a, b = (cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA) for part in (first, second))
        figures[f"ssim_{side}"], figures[f"ciede_{side}"] = ssim(a, b), float(_ciede(a, b).mean())
    return figures


def slow_measures(before: np.ndarray, after: np.ndarray, box: Box) -> dict[str, float | None]:
    """Measures that take a quarter of a second: whole_ssim, whole_psnr, whole_flip, whole_ciede_mean, whole_ciede_p99
    over the whole photo, and ssimulacra2 over the face box brought to 256 pixels."""
    figures: dict[str, Any] = {**_plain(before, after), "flip": flip(before, after)}
    whole = {f"whole_{name}": value for name, value in figures.items()}
    return {**whole, "ssimulacra2": ssimulacra2(before[window(box)], after[window(box)])}


def ssimulacra2(first: np.ndarray, second: np.ndarray) -> float:
    """SSIMULACRA2 of two faces (h, w, 3) uint8 RGB, both brought to 256x256 pixels."""
    from ssimulacra2 import compute_ssimulacra2

    size = (SSIMULACRA2_SIDE, SSIMULACRA2_SIDE)
    shrinks = max(first.shape[:2]) > SSIMULACRA2_SIDE
    files = []
    for part in (first, second):
        files.append(io.BytesIO())
        resized = cv2.resize(part, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
        Image.fromarray(resized).save(files[-1], "BMP")
    return float(compute_ssimulacra2(*files))


def _plain(first: np.ndarray, second: np.ndarray) -> dict[str, float | None]:
    error = float(np.mean((first.astype(np.float32) - second) ** 2))
    colour = _ciede(first, second)
    return {
        "ssim": ssim(first, second),
        "psnr": 10 * float(np.log10(255**2 / error)) if error else None,
        "ciede_mean": float(colour.mean()),
        "ciede_p99": float(np.percentile(colour, 99)),
    }


def _ciede(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    from skimage.color import deltaE_ciede2000, rgb2lab

    return deltaE_ciede2000(rgb2lab(first), rgb2lab(second))
