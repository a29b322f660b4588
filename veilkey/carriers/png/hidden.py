"""What of a PNG's chunks may stay beside another picture: nothing that describes the old pixels or shows them."""

import re
import zlib
from collections.abc import Iterable, Iterator

from veilkey.carriers.hidden import clean_exif, clean_streams
from veilkey.carriers.png.chunks import Chunk

# The third edition of PNG says of its own chunks what each needs. Of others the fourth letter tells: a capital where
# the chunk depends on the pixels (5.4), as previews, layers, Apple's index of rows and signed manifests do.
_FIT_ANY_PIXELS = {b"IHDR", b"IEND", b"cHRM", b"gAMA", b"iCCP", b"sRGB", b"cICP", b"mDCV", b"cLLI", b"tIME"}
_FIT_ONE_COLOUR_TYPE = {b"PLTE", b"tRNS", b"bKGD", b"sBIT"}
_TEXT = {b"tEXt", b"zTXt", b"iTXt"}
_MAX_TEXT = 32 * 2**20  # inflated, all chunks together
_NOT_HEX = re.compile(rb"[^0-9A-Fa-f]+")


def without_copies(chunks: Iterable[Chunk], same_colour_type: bool) -> Iterator[Chunk]:
    """The chunks that fit beside other pixels, with pictures in them blanked.

    Left out are, too, text that inflates to more than 32 MiB in all, and a "Raw profile" that holds a picture.
    """
    left = _MAX_TEXT
    for chunk in chunks:
        if chunk.kind in _TEXT:
            cleaned, length = _clean_text(chunk, left)
            left -= length
            if cleaned:
                yield cleaned
        elif chunk.kind == b"eXIf":
            yield Chunk(chunk.kind, clean_exif(bytes(chunk.body)))
        elif chunk.kind == b"IDAT" or chunk.kind in _FIT_ANY_PIXELS:
            yield chunk
        elif chunk.kind in _FIT_ONE_COLOUR_TYPE:
            if same_colour_type:
                yield chunk
        elif chunk.kind[3:].islower():
            yield Chunk(chunk.kind, clean_streams(bytes(chunk.body)))


def _clean_text(chunk: Chunk, most: int) -> tuple[Chunk | None, int]:
    """The chunk without pictures, None where that cannot be had, and how long its text is."""
    body = bytes(chunk.body)
    keyword, _, rest = body.partition(b"\0")
    packed = chunk.kind == b"zTXt" or chunk.kind == b"iTXt" and rest[:1] == b"\1"
    # zTXt: method. iTXt: flag, method, language, translated keyword.
    start = len(body) if chunk.kind == b"iTXt" else len(keyword) + 1 + (chunk.kind == b"zTXt")
    if chunk.kind == b"iTXt" and rest.count(b"\0", 2) >= 2:
        start -= len(rest[2:].split(b"\0", 2)[2])
    text = body[start:]
    if packed:
        inflater = zlib.decompressobj()
        try:
            text = inflater.decompress(text, max(most, 1))
        except zlib.error:
            return None, 0
        if not inflater.eof:
            return None, len(text)
    if keyword.startswith(b"Raw profile type"):
        return (None if _shows(_profile(text)) else chunk), len(text)
    cleaned = clean_streams(text)
    if cleaned == text:
        return chunk, len(text)
    return Chunk(chunk.kind, body[:start] + (zlib.compress(cleaned) if packed else cleaned)), len(text)


def _profile(text: bytes) -> bytes:
    """What ImageMagick's "Raw profile" holds: lines with a name, a length, and then the bytes in hexadecimal."""
    digits = _NOT_HEX.sub(b"", b"".join(text.split(b"\n", 3)[3:]))
    return bytes.fromhex(digits[: len(digits) // 2 * 2].decode())


def _shows(profile: bytes) -> bool:
    return clean_exif(profile) != profile
