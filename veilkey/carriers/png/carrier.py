"""PNG of 1 to 16 bits a channel: the same chunks out, with another picture in them."""

import hashlib
import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import imagecodecs
import numpy as np

from veilkey.carriers.limits import check_ratio, check_size
from veilkey.carriers.orientation import orientation_of, to_stored, to_upright
from veilkey.carriers.picture import Picture
from veilkey.carriers.pixels import PixelCarrier
from veilkey.carriers.png import chunks as png_chunks
from veilkey.carriers.png import hidden as png_hidden
from veilkey.carriers.png import saved as png_saved
from veilkey.carriers.png.chunks import Chunk, Header
from veilkey.carriers.png.rows import passes
from veilkey.errors import UnreadablePhoto

_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_AT_ONCE = 1 << 20
_MAX_PROFILE = 16 * 2**20
_ALL_FILTERS = 0xF8  # libpng's PNG_ALL_FILTERS


@dataclass(frozen=True, eq=False)
class PngCarrier(PixelCarrier):
    """low: what 16-bit channels have below `shown`, uint8 of its shape; None where channels have 8 bits at most.
    chunks, tail: the file, see `png_chunks.parse`. orientation: EXIF's, 1 to 8."""

    low: np.ndarray | None
    chunks: list[Chunk]
    tail: bytes
    orientation: int

    kind: ClassVar[str] = "png"
    suffixes: ClassVar[tuple[str, ...]] = (".png",)

    @classmethod
    def probe(cls, head: bytes) -> bool:
        return head.startswith(png_chunks.SIGNATURE)

    @classmethod
    def read(cls, data: bytes, name: str) -> Self:
        chunks, tail = png_chunks.parse(data, name)
        header = png_chunks.read_header(chunks, name)
        check_size(header.width, header.height, name)
        packed = sum(len(chunk.body) for chunk in chunks if chunk.kind == b"IDAT")
        check_ratio(sum(part.height * part.length for part in passes(header)), packed, name)
        if any(chunk.kind == b"acTL" for chunk in chunks):
            raise UnreadablePhoto(f"{name}: is animated: save the picture you want as its own file")
        exif = next((bytes(chunk.body) for chunk in chunks if chunk.kind == b"eXIf"), b"")
        orientation = orientation_of(exif)
        pixels = to_upright(_decode(header, chunks, name), orientation)
        high, low = (pixels, None) if header.depth < 16 else _halves(pixels)
        mode = _MODES[pixels.shape[2] if pixels.ndim == 3 else 1]
        return cls(Picture(high, mode, _icc_profile(chunks)), low, chunks, tail, orientation)

    def digest(self) -> bytes:
        if self.low is None:
            return self.shown.digest()
        return hashlib.sha256(self.shown.digest() + np.ascontiguousarray(self.low).tobytes()).digest()

    def _encode(self) -> bytes:
        # Filters adapted to every row: a few per cent larger than the smallest that zlib makes, in a third of the time.
        encoded = bytes(imagecodecs.png_encode(self._stored(), level=4, strategy=zlib.Z_FILTERED, filter=_ALL_FILTERS))
        ours, _ = png_chunks.parse(encoded, "the picture")
        picture = [chunk for chunk in ours if chunk.kind == b"IDAT"]
        return png_chunks.write(self._with_picture(png_chunks.read_header(ours, "the picture"), picture))

    def saved(self, protected: bytes) -> bytes:
        return png_saved.save(self.chunks, self.tail, self._stored(), protected)

    def rebuild(self, saved: bytes, protected: bytes) -> bytes:
        return png_saved.rebuild(saved, self._stored(), protected)

    def _stored(self) -> np.ndarray:
        """The pixels as they lie in the file, (H, W) or (H, W, 2 to 4), uint8 or uint16."""
        pixels = self.shown.pixels
        if self.low is not None:
            pixels = pixels.astype(np.uint16) << 8 | self.low
        return to_stored(pixels, self.orientation)

    def _with_picture(self, header: Header, picture: list[Chunk]) -> Iterator[Chunk]:
        """The file's chunks around another picture."""
        before = png_chunks.read_header(self.chunks, "the picture")
        same_colour_type = (before.depth, before.colour) == (header.depth, header.colour)
        waiting = picture
        for chunk in png_hidden.without_copies(self.chunks, same_colour_type):
            if chunk.kind == b"IHDR":
                yield header.chunk()
            elif chunk.kind == b"IDAT":
                yield from waiting
                waiting = []
            else:
                yield chunk


