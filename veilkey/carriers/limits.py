"""Which sizes of picture are taken."""

from veilkey.errors import UnreadablePhoto

MAX_PIXELS = 120_000_000
MAX_SIDE = 65_535
MIN_SIDE = 64


def check_size(width: int, height: int, name: str) -> None:
    """Before anything is allocated.

    Raises:
        UnreadablePhoto: too small for a face, or too large.
    """
    if width * height > MAX_PIXELS:
        raise UnreadablePhoto(f"{name}: {width}x{height} is over {MAX_PIXELS // 10**6} megapixels: make it smaller")
    if max(width, height) > MAX_SIDE:
        raise UnreadablePhoto(f"{name}: {width}x{height} is over {MAX_SIDE} pixels a side: cut it into parts")
    if min(width, height) < MIN_SIDE:
        raise UnreadablePhoto(f"{name}: {width}x{height} is under {MIN_SIDE} pixels a side: too small for a face")


# What every picture may unpack to, and how many times its size in the file a larger one may: photos stay under 50.
_ALWAYS = 2**27
_MOST_TIMES = 250


def check_ratio(unpacked: int, packed: int, name: str) -> None:
    """Before pixels are unpacked: `unpacked` bytes of them from `packed` bytes.

    Raises:
        UnreadablePhoto: no photo is so flat.
    """
    if unpacked > max(_ALWAYS, _MOST_TIMES * packed):
        times = unpacked // max(packed, 1)
        raise UnreadablePhoto(f"{name}: unpacks to {times} times its size, which no photo does: save it anew")
