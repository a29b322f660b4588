"""The rows of a PNG as they are before they are deflated: packed into bytes, in passes, filtered (clauses 7 to 9)."""

import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from veilkey.carriers.png.chunks import Header

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_BAND = 2**18  # bytes, about, that are worked on at once
# Adam7: first row, first column, step between rows, step between columns.
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


class Pass(NamedTuple):
    """Some rows and columns of a picture, `height` rows of `length` bytes each without the filter's number."""

    rows: slice
    columns: slice
    height: int
    length: int

    @property
    def band(self) -> int:
        """How many rows are worked on at once."""
        return max(1, _BAND // (self.length + 1))


def passes(header: Header) -> list[Pass]:
    """The passes of a file that are not empty."""
    bits = CHANNELS[header.colour] * header.depth
    found = []
    for top, left, down, right in _ADAM7 if header.interlaced else ((0, 0, 1, 1),):
        height, width = (-(-(header.height - top) // down), -(-(header.width - left) // right))
        if height > 0 and width > 0:
            found.append(Pass(slice(top, None, down), slice(left, None, right), height, -(-width * bits // 8)))
    return found


def read_filters(stream: Iterable[bytes | memoryview], header: Header) -> bytes | None:
    """The number of every row's filter, in the order of a zlib stream that is inflated bit by bit.

    None where the stream is not just as long as the picture, or damaged.
    """
    inflated = _inflate(stream)
    held, filters = b"", []
    try:
        for part in passes(header):
            for first in range(0, part.height, part.band):
                wanted = min(part.band, part.height - first) * (part.length + 1)
                pieces, have = [held], len(held)
                while have < wanted:
                    pieces.append(next(inflated))
                    have += len(pieces[-1])
                held = b"".join(pieces)
                filters.append(held[: wanted : part.length + 1])
                held = held[wanted:]
        return b"".join(filters) if not held and not any(inflated) else None
    except (StopIteration, zlib.error):
        return None


def _inflate(stream: Iterable[bytes | memoryview]) -> Iterator[bytes]:
    inflater = zlib.decompressobj()
    for deflated in stream:
        piece = inflater.decompress(deflated, _BAND)
        while piece:
            yield piece
            piece = inflater.decompress(inflater.unconsumed_tail, _BAND)


def filtered_rows(samples: np.ndarray, header: Header, filters: bytes) -> Iterator[bytes]:
    """The bytes that are deflated into a file, band by band.

    samples: (H, W, C) uint8 of 0..2**depth - 1, or uint16 of 16 bits. filters: one number of 0 to 4 for every row of
    every pass.
    """
    distance = max(1, CHANNELS[header.colour] * header.depth // 8)
    for part in passes(header):
        chosen, filters = filters[: part.height], filters[part.height :]
        above = np.zeros(part.length, np.uint8)
        view = samples[part.rows, part.columns]
        for first in range(0, part.height, part.band):
            rows = _pack(view[first : first + part.band], header.depth)
            numbers = np.frombuffer(chosen[first : first + part.band], np.uint8)
            yield _filter(rows, above, numbers, distance).tobytes()
            above = rows[-1]


def _pack(samples: np.ndarray, depth: int) -> np.ndarray:
    """(H, length) uint8 of samples (H, W, C)."""
    rows = samples.reshape(len(samples), -1)
    if depth == 16:
        return rows.astype(">u2").view(np.uint8)
    if depth == 8:
        return np.ascontiguousarray(rows)
    bits = (rows[..., None] >> np.arange(depth - 1, -1, -1, dtype=np.uint8)) & 1
    return np.packbits(bits.reshape(len(rows), -1), axis=1)


def _filter(rows: np.ndarray, above: np.ndarray, numbers: np.ndarray, distance: int) -> np.ndarray:
    """(H, 1 + length) uint8: every row with its filter's number before it. Numbers over 4 filter like 0."""
    up = np.concatenate([above[None], rows[:-1]])
    left, corner = np.zeros_like(rows), np.zeros_like(rows)
    left[:, distance:], corner[:, distance:] = rows[:, :-distance], up[:, :-distance]
    result = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    result[:, 0], result[:, 1:] = numbers, rows
    for number in set(numbers.tolist()) & set(_EXPECTED):
        of = numbers == number
        result[of, 1:] -= _EXPECTED[number](*(side[of].astype(np.int16) for side in (left, up, corner))).astype(
            np.uint8
        )
    return result


def _paeth(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Of left, above and corner the one nearest to left + above - corner, the first of several."""
    to_a, to_b = np.abs(b - c), np.abs(a - c)
    to_c = np.abs(a + b - 2 * c)
    return np.where((to_a <= to_b) & (to_a <= to_c), a, np.where(to_b <= to_c, b, c))


# What each filter expects of a byte, from the ones to its left, above, and above to the left.
_EXPECTED = {1: lambda a, b, c: a, 2: lambda a, b, c: b, 3: lambda a, b, c: (a + b) >> 1, 4: _paeth}
