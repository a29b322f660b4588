"""BMP, not compressed. Of 8 grey, 24 or 32 bits: pixels are overwritten where they lie, all else stays. With a palette:
the same picture with 24 bits."""

import struct
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from veilkey.carriers import bmp_palette, parts
from veilkey.carriers.bmp_palette import FILE_HEADER, stride_of
from veilkey.carriers.limits import check_size
from veilkey.carriers.picture import Picture
from veilkey.carriers.pixels import PixelCarrier
from veilkey.errors import UnreadablePhoto

_HEADERS = (40, 52, 56, 64, 108, 124)
_RGB, _BITFIELDS = 0, 3
_EMBEDDED = b"DEBM"
_BYTE_OF_MASK = {0xFF: 0, 0xFF00: 1, 0xFF0000: 2, 0xFF000000: 3}


@dataclass(frozen=True, eq=False)
class BmpCarrier(PixelCarrier):
    """opened: the file. start, stride: where its pixels begin and how long a row is, in bytes. depth: bytes of a pixel.
    places: which of them each channel of `shown` is. upwards: the last row comes first. end: of what is kept. indexed:
    the file as it was with its palette, which `opened` spells out; empty where it had none."""

    opened: bytes
    start: int
    stride: int
    depth: int
    places: list[int]
    upwards: bool
    end: int
    indexed: bytes = b""

    kind: ClassVar[str] = "bmp"
    suffixes: ClassVar[tuple[str, ...]] = (".bmp", ".dib")

    @classmethod
    def probe(cls, head: bytes) -> bool:
        return head.startswith(b"BM") and head[FILE_HEADER + 1 : FILE_HEADER + 4] == b"\0\0\0"

    @classmethod
    def read(cls, data: bytes, name: str) -> Self:
        header = int.from_bytes(data[FILE_HEADER : FILE_HEADER + 4], "little")
        if len(data) < FILE_HEADER + 40 or header not in _HEADERS or len(data) < FILE_HEADER + header:
            raise UnreadablePhoto(f"{name}: cut short or of a very old kind of BMP: save it anew")
        (start,) = struct.unpack_from("<I", data, 10)
        width, height, _, bits, compression = struct.unpack_from("<iiHHI", data, FILE_HEADER + 4)
        check_size(max(width, 0), abs(height), name)
        if bits not in (1, 4, 8, 24, 32) or compression != _RGB and (bits, compression) != (32, _BITFIELDS):
            raise UnreadablePhoto(f"{name}: BMP of {bits} bits or compressed is not supported: save it with 24 bits")
        places = _channels(data, header, bits, compression, name)
        stride = stride_of(width, bits)
        size, top = stride * abs(height), FILE_HEADER + header
        if not top <= start <= len(data) - size:
            raise UnreadablePhoto(f"{name}: cut short: get the file again")
        profile = _profile(data, header)
        if bits < 8 or bits == 8 and not _is_grey(data, header):
            spelled_out = bmp_palette.spelled_out(data, width, abs(height), profile)
            return replace(cls.read(spelled_out, name), indexed=data)
        end = max(start + size, profile.stop)
        pixels = _rows(data, start, stride, abs(height), width, bits // 8, upwards=height > 0)[..., places]
        picture = Picture(
            np.ascontiguousarray(pixels[..., 0] if len(places) == 1 else pixels),
            {1: "L", 3: "RGB", 4: "RGBA"}[len(places)],
            data[profile] or None,
        )
        return cls(picture, data, start, stride, bits // 8, places, height > 0, end)

    def _encode(self) -> bytes:
        file = bytearray(memoryview(self.opened)[: self.end])
        picture = self.shown
        rows = _rows(file, self.start, self.stride, picture.height, picture.width, self.depth, upwards=self.upwards)
        rows[..., self.places] = picture.pixels.reshape(picture.height, picture.width, -1)
        return bytes(file)

    def saved(self, protected: bytes) -> bytes:
        if not self.indexed:
            return parts.join([self.opened[self.end :], b"", b""])
        return parts.join(bmp_palette.taken_apart(self.indexed, self._stored(self.opened)))

    def rebuild(self, saved: bytes, protected: bytes) -> bytes:
        tail, head, differences = parts.split(saved, 3)
        if not head:
            return self.encode() + tail
        try:
            return bmp_palette.rebuilt(head, self._stored(self.encode()), differences) + tail
        except (ValueError, struct.error):
            raise parts.not_fitting() from None

    def _stored(self, file: bytes) -> np.ndarray:
        """The pixels as they lie in `file`, (H, W, depth)."""
        return _rows(file, self.start, self.stride, self.shown.height, self.shown.width, self.depth, upwards=False)


def _rows(
    file: bytes | bytearray, start: int, stride: int, height: int, width: int, depth: int, *, upwards: bool
) -> np.ndarray:
    """A view (H, W, depth) uint8 of the pixels; where they run `upwards`, turned over."""
    rows = np.frombuffer(file, np.uint8, stride * height, start).reshape(height, stride)
    return rows[:: -1 if upwards else 1, : width * depth].reshape(height, width, depth)


def _is_grey(data: bytes, header: int) -> bool:
    """Whether the palette has every level of grey in its place."""
    (colours,) = struct.unpack_from("<I", data, FILE_HEADER + 32)
    start = FILE_HEADER + header
    palette = np.frombuffer(data[start : start + 1024], np.uint8)
    if colours not in (0, 256) or len(palette) < 1024:
        return False
    return bool((palette.reshape(256, 4)[:, :3] == np.arange(256)[:, None]).all())


def _channels(data: bytes, header: int, bits: int, compression: int, name: str) -> list[int]:
    """Which byte of a pixel is red, green, blue and, where the file has it, alpha; or grey."""
    if bits == 8:
        return [0]
    if compression == _RGB:
        return [2, 1, 0]
    # After a header of 40 bytes the masks of red, green and blue follow; longer ones have them inside, and alpha's.
    count = 3 if header in (40, 52) else 4
    masks = [mask for (mask,) in struct.iter_unpack("<I", data[FILE_HEADER + 40 : FILE_HEADER + 40 + 4 * count])]
    wanted = masks if masks[3:] != [0] else masks[:3]
    places = [_BYTE_OF_MASK.get(mask, -1) for mask in wanted]
    if len(masks) < count or -1 in places or len(set(places)) < len(places):
        raise UnreadablePhoto(f"{name}: its channels are not 8 bits each: save it with 24 bits")
    return places


def _profile(data: bytes, header: int) -> slice:
    """Where the ICC profile is in the file; empty where there is none."""
    if header == 124 and data[FILE_HEADER + 56 : FILE_HEADER + 60] == _EMBEDDED:
        offset, size = struct.unpack_from("<II", data, FILE_HEADER + 112)
        if FILE_HEADER + offset + size <= len(data):
            return slice(FILE_HEADER + offset, FILE_HEADER + offset + size)
    return slice(0, 0)
