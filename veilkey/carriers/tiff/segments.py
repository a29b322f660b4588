"""Strips and tiles of a TIFF page: from their bytes to pixels and back (TIFF 6.0, sections 9, 13 and 14)."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial

import imagecodecs
import numpy as np
from PIL import Image

from veilkey.carriers.tiff.directories import Tags
from veilkey.carriers.tiff.pages import (
    DEFLATE,
    LZW,
    NONE,
    OLD_DEFLATE,
    PACKBITS,
    STRIP_LENGTHS,
    STRIP_OFFSETS,
    Page,
    Segment,
)
from veilkey.errors import UnreadablePhoto

_OLD_LZW = b"\0\1"  # the first code, 256, in reversed order of bits
_LONG = 4  # the type of a field
_ENTRIES = struct.Struct("<H" + 9 * "HHII" + "I")  # of a directory with nine


def decode(data: bytes | bytearray, order: str, page: Page, segment: Segment, name: str) -> np.ndarray:
    """(rows, columns, channels) uint8 or uint16, with what a tile has beyond the page's edge.

    Raises:
        UnreadablePhoto: damaged.
    """
    start, length = int(page.offsets[segment.number]), int(page.lengths[segment.number])
    shape = (page.coded[0] if page.tiled else segment.height, *page.coded[1:])
    row = shape[1] * shape[2] * page.depth // 8
    size = shape[0] * row
    body = bytes(memoryview(data)[start : start + (min(length, size) if page.compression == NONE else length)])
    raw = _decompress(body, page.compression, shape[0], row)
    if raw is None or len(raw) < size:
        raise UnreadablePhoto(f"{name}: damaged (strip or tile {segment.number}): get the file again")
    pixels = (
        np.frombuffer(raw, _dtype(order, page), size * 8 // page.depth).astype(f"u{page.depth // 8}").reshape(shape)
    )
    return np.cumsum(pixels, 1, pixels.dtype) if page.predicted else pixels


def raw_bytes(pixels: np.ndarray, order: str, page: Page) -> bytes:
    """What is compressed, of pixels as `decode` gives them."""
    if page.predicted:
        pixels = np.concatenate([pixels[:, :1], np.diff(pixels, axis=1)], 1)
    return pixels.astype(_dtype(order, page)).tobytes()


def compress(raw: bytes, page: Page, writer: int = 0) -> bytes:
    """`raw` as the writer with this number in `WRITERS` compresses it."""
    row = page.coded[1] * page.coded[2] * page.depth // 8
    return WRITERS[page.compression][writer](raw, row)


def _dtype(order: str, page: Page) -> str:
    return f"{order}u{page.depth // 8}"


def _decompress(body: bytes, compression: int, rows: int, row: int) -> bytes | None:
    """At most so many rows of `row` bytes; None where it is damaged."""
    size = rows * row
    try:
        if compression == LZW:
            return None if body.startswith(_OLD_LZW) else _undo_lzw(body, rows, row)
        if compression in (DEFLATE, OLD_DEFLATE):
            return zlib.decompressobj().decompress(body, size)
        if compression == PACKBITS:
            return bytes(imagecodecs.packbits_decode(body, out=size))
        return body
    except (zlib.error, RuntimeError, ValueError):
        return None


def _undo_lzw(body: bytes, rows: int, row: int) -> bytes:
    """By libtiff, from a grey TIFF of one strip: what imagecodecs has beside it reads on into memory that is not its
    own where codes are damaged."""
    entries = [
        (256, row),  # width
        (257, rows),  # height
        (258, 8),  # bits
        (259, LZW),
        (262, 1),  # 0 is black
        (STRIP_OFFSETS, _ENTRIES.size + 8),
        (277, 1),  # channels
        (278, rows),  # rows of a strip
        (STRIP_LENGTHS, len(body)),
    ]
    fields = [field for tag, value in entries for field in (tag, _LONG, 1, value)]
    header = b"II*\0\x08\0\0\0" + _ENTRIES.pack(len(entries), *fields, 0)
    return bytes(imagecodecs.tiff_decode(header + body))


def _packbits(raw: bytes, row: int) -> bytes:
    """Row by row: no run goes on into the next."""
    return b"".join(imagecodecs.packbits_encode(raw[start : start + row]) for start in range(0, len(raw), row))


def _libtiff_lzw(raw: bytes, row: int) -> bytes:
    """libtiff begins a new table of codes when the last did not pay, which imagecodecs does not."""
    file = io.BytesIO()
    Image.frombuffer("L", (len(raw), 1), raw).save(file, "TIFF", compression="tiff_lzw")
    tags = Tags.read(file.getvalue(), "the strip")
    entries = tags.directories[0].entries
    (start,), (length,) = (tags.numbers(file.getvalue(), entries[tag]) for tag in (STRIP_OFFSETS, STRIP_LENGTHS))
    return file.getvalue()[start : start + length]


def _zlib(level: int, raw: bytes, row: int) -> bytes:
    return zlib.compress(raw, level)


def _libdeflate(level: int, raw: bytes, row: int) -> bytes:
    return bytes(imagecodecs.deflate_encode(raw, level=level))


_DEFLATERS = (
    *(partial(_zlib, level) for level in (6, 9, 1, 2, 3, 4, 5, 7, 8)),
    *(partial(_libdeflate, level) for level in range(1, 13)),
)
# By number, which keys keep: add at the end only. The first writes what is new.
WRITERS: dict[int, tuple[Callable[[bytes, int], bytes], ...]] = {
    NONE: (lambda raw, row: raw,),
    LZW: (lambda raw, row: bytes(imagecodecs.lzw_encode(raw)), _libtiff_lzw),
    DEFLATE: _DEFLATERS,
    OLD_DEFLATE: _DEFLATERS,
    PACKBITS: (_packbits,),
}
