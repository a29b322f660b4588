"""A WebP file as its chunks (RFC 9649)."""

import struct
from collections.abc import Iterable
from typing import NamedTuple

from veilkey.errors import UnreadablePhoto

MAX_CHUNKS = 4096
_FILE_HEADER = 12


class Chunk(NamedTuple):
    """`start`: where the body is in the file."""

    kind: bytes
    body: bytes
    start: int


def is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def kinds(head: bytes) -> list[bytes]:
    """The kinds of the chunks that begin in `head`, which may be cut short."""
    found: list[bytes] = []
    start = _FILE_HEADER
    while start + 8 <= len(head) and len(found) < MAX_CHUNKS:
        kind, length = struct.unpack_from("<4sI", head, start)
        found.append(kind)
        start += 8 + length + length % 2
    return found


def parse(data: bytes, name: str) -> tuple[list[Chunk], int]:
    """A file's chunks, and where the last one ends.

    Raises:
        UnreadablePhoto: cut short or damaged.
    """
    if not is_webp(data):
        raise UnreadablePhoto(f"{name}: not a WebP file")
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    chunks: list[Chunk] = []
    start = _FILE_HEADER
    if end > len(data):
        raise UnreadablePhoto(f"{name}: cut short: get the file again")
    while start < end:
        kind, length = struct.unpack_from("<4sI", data, start) if start + 8 <= end else (b"", end)
        if start + 8 + length > end or len(chunks) == MAX_CHUNKS:
            raise UnreadablePhoto(f"{name}: damaged (its chunks do not add up): get the file again")
        chunks.append(Chunk(kind, data[start + 8 : start + 8 + length], start + 8))
        start += 8 + length + length % 2
    if not chunks or start != end:
        raise UnreadablePhoto(f"{name}: damaged (its chunks do not add up): get the file again")
    return chunks, end


def write(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A file of chunks: kinds and bodies."""
    body = b"".join(kind + struct.pack("<I", len(each)) + each + bytes(len(each) % 2) for kind, each in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body
