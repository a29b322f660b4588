"""Templates: the blocks of a face that are changed, kept apart by recognizer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from mask_template.grid import BLOCK, BLOCKS, CROP, GRID, GROUPS
from mask_template.randomness import stream

MAX_BLOCKS = 500
"""Most blocks that one recognizer contributes."""
FRACTION_BITS = 16
ROWS = 32  # that are worked on at once: few enough for the processor's cache
# The secret's salt: how far noise, smooth over neighbouring blocks, moves the logarithm of a score.
CHOICE_NOISE = 0.5
CHOICE_SMOOTHNESS = 1.5


@dataclass(frozen=True)
class Template:
    """Blocks of the canonical crop, one row each.

    blocks: (N,) uint16 in 0..4095, row-major on the 64x64 grid. recognizer: (N,) uint8, index into the list of
    recognizers. group: (N,) uint8, index into GROUPS. tau: (N,) float32, the weight of the block's feature group for
    that recognizer.
    """

    blocks: np.ndarray
    recognizer: np.ndarray
    group: np.ndarray
    tau: np.ndarray

    def to_mask(self, size: int = CROP) -> np.ndarray:
        """Mask (size, size) bool over the canonical crop; `size` must be a multiple of 64."""
        if size % GRID:
            raise ValueError(f"`size` must be a multiple of {GRID}. Received: {size}")
        grid = np.zeros(BLOCKS, bool)
        grid[self.blocks] = True
        return grid.reshape(GRID, GRID).repeat(size // GRID, 0).repeat(size // GRID, 1)


def choose(
    distribution: np.ndarray, groups: np.ndarray, tau: Mapping[str, float], recognizer: int, secret: bytes
) -> Template:
    """Pick a recognizer's 500 blocks.

    The score of a block is its probability times its group's tau. The secret's salt shifts each feature group by up to
    a block and adds smooth noise to the scores, so that no two templates of one face are the same and none is dust.

    Args:
        distribution: (4096,) float32 from the Mask Template Network. groups: (4096,) uint8.
        tau: weight of each feature group. recognizer: index to note. secret: the face's.
    """
    random = stream(secret, f"template {recognizer}")
    weights = np.array([tau[name] for name in GROUPS], np.float32)[groups]
    score = (np.log(distribution * weights + 1e-9)).reshape(GRID, GRID)
    shifted = np.full((GRID, GRID), -np.inf)
    for group in range(len(GROUPS)):
        part = np.where(groups.reshape(GRID, GRID) == group, score, -np.inf)
        shifted = np.maximum(shifted, np.roll(part, random.integers(-1, 2, 2), (0, 1)))
    noise = cv2.GaussianBlur(random.standard_normal((GRID, GRID)), (0, 0), CHOICE_SMOOTHNESS)
    salted = shifted + CHOICE_NOISE * noise / noise.std()
    blocks = np.sort(np.argsort(-salted.ravel())[:MAX_BLOCKS])
    return Template(
        blocks.astype(np.uint16),
        np.full(len(blocks), recognizer, np.uint8),
        groups[blocks].astype(np.uint8),
        weights[blocks].astype(np.float32),
    )


def superpose(templates: list[Template]) -> Template:
    """All templates of one face as one, each block still carrying its recognizer's index."""
    return Template(*(np.concatenate([getattr(t, name) for t in templates]) for name in Template.__dataclass_fields__))


def fixed_point(transform: np.ndarray) -> np.ndarray:
    """A photo -> crop transform (2, 3) in integers with 16 fractional bits, int64: the same on every machine."""
    return np.rint(transform * (1 << FRACTION_BITS)).astype(np.int64)


def mask_in_photo(blocks: np.ndarray, transform: np.ndarray, region: tuple[int, int, int, int]) -> np.ndarray:
    """Mask (h, w) bool of the blocks over a region (x, y, w, h) of the photo, by integer arithmetic alone.

    `transform` is `fixed_point` of photo -> crop. A pixel belongs to the block that its centre falls into.
    """
    chosen = np.zeros(BLOCKS + 1, bool)
    chosen[blocks] = True
    mask = np.empty((region[3], region[2]), bool)
    for rows, blocks_there in _block_rows(transform, region):
        mask[rows] = chosen[blocks_there]
    return mask


def blocks_under(mask: np.ndarray, transform: np.ndarray, region: tuple[int, int, int, int]) -> np.ndarray:
    """The blocks, ascending uint16, that have a pixel of a mask (h, w) bool over a region of the photo."""
    found = np.zeros(BLOCKS + 1, bool)
    for rows, blocks_there in _block_rows(transform, region):
        found[blocks_there[mask[rows]]] = True
    return np.flatnonzero(found[:BLOCKS]).astype(np.uint16)


def _block_rows(transform: np.ndarray, region: tuple[int, int, int, int]) -> Iterator[tuple[slice, np.ndarray]]:
    """The block of each pixel (rows, w), BLOCKS where there is none, a few rows of a region (x, y, w, h) at a time."""
    x0, y0, width, height = region
    (a, b, c), (d, e, f) = transform.tolist()
    x = np.arange(x0, x0 + width, dtype=np.int64)
    shift = FRACTION_BITS + BLOCK.bit_length() - 1
    half = 1 << (FRACTION_BITS - 1)
    for start in range(0, height, ROWS):
        rows = slice(start, min(start + ROWS, height))
        y = np.arange(y0 + rows.start, y0 + rows.stop, dtype=np.int64)[:, None]
        column = (a * x + (b * y + c + half)) >> shift
        line = (d * x + (e * y + f + half)) >> shift
        inside = (column >= 0) & (column < GRID) & (line >= 0) & (line < GRID)
        yield rows, np.where(inside, line * GRID + column, BLOCKS)
