"""The 64x64 grid of 4x4-pixel blocks of the canonical 256x256 crop, and which feature of the face a block shows."""

import cv2
import numpy as np

CROP = 256
BLOCK = 4
GRID = CROP // BLOCK
BLOCKS = GRID * GRID

GROUPS = ("eyes", "brows", "nose", "mouth", "contour", "other")

# Points of the 68-landmark scheme (Sagonas et al. 2013) whose hull, grown by some pixels, is the feature.
_HULLS = (
    ("contour", [list(range(a, a + 2)) for a in range(16)], 9),
    ("nose", [list(range(27, 36))], 7),
    ("mouth", [list(range(48, 60))], 7),
    ("brows", [list(range(17, 22)), list(range(22, 27))], 6),
    ("eyes", [list(range(36, 42)), list(range(42, 48))], 6),
)


def block_groups(landmarks: np.ndarray) -> np.ndarray:
    """Index into GROUPS of each block, (4096,) uint8, for landmarks (68, 2) in crop pixels."""
    groups = np.full((GRID, GRID), GROUPS.index("other"), np.uint8)
    points = (landmarks / BLOCK).astype(np.float32)
    for name, parts, grow in _HULLS:
        for part in parts:
            mask = np.zeros((GRID, GRID), np.uint8)
            hull = cv2.convexHull(np.rint(points[part]).astype(np.int32))
            cv2.fillConvexPoly(mask, hull, 1)
            cv2.polylines(mask, [hull], True, 1, max(1, round(2 * grow / BLOCK)))
            groups[mask > 0] = GROUPS.index(name)
    return groups.ravel()


def block_sums(values: np.ndarray) -> np.ndarray:
    """Sums of a (256, 256) map over the blocks: (64, 64)."""
    return values.reshape(GRID, BLOCK, GRID, BLOCK).sum((1, 3))
