"""A PNG file as its chunks (ISO/IEC 15948, 5)."""

import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from veilkey.errors import UnreadablePhoto

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Encoders cut the picture into chunks of some KiB; a file of countless empty ones costs only time.
CHUNKS = 1000
BYTES_A_CHUNK = 1024
# Which depths each colour type may have (11.2.1).
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}


class Chunk(NamedTuple):
    kind: bytes
    body: bytes | memoryview


class Header(NamedTuple):
    """IHDR. colour: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    def chunk(self) -> Chunk:
        size = struct.pack(">IIBBBBB", self.width, self.height, self.depth, self.colour, 0, 0, self.interlaced)
        return Chunk(b"IHDR", size)


def parse(data: bytes, name: str) -> tuple[list[Chunk], bytes]:
    """A file's chunks from IHDR to IEND, and what follows IEND. Bodies are views of `data`.

    Raises:
        UnreadablePhoto: a chunk is cut short or damaged, or chunks are missing or out of order.
    """
    if not data.startswith(SIGNATURE):
        raise UnreadablePhoto(f"{name}: not a PNG file")
    chunks: list[Chunk] = []
    view, start, most = memoryview(data), len(SIGNATURE), CHUNKS + len(data) // BYTES_A_CHUNK
    while not chunks or chunks[-1].kind != b"IEND":
        if len(chunks) == most:
            raise UnreadablePhoto(f"{name}: has over {most} chunks: save it anew")
        if start + 12 > len(data):
            raise UnreadablePhoto(f"{name}: cut short: get the file again")
        length, kind = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        if end > len(data):
            raise UnreadablePhoto(f"{name}: cut short: get the file again")
        if zlib.crc32(view[start + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise UnreadablePhoto(f"{name}: damaged (a checksum is wrong): get the file again")
        chunks.append(Chunk(kind, view[start + 8 : end - 4]))
        start = end
    _check_order([chunk.kind for chunk in chunks], name)
    return chunks, data[start:]


def _check_order(kinds: list[bytes], name: str) -> None:
    pictures = kinds.count(b"IDAT")
    first = kinds.index(b"IDAT") if pictures else 0
    if kinds[0] != b"IHDR" or kinds.count(b"IHDR") > 1 or kinds[first : first + pictures] != [b"IDAT"] * pictures:
        raise UnreadablePhoto(f"{name}: its chunks are out of order: get the file again")
    if not pictures:
        raise UnreadablePhoto(f"{name}: holds no picture: get the file again")


def read_header(chunks: Sequence[Chunk], name: str) -> Header:
    """
    Raises:
        UnreadablePhoto: no header that PNG allows.
    """
    if len(chunks[0].body) == 13:
        width, height, depth, colour, compression, filtering, interlacing = struct.unpack(">IIBBBBB", chunks[0].body)
        if depth in _DEPTHS.get(colour, ()) and compression == filtering == 0 and interlacing < 2:
            return Header(width, height, depth, colour, bool(interlacing))
    raise UnreadablePhoto(f"{name}: its header is damaged: get the file again")


def write(chunks: Iterable[Chunk], tail: bytes = b"") -> bytes:
    """What `parse` reads."""
    parts: list[bytes | memoryview] = [SIGNATURE]
    for kind, body in chunks:
        parts += (struct.pack(">I4s", len(body), kind), body, struct.pack(">I", zlib.crc32(body, zlib.crc32(kind))))
    return b"".join((*parts, tail))
