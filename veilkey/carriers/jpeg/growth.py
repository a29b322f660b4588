"""How much larger a face's noise may make a file, and which coefficients are left alone where it makes it larger.

Noise where the photo had zeros is what costs bytes: in a small file of high quality that a face fills, hundreds of
coefficients become plus or minus one. Those that say least for what they cost go first; the key lists them (`held`).
"""

from collections.abc import Callable, Sequence

import numpy as np

GROWTH = 0.15
"""A protected file is at most so much larger than the original, as a share of it."""
MOST = 1 << 14
"""So many coefficients are left alone at most, which keeps the key small; more only very large files could need."""
# Bits to code that a coefficient is no longer 0, beside those of its value: the run of zeros that it cuts in two.
_RUN = 4
# No changed coefficient costs more bytes than this in the mean, so that most files need not be written to be judged.
_DEAR = 2


def worth_least(
    blocks: Sequence[np.ndarray], changes: Sequence[np.ndarray], tables: Sequence[np.ndarray]
) -> np.ndarray:
    """Which changes of AC coefficients make a file larger, those that change least for a bit first.

    Args:
        blocks: of each component what is under the face, (rows, columns, 8, 8) int16. changes: what is added, int32.
        tables: quantization, (8, 8).

    Returns:
        Positions int64, at most MOST, in all the components' changes behind one another.
    """
    found, offset = [], 0
    for before, change, table in zip(blocks, changes, tables, strict=True):
        bits = _bits(before + change) - _bits(before)
        bits[..., 0, 0] = 0  # DC is coded as a difference
        energy = (change * table.astype(np.int64)) ** 2
        frequency = np.broadcast_to(np.add.outer(np.arange(8), np.arange(8)), change.shape)
        dear = np.flatnonzero(bits > 0)
        worth = energy.reshape(-1)[dear] / bits.reshape(-1)[dear]
        found.append(np.stack([worth, -frequency.reshape(-1)[dear], dear + offset]))
        offset += change.size
    worth, frequency, position = np.concatenate(found, axis=1)
    return position[np.lexsort((frequency, worth))].astype(np.int64)[:MOST]


def fewest(candidates: int, fits: Callable[[int], bool]) -> int:
    """The least number of candidates, in order, that have to be left alone for the file to fit; all where none do."""
    low, high = 0, candidates
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if fits(middle) else (middle + 1, high)
    return low


def may_add(changes: Sequence[np.ndarray], room: float) -> bool:
    """Whether changes could take more than `room` bytes."""
    return _DEAR * sum(int(np.count_nonzero(change)) for change in changes) > room


def _bits(values: np.ndarray) -> np.ndarray:
    """About how many bits coefficients take, as Huffman coding counts: their magnitude's, and for one that is not 0."""
    magnitude = np.ceil(np.log2(np.abs(values) + 1)).astype(np.int64)
    return magnitude + _RUN * (values != 0)
