"""EXIF orientation: how a file's pixels have to be turned so that the picture stands upright, and back."""

import struct

import numpy as np

TAG = 0x0112
_SHORT = 3
# orientation: (rows and columns swapped, then rows reversed, then columns reversed), EXIF 2.32, 4.6.4.
_TURNS = {
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


def to_upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """(H, W) or (H, W, C) pixels as they are stored -> as they are seen, contiguous. `orientation` is 1 to 8."""
    swap, rows, columns = _TURNS[orientation]
    turned = stored.swapaxes(0, 1) if swap else stored
    return np.ascontiguousarray(turned[:: -1 if rows else 1, :: -1 if columns else 1])


def to_stored(seen: np.ndarray, orientation: int) -> np.ndarray:
    """What `to_upright` undoes: pixels as they are seen -> as they are stored, contiguous."""
    swap, rows, columns = _TURNS[orientation]
    flipped = seen[:: -1 if rows else 1, :: -1 if columns else 1]
    return np.ascontiguousarray(flipped.swapaxes(0, 1) if swap else flipped)


def orientation_of(exif: bytes) -> int:
    """The orientation that EXIF data (a TIFF structure, with or without "Exif\\0\\0" before it) gives.

    1 where it gives none, or is damaged: viewers then turn nothing, either.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return 1
    (start,) = struct.unpack_from(order + "I", exif, 4)
    if start + 2 > len(exif):
        return 1
    (count,) = struct.unpack_from(order + "H", exif, start)
    for entry in range(start + 2, min(start + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, _, value = struct.unpack_from(order + "HHIH", exif, entry)
        if tag == TAG and kind == _SHORT:
            return value if value in _TURNS else 1
    return 1


def stored_region(
    region: tuple[int, int, int, int], orientation: int, width: int, height: int
) -> tuple[int, int, int, int]:
    """A region (x, y, w, h) of a picture of `width` x `height` as it is seen -> where it lies as stored."""
    swap, rows, columns = _TURNS[orientation]
    x, y, wide, high = region
    x, y = width - x - wide if columns else x, height - y - high if rows else y
    return (y, x, high, wide) if swap else (x, y, wide, high)
