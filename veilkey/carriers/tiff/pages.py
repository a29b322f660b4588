"""The pages of a TIFF file: how their pixels lie in strips or tiles (TIFF 6.0, sections 3 to 15)."""

import math
from typing import NamedTuple

import numpy as np

from veilkey.carriers.limits import MAX_PIXELS
from veilkey.carriers.tiff.directories import Directory, Tags
from veilkey.errors import UnreadablePhoto

NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS = 1, 5, 8, 32946, 32773
COMPRESSIONS = (NONE, LZW, DEFLATE, OLD_DEFLATE, PACKBITS)
STRIP_OFFSETS, STRIP_LENGTHS, TILE_OFFSETS, TILE_LENGTHS = 273, 279, 324, 325
MAX_SEGMENTS = 2**17  # strips or tiles, of one page
MAX_TILE = 2**24  # pixels
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_COLOURS = {
    3: "has a palette: save it as RGB",
    4: "is a mask: save it as grey or RGB",
    5: "is CMYK: save it as RGB",
    6: "is YCbCr: save it as RGB, or as JPEG",
    8: "is CIE L*a*b*: save it as RGB",
    9: "is CIE L*a*b*: save it as RGB",
    10: "is CIE L*a*b*: save it as RGB",
}
_JPEG = (6, 7, 34892)


class Segment(NamedTuple):
    """A strip or tile: `number` of its offset; its first channel, row and column on the page; rows and columns of it
    that are on the page."""

    number: int
    channel: int
    top: int
    left: int
    height: int
    width: int


class Page(NamedTuple):
    """depth: 8 or 16. channels: 1 to 4. coded: rows, columns and channels of a segment as it is coded. offsets,
    lengths: of every segment in the file, (n,) int64."""

    directory: Directory
    width: int
    height: int
    depth: int
    channels: int
    inverted: bool
    orientation: int
    compression: int
    predicted: bool
    tiled: bool
    coded: tuple[int, int, int]
    offsets: np.ndarray
    lengths: np.ndarray

    def segments(self) -> list[Segment]:
        rows, columns, together = self.coded
        places = [
            (channel, top, left)
            for channel in range(0, self.channels, together)
            for top in range(0, self.height, rows)
            for left in range(0, self.width, columns)
        ]
        return [
            Segment(number, channel, top, left, min(rows, self.height - top), min(columns, self.width - left))
            for number, (channel, top, left) in enumerate(places)
        ]


def read_page(data: bytes, tags: Tags, directory: Directory, name: str) -> Page:
    """
    Raises:
        UnreadablePhoto: of a variety that cannot be kept exactly, or damaged.
    """

    def get(tag: int, default: int | None = None) -> int:
        values = tags.numbers(data, directory.entries[tag]) if tag in directory.entries else np.empty(0)
        if len(values):
            return int(values[0])
        if default is None:
            raise UnreadablePhoto(f"{name}: damaged (tag {tag} is missing): get the file again")
        return default

    compression, colour = get(259, 1), get(262)
    if compression in _JPEG:
        raise UnreadablePhoto(f"{name}: is compressed as JPEG: save it as a JPEG file, or as TIFF with LZW")
    if compression not in COMPRESSIONS:
        raise UnreadablePhoto(f"{name}: compression {compression} is not supported: save it with LZW or deflate")
    if colour not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB):
        raise UnreadablePhoto(
            f"{name}: {_COLOURS.get(colour, f'colour space {colour} is not supported: save it as RGB')}"
        )
    channels, base = get(277, 1), 3 if colour == _RGB else 1
    if channels not in (base, base + 1):
        raise UnreadablePhoto(
            f"{name}: has {channels} channels: save it as grey or RGB, with one alpha channel at most"
        )
    depths = tags.numbers(data, directory.entries[258])[:channels] if 258 in directory.entries else np.ones(1)
    formats = tags.numbers(data, directory.entries[339])[:channels] if 339 in directory.entries else np.ones(1)
    if not len(formats) or np.any(formats != 1):
        raise UnreadablePhoto(f"{name}: its pixels are not whole numbers: save it with 8 or 16 bits a channel")
    if set(depths.tolist()) not in ({8}, {16}):
        raise UnreadablePhoto(f"{name}: does not have 8 or 16 bits in every channel: save it with either")
    if get(266, 1) != 1:
        raise UnreadablePhoto(f"{name}: its bits are in reversed order: save it anew")
    predictor = get(317, 1)
    if predictor not in (1, 2):
        raise UnreadablePhoto(f"{name}: predictor {predictor} is not supported: save it with LZW or deflate")
    width, height, tiled = get(256), get(257), 322 in directory.entries
    if min(width, height) < 1 or width * height > MAX_PIXELS:
        raise UnreadablePhoto(f"{name}: {width}x{height} is over {MAX_PIXELS // 10**6} megapixels: make it smaller")
    rows, columns = (get(323), get(322)) if tiled else (min(get(278, height), height), width)
    if min(rows, columns) < 1 or tiled and rows * columns > MAX_TILE:
        raise UnreadablePhoto(f"{name}: its tiles are too large or empty: save it in strips")
    planes = channels if get(284, 1) == 2 else 1
    count = planes * math.ceil(height / rows) * math.ceil(width / columns)
    if count > MAX_SEGMENTS or count * rows * columns > 2 * planes * MAX_PIXELS:
        raise UnreadablePhoto(f"{name}: its strips or tiles are too many: save it with larger ones")
    where = (TILE_OFFSETS, TILE_LENGTHS) if tiled else (STRIP_OFFSETS, STRIP_LENGTHS)
    offsets, lengths = (
        tags.numbers(data, directory.entries[tag]) if tag in directory.entries else np.empty(0, np.int64)
        for tag in where
    )
    if len(offsets) != count or len(lengths) != count:
        raise UnreadablePhoto(f"{name}: its strips or tiles are not listed in full: save it anew")
    if np.any(offsets <= 0) or np.any(lengths <= 0) or np.any(offsets > len(data) - lengths):
        raise UnreadablePhoto(
            f"{name}: cut short, or strips or tiles are left out: get the file again, or save it anew"
        )
    orientation = get(274, 1)
    return Page(
        directory=directory,
        width=width,
        height=height,
        depth=int(depths[0]),
        channels=channels,
        inverted=colour == _WHITE_IS_ZERO,
        orientation=orientation if 1 <= orientation <= 8 else 1,
        compression=compression,
        predicted=predictor == 2 and compression not in (NONE, PACKBITS),
        tiled=tiled,
        coded=(rows, columns, channels // planes),
        offsets=offsets,
        lengths=lengths,
    )
