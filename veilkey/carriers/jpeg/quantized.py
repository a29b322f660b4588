"""A residual in pixels as a change of quantized coefficients, by integer arithmetic alone, and what of it is seen.

Colour transform, averaging of chroma and cosine transform are one linear map with whole-numbered weights. Its sums stay
under 2**53, where float64 is exact in whatever order they are added, so that one matrix product gives every machine
the same integers; they are divided and rounded once, at the end.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np

SIDE = 8
_WEIGHT_BITS = 16
# JFIF's colour transform (ITU-T T.871), and none for files that keep RGB; a grey photo's residual has one channel.
_COLOUR = {
    "L": np.array([[1.0]]),
    "RGB": np.eye(3),
    "YCbCr": np.array([[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]]),
}
_WEIGHTS = {name: np.rint(matrix * 2**_WEIGHT_BITS) for name, matrix in _COLOUR.items()}
_COSINE_BITS = 11
_FREQUENCY, _PLACE = np.mgrid[:SIDE, :SIDE]
_COSINE = np.cos((2 * _PLACE + 1) * _FREQUENCY * np.pi / (2 * SIDE)) * np.where(_FREQUENCY, 0.5, np.sqrt(0.125))
# The transform of a block in rows, (64,) -> (64,), and its inverse.
_FORWARD = np.kron(*[np.rint(_COSINE * 2**_COSINE_BITS)] * 2).T
_INVERSE = np.kron(_COSINE, _COSINE).astype(np.float32)
# Rows of blocks that are worked on at once: bounds memory, and keeps what is worked on in the processor's cache.
_ROWS = 16


@dataclass(frozen=True)
class Grid:
    """How one component samples a photo of `width` x `height` stored pixels, in blocks of 8x8 samples.

    index: the component's place in the frame. step: photo pixels (x, y) that one sample averages. quantization: (8, 8).
    """

    index: int
    colour: str
    step: tuple[int, int]
    quantization: np.ndarray

    def blocks_over(self, region: tuple[int, int, int, int]) -> tuple[slice, slice]:
        """Rows and columns of the blocks that a region (x, y, w, h) of stored pixels touches."""
        x, y, width, height = region
        wide, high = SIDE * self.step[0], SIDE * self.step[1]
        return slice(y // high, -(-(y + height) // high)), slice(x // wide, -(-(x + width) // wide))

    def touched(self, region: tuple[int, int, int, int], mask: np.ndarray) -> np.ndarray:
        """Which of the blocks over a region have a pixel of a mask (h, w) bool in it: (rows, columns) bool."""
        rows, columns = self.blocks_over(region)
        wide, high = SIDE * self.step[0], SIDE * self.step[1]
        plane = np.zeros(((rows.stop - rows.start) * high, (columns.stop - columns.start) * wide), bool)
        top, left = region[1] - rows.start * high, region[0] - columns.start * wide
        plane[top : top + region[3], left : left + region[2]] = mask
        return _any(plane, high, wide)

    def change(self, region: tuple[int, int, int, int], residual: np.ndarray) -> np.ndarray:
        """The change (rows, columns, 8, 8) int32 of the blocks over a region by a residual (h, w, C) int16 in it."""
        rows, columns = self.blocks_over(region)
        changes = np.zeros((rows.stop - rows.start, columns.stop - columns.start, SIDE, SIDE), np.int32)
        divisor = self.quantization.astype(np.int64) * (self.step[0] * self.step[1]) << (
            _WEIGHT_BITS + 2 * _COSINE_BITS
        )
        for part, samples in self._samples(region, residual):
            blocks = samples.reshape(-1, SIDE, samples.shape[1] // SIDE, SIDE).transpose(0, 2, 1, 3)
            busy = _any(samples != 0, SIDE, SIDE)
            exact = (blocks[busy].reshape(-1, SIDE * SIDE) @ _FORWARD).astype(np.int64).reshape(-1, SIDE, SIDE)
            changes[part][busy] = (2 * exact + divisor) // (2 * divisor)
        return changes

    def seen(self, region: tuple[int, int, int, int], residual: np.ndarray) -> np.ndarray:
        """What this component keeps of a residual (h, w, C): the change of its samples over the region, (h, w) float32,
        as a decoder shows it."""
        rows, columns = self.blocks_over(region)
        kept = (self.change(region, residual) * self.quantization).astype(np.float32)
        samples = (kept.reshape(-1, SIDE * SIDE) @ _INVERSE).reshape(kept.shape)
        plane = samples.transpose(0, 2, 1, 3).reshape(-1, kept.shape[1] * SIDE)
        plane = plane.repeat(self.step[1], 0).repeat(self.step[0], 1)
        top, left = region[1] - rows.start * SIDE * self.step[1], region[0] - columns.start * SIDE * self.step[0]
        return plane[top : top + region[3], left : left + region[2]]

    def _samples(self, region: tuple[int, int, int, int], residual: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Sums of weighted residuals under each sample, (8 r, 8 columns) float64, a few rows of blocks at a time."""
        rows, columns = self.blocks_over(region)
        x_step, y_step = self.step
        high = SIDE * y_step
        left, right = columns.start * SIDE * x_step, columns.stop * SIDE * x_step
        weights = _WEIGHTS[self.colour][self.index][None]
        for first in range(rows.start, rows.stop, _ROWS):
            last = min(first + _ROWS, rows.stop)
            plane = np.zeros(((last - first) * high, right - left))
            top, bottom = max(first * high, region[1]), min(last * high, region[1] + region[3])
            # Differences of bytes times weights that add up to 1 stay under 2**24, where float32 is exact, too.
            inside = cv2.transform(residual[top - region[1] : bottom - region[1]].astype(np.float32), weights)
            plane[top - first * high : bottom - first * high, region[0] - left : region[0] - left + region[2]] = inside
            lines = reduce(np.add, [plane[row::y_step] for row in range(y_step)])
            sums = reduce(np.add, [lines[:, column::x_step] for column in range(x_step)])
            yield slice(first - rows.start, last - rows.start), sums


def _any(plane: np.ndarray, high: int, wide: int) -> np.ndarray:
    """Which of the blocks of `high` x `wide` in a plane (H, W) bool hold anything: (H / high, W / wide) bool."""
    # Whole lines first, which is several times as fast as all at once.
    lines = np.logical_or.reduce(plane.reshape(-1, high, plane.shape[1]), 1)
    return np.asarray(np.logical_or.reduce(lines.reshape(len(lines), -1, wide), 2))


def to_rgb(planes: list[np.ndarray], colour: str) -> np.ndarray:
    """Changes of all components (h, w) as a change of colour (h, w, C) float32."""
    stacked = np.stack(planes, -1).astype(np.float32)
    return stacked @ np.linalg.inv(_COLOUR[colour]).T.astype(np.float32)
