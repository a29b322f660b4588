"""Lossless WebP: the same chunks out, with another picture in them. Lossy WebP is `sealed`."""

import io
from dataclasses import dataclass
from typing import ClassVar, Self

import imagecodecs
import numpy as np
from PIL import Image

from veilkey.carriers import parts, patches, riff
from veilkey.carriers.hidden import clean_exif, clean_xmp
from veilkey.carriers.limits import check_ratio, check_size
from veilkey.carriers.orientation import orientation_of, to_stored, to_upright
from veilkey.carriers.picture import Picture
from veilkey.carriers.pixels import PixelCarrier
from veilkey.carriers.riff import Chunk
from veilkey.errors import UnreadablePhoto

_PICTURE = b"VP8L"
_ANIMATION = (b"ANIM", b"ANMF")
# What WebP says that any program may read; other chunks may hold another copy of the picture.
_KEPT = (b"VP8X", b"ICCP")
_CLEANED = {b"EXIF": clean_exif, b"XMP ": clean_xmp}
# Quality and method of libwebp, by number, which keys keep: add at the end only. The first writes what is new. cwebp
# and Pillow take these by themselves; those that search longer take minutes a megapixel.
_WRITERS = ((75, 4), (80, 4))
_MAX_SEARCHED = 4_000_000  # pixels


@dataclass(frozen=True, eq=False)
class WebpCarrier(PixelCarrier):
    """opened, chunks: the file. end: of its chunks. orientation: EXIF's, 1 to 8."""

    opened: bytes
    chunks: list[Chunk]
    end: int
    orientation: int

    kind: ClassVar[str] = "webp"
    suffixes: ClassVar[tuple[str, ...]] = (".webp",)

    @classmethod
    def probe(cls, head: bytes) -> bool:
        return riff.is_webp(head) and any(kind in riff.kinds(head) for kind in (_PICTURE, *_ANIMATION))

    @classmethod
    def read(cls, data: bytes, name: str) -> Self:
        chunks, end = riff.parse(data, name)
        found = [chunk.kind for chunk in chunks]
        if any(kind in found for kind in _ANIMATION):
            raise UnreadablePhoto(f"{name}: is animated: save the picture you want as its own file")
        if found.count(_PICTURE) != 1 or b"VP8 " in found or found.count(b"VP8X") != (found[0] != _PICTURE):
            raise UnreadablePhoto(f"{name}: its chunks are out of order: get the file again")
        bodies = {chunk.kind: chunk.body for chunk in chunks}
        orientation = orientation_of(bodies.get(b"EXIF", b""))
        stored = _decode(bodies[_PICTURE], name)
        mode = "RGBA" if stored.shape[2] == 4 else "RGB"
        picture = Picture(to_upright(stored, orientation), mode, bodies.get(b"ICCP"))
        return cls(picture, data, chunks, end, orientation)

    def _encode(self) -> bytes:
        return riff.write((kind, self._body(kind, body)) for kind, body, _ in self.chunks)

    def saved(self, protected: bytes) -> bytes:
        mine = next(chunk.body for chunk in self.chunks if chunk.kind == _PICTURE)
        number, stream = 0, mine
        if self.shown.height * self.shown.width <= _MAX_SEARCHED:
            for number in range(1, 1 + len(_WRITERS)):
                if self._deflated(number - 1) == mine:
                    stream = b""
                    break
        number = 0 if stream else number
        draft = _with_picture(protected, mine)
        tail = self.opened[self.end :]
        return parts.join([bytes([number]), stream, *patches.differences(self.opened[: self.end], draft), tail])

    def rebuild(self, saved: bytes, protected: bytes) -> bytes:
        number, stream, runs, bodies, tail = parts.split(saved, 5)
        if len(number) != 1 or number[0] > len(_WRITERS):
            raise parts.not_fitting()
        draft = _with_picture(protected, self._deflated(number[0] - 1) if number[0] else stream)
        patches.patch(draft, runs, bodies)
        return bytes(draft) + tail

    def _body(self, kind: bytes, body: bytes) -> bytes:
        """Of a chunk of this kind in the protected file: as long as it was, but for the picture's."""
        if kind == _PICTURE:
            return self._deflated(0)
        if kind in _CLEANED:
            return _CLEANED[kind](body)
        return body if kind in _KEPT else bytes(len(body))

    def _deflated(self, writer: int) -> bytes:
        """The body of the picture's chunk."""
        quality, method = _WRITERS[writer]
        file = io.BytesIO()
        image = Image.fromarray(to_stored(self.shown.pixels, self.orientation))
        image.save(file, "WEBP", lossless=True, exact=True, quality=quality, method=method)
        chunks, _ = riff.parse(file.getvalue(), "the picture")
        body = bytearray(next(chunk.body for chunk in chunks if chunk.kind == _PICTURE))
        if self.shown.mode == "RGBA":  # the encoder drops an alpha channel that is opaque all over
            body[4] |= 0x10
        return bytes(body)


def _decode(body: bytes, name: str) -> np.ndarray:
    """(H, W, 3 or 4) uint8 as stored, of the body of a lossless picture's chunk (RFC 9649, 3.4)."""
    if len(body) < 5 or body[0] != 0x2F:
        raise UnreadablePhoto(f"{name}: damaged: get the file again")
    bits = int.from_bytes(body[1:5], "little")
    width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    check_size(width, height, name)
    check_ratio(4 * width * height, len(body), name)
    try:
        return imagecodecs.webp_decode(riff.write([(_PICTURE, body)]))
    except (imagecodecs.WebpError, ValueError, MemoryError):
        raise UnreadablePhoto(f"{name}: cut short or damaged: get the file again") from None


def _with_picture(protected: bytes, body: bytes) -> bytearray:
    """The protected file with another body in the picture's chunk."""
    chunks, _ = riff.parse(protected, "the protected file")
    return bytearray(riff.write((each.kind, body if each.kind == _PICTURE else each.body) for each in chunks))
