"""How what a key saves of a file is written: a row of byte strings, each deflated where that makes it smaller."""

import struct
import zlib
from collections.abc import Sequence

from veilkey.errors import ForeignKey

# Far more than any part of a file takes that deflates well; what does not is held in a key of bounded size anyway.
MAX_INFLATED = 64 * 2**20
_HEAD = struct.Struct("<BI")


def join(parts: Sequence[bytes]) -> bytes:
    """One byte string of several."""
    joined = []
    for part in parts:
        deflated = zlib.compress(part, 9)
        inflates = len(deflated) < len(part) <= MAX_INFLATED
        body = deflated if inflates else part
        joined += [_HEAD.pack(inflates, len(body)), body]
    return b"".join(joined)


def split(joined: bytes, count: int) -> list[bytes]:
    """The `count` byte strings that `join` was given.

    Raises:
        ForeignKey: `joined` is something else.
    """
    parts, start = [], 0
    for _ in range(count):
        if start + _HEAD.size > len(joined):
            raise not_fitting()
        inflates, length = _HEAD.unpack_from(joined, start)
        start += _HEAD.size + length
        body = joined[start - length : start]
        if len(body) != length or inflates > 1:
            raise not_fitting()
        parts.append(_inflate(body) if inflates else body)
    if start != len(joined):
        raise not_fitting()
    return parts


def not_fitting() -> ForeignKey:
    return ForeignKey("what the key saved of the original file does not fit this one: find the file as it was written")


def _inflate(body: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        part = inflater.decompress(body, MAX_INFLATED)
    except zlib.error:
        raise not_fitting() from None
    if not inflater.eof or inflater.unused_data:
        raise not_fitting()
    return part