def _decode(header: Header, chunks: list[Chunk], name: str) -> np.ndarray:
    """Stored pixels (H, W) or (H, W, 2 to 4), uint8 or uint16; palettes and transparent colours spelled out."""
    stream = b"".join(chunk.body for chunk in chunks if chunk.kind == b"IDAT")
    # Without the other chunks nothing but the picture can fail, and no text is inflated. Unknown ones with a capital at
    # first say that who does not know them cannot show the picture.
    others = [chunk for chunk in chunks if chunk.kind == b"tRNS" or chunk.kind[:1].isupper() and chunk.kind != b"IDAT"]
    parts = passes(header)
    lengths = [part.height * (part.length + 1) for part in parts]
    try:
        if _inflates_beyond(stream, sum(lengths)):
            raise UnreadablePhoto(f"{name}: holds more than its picture: save it anew")
        if not header.interlaced:
            return _decode_rows(header, others, stream)
        # imagecodecs writes a warning to stderr for every interlaced file, so each pass is read as a file of its own.
        inflated = zlib.decompressobj().decompress(stream, sum(lengths))
        whole = np.empty(0)
        for part, end in zip(parts, itertools.accumulate(lengths), strict=True):
            width = len(range(header.width)[part.columns])
            smaller = header._replace(width=width, height=part.height, interlaced=False)
            rows = inflated[end - part.height * (part.length + 1) : end]
            pixels = _decode_rows(smaller, others, zlib.compress(rows, 0))
            if not len(whole):
                whole = np.empty((header.height, header.width, *pixels.shape[2:]), pixels.dtype)
            whole[part.rows, part.columns] = pixels
        return whole
    except (imagecodecs.PngError, zlib.error, ValueError, MemoryError) as error:
        raise UnreadablePhoto(f"{name}: damaged ({' '.join(str(error).split())[:80]}): get the file again") from None


def _inflates_beyond(stream: bytes, length: int) -> bool:
    """Whether a deflated stream gives more than `length` bytes; libpng would go on to its end."""
    inflater = zlib.decompressobj()
    while length and stream and not inflater.eof:
        length -= len(inflater.decompress(stream, min(length, _AT_ONCE)))
        stream = inflater.unconsumed_tail
    return not inflater.eof and bool(inflater.decompress(stream, 1))


def _decode_rows(header: Header, others: list[Chunk], stream: bytes) -> np.ndarray:
    """The pixels of a file that is not interlaced, from its deflated rows and all critical chunks but those of rows."""
    rest = [chunk for chunk in others if chunk.kind not in (b"IHDR", b"IEND")]
    file = png_chunks.write([header.chunk(), *rest, Chunk(b"IDAT", stream), Chunk(b"IEND", b"")])
    return imagecodecs.png_decode(file)


def _halves(deep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """High and low bytes of uint16."""
    return (deep >> 8).astype(np.uint8), deep.astype(np.uint8)


def _icc_profile(chunks: list[Chunk]) -> bytes | None:
    """The profile that iCCP holds, None where there is none or it is damaged (viewers then pass it over, too)."""
    body = next((bytes(chunk.body) for chunk in chunks if chunk.kind == b"iCCP"), b"")
    packed = body.partition(b"\0")[2][1:]
    try:
        return zlib.decompressobj().decompress(packed, _MAX_PROFILE) or None
    except zlib.error:
        return None
