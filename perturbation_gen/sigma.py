"""Sigma's second stage: how far the change may go in each feature of the face, against the others.

The first stage is the budget of a strength: one bound on what a person sees of the whole face. Within it the steps of
refinement share out the change place by place, and shares by feature beside that bring nothing (MODEL.md).
"""

import cv2
import numpy as np

from mask_template.grid import BLOCK, GRID, GROUPS


def sigma_map(
    sigma: dict[str, float], groups: np.ndarray, to_lattice: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Each lattice point's share of the change, (h, w, 1) float32.

    sigma: the share of each of GROUPS. groups: (4096,) uint8, of each block. to_lattice: (2, 3) canonical crop ->
    lattice of `shape` (h, w). A point outside the crop counts as its nearest block.
    """
    grid = np.array([sigma[name] for name in GROUPS], np.float32)[groups].reshape(GRID, GRID)
    # A block's middle lies at (BLOCK - 1) / 2 of its pixels.
    middle = to_lattice @ np.array([[BLOCK, 0, (BLOCK - 1) / 2], [0, BLOCK, (BLOCK - 1) / 2], [0, 0, 1]])
    return cv2.warpAffine(grid, middle, shape[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)[..., None]
