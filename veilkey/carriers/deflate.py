"""Which compressor wrote a zlib stream: found by writing it again."""

import itertools
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

# What libpng and most others take, then Pillow's.
_MEMORY = (8, 9)
# Likeliest first: libpng's for filtered rows, zlib's own, OpenCV's.
_STRATEGIES = (zlib.Z_FILTERED, zlib.Z_DEFAULT_STRATEGY, zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY, zlib.Z_FIXED)
# The levels that zlib says in a stream's header (RFC 1950, FLEVEL), likeliest first.
_LEVELS = ((1, 0), (5, 4, 3, 2), (6,), (9, 8, 7))
_STEP = 2**16  # bytes that are deflated before what comes out is looked at
_PACKED = struct.Struct("<BBBB")


class Setting(NamedTuple):
    """Arguments of `zlib.compressobj`."""

    level: int
    window: int
    memory: int
    strategy: int

    def packed(self) -> bytes:
        return _PACKED.pack(*self)

    @classmethod
    def unpacked(cls, data: bytes) -> "Setting":
        """Raises ValueError for what `packed` does not give."""
        try:
            setting = cls(*_PACKED.unpack(data))
        except struct.error:
            raise ValueError("no setting of zlib") from None
        if setting.level > 9 or not 9 <= setting.window <= 15 or not 1 <= setting.memory <= 9 or setting.strategy > 4:
            raise ValueError("no setting of zlib")
        return setting


def compress(setting: Setting, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A zlib stream of `pieces`, piece by piece."""
    level, window, memory, strategy = setting
    deflater = zlib.compressobj(level, zlib.DEFLATED, window, memory, strategy)
    for piece in pieces:
        for start in range(0, len(piece), _STEP):
            yield deflater.compress(piece[start : start + _STEP])
    yield deflater.flush()


def find_setting(stream: bytes, pieces: Callable[[], Iterable[bytes]]) -> Setting | None:
    """The setting with which zlib makes `stream` of what `pieces()` yields; None where it does with none.

    Settings are dropped at the first byte that differs, so only one runs to the end.
    """
    if len(stream) < 2 or stream[0] & 15 != zlib.DEFLATED:
        return None
    window = (stream[0] >> 4) + 8
    for setting in _settings(max(9, min(window, 15)), stream[1] >> 6):
        if _makes(setting, stream, pieces()):
            return setting
    return None


def _settings(window: int, said: int) -> Iterator[Setting]:
    levels = _LEVELS[said]
    for strategy, memory, level in itertools.product(_STRATEGIES, _MEMORY, levels):
        yield Setting(level, window, memory, strategy)
    if said == 0:  # The header of these strategies says 0 whatever the level, and they are alike at all but 1.
        for memory, strategy in itertools.product(_MEMORY, (zlib.Z_RLE, zlib.Z_HUFFMAN_ONLY)):
            yield Setting(6, window, memory, strategy)


def _makes(setting: Setting, stream: bytes, pieces: Iterable[bytes]) -> bool:
    done = 0
    for made in compress(setting, pieces):
        if stream[done : done + len(made)] != made:
            return False
        done += len(made)
    return done == len(stream)
