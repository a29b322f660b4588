"""Unprotected copies of a face in a photo's metadata: thumbnails, previews, second pictures.

Copies are overwritten in place, with zeros or with base64 of zeros, so that lengths and offsets stay true and every
other tag reads as before. A copy is found by what it is (a JPEG or PNG stream) rather than by the maker's tag that
points to it, for those tags are many and undocumented.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from veilkey.carriers.jpeg.segments import Segment

_MAX_IFDS = 32
_MAX_STRIPS = 4096
_TIFF = {b"II*\0": "<", b"MM\0*": ">"}
# Tags (TIFF 6.0, Exif 3.0): offsets of strips, tiles and JPEG thumbnails, and where their lengths stand.
_LENGTHS = {0x0111: 0x0117, 0x0144: 0x0145, 0x0201: 0x0202}
_THUMBNAIL = 0x0201
_SUB_IFDS = (0x014A, 0x8769, 0x8825, 0xA005)
_SHORT, _LONG, _IFD = 3, 4, 13

# Some Minolta cameras alter the first byte of a preview, so that a stream is known by the second.
_STREAM = re.compile(rb"\xd8\xff[\xc0-\xfe]")
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_EOI, _SOS = 0xD9, 0xDA
_ALONE = {0x01, *range(0xD0, 0xD8)}
_PNG, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND"

# How base64 of a JPEG, PNG or WebP begins; XML may break its lines by white space or by character references.
_BASE64 = re.compile(rb"(?:/9j/|iVBORw0KGgo|UklGR)(?:[A-Za-z0-9+/\s]|&#x?[0-9A-Fa-f]{1,2};){100,}")
_BASE64_DIGITS = re.compile(rb"(&#x?[0-9A-Fa-f]{1,2};)|[A-Za-z0-9+/]+")

_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
_PHOTOSHOP_THUMBNAILS = (0x0409, 0x040C)
_PHOTOSHOP_HEADER = 28  # bytes of a thumbnail resource before its picture
_FLASHPIX_STREAM = b"FPXR\0\0\x02"
_JUMBF = b"JP"


def clean_exif(block: bytes) -> bytes:
    """An Exif block with all pictures in it blanked: thumbnails, JPEG or uncompressed, and previews in makers' notes.

    The block is a TIFF structure, as in APP1 of JPEG, eXIf of PNG and EXIF of WebP; it may start with "Exif\\0\\0".
    What comes back is of the same length.
    """
    start = len(_EXIF) if block.startswith(_EXIF) else 0
    data = bytearray(block)
    for first, last in _union(_thumbnails(block[start:])):
        data[start + first : start + last] = bytes(last - first)
    return clean_streams(bytes(data))


def clean_xmp(packet: bytes) -> bytes:
    """An XMP packet (UTF-8) with all pictures in base64 blanked. Of the same length."""
    return _BASE64.sub(
        lambda found: _BASE64_DIGITS.sub(lambda run: run[1] or b"A" * len(run[0]), found[0]),
        packet,
    )


def clean_streams(block: bytes) -> bytes:
    """Any bytes with the JPEG and PNG streams in them blanked, raw and in base64. Of the same length."""
    data = bytearray(block)
    for first, last in [*_jpeg_streams(block), *_png_streams(block)]:
        data[first:last] = bytes(last - first)
    return clean_xmp(bytes(data))


def clean_segments(segments: Iterable[Segment]) -> list[Segment]:
    """The segments of a JPEG file without copies of the picture: each as it was, with thumbnails and previews blanked.

    The index of second pictures (MPF) is left out. They stand after the first one's end, where nothing stays.
    """
    kept = [segment for segment in segments if not (segment.marker == 0xE2 and segment.payload.startswith(b"MPF\0"))]
    for family, members in _families(kept).items():
        header = _HEADERS.get(family[0], 0)
        bodies = [kept[member].payload[header:] for member in members]
        cleaned = _CLEANERS.get(family[0], clean_streams)(b"".join(bodies))
        start = 0
        for member, body in zip(members, bodies, strict=True):
            end = start + len(body)
            kept[member] = replace(kept[member], payload=kept[member].payload[:header] + cleaned[start:end])
            start = end
    return kept


def _thumbnails(tiff: bytes) -> Iterator[tuple[int, int]]:
    """Where (first, last + 1) the IFDs say that pictures are."""
    order = _TIFF.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return
    # The first IFD describes the photo itself, which is not in here: strips that it names are another file's.
    pending: list[tuple[int, bool]] = [(struct.unpack_from(order + "I", tiff, 4)[0], False)]
    seen: set[int] = set()
    while pending and len(seen) < _MAX_IFDS:
        offset, has_picture = pending.pop()
        if offset in seen or offset + 2 > len(tiff):
            continue
        seen.add(offset)
        entries = _entries(tiff, offset, order)
        for tag in _SUB_IFDS:
            pending += [(at, True) for at in _values(tiff, entries, tag, order)]
        end = offset + 2 + 12 * struct.unpack_from(order + "H", tiff, offset)[0]
        if end + 4 <= len(tiff):
            pending.append((struct.unpack_from(order + "I", tiff, end)[0], True))
        for tag, lengths in _LENGTHS.items() if has_picture else ():
            starts, sizes = _values(tiff, entries, tag, order), _values(tiff, entries, lengths, order)
            for at, size in zip(starts, sizes, strict=False):
                if tag != _THUMBNAIL or b"\xd8\xff" in tiff[at : at + 4]:
                    yield min(at, len(tiff)), min(at + size, len(tiff))


def _entries(tiff: bytes, offset: int, order: str) -> dict[int, int]:
    """Tag -> offset of its entry, of one IFD."""
    count = struct.unpack_from(order + "H", tiff, offset)[0]
    places = range(offset + 2, min(offset + 2 + 12 * count, len(tiff) - 11), 12)
    return {struct.unpack_from(order + "H", tiff, place)[0]: place for place in places}


def _values(tiff: bytes, entries: dict[int, int], tag: int, order: str) -> Sequence[int]:
    """The numbers of an entry; none where it is missing, of another type or damaged."""
    if tag not in entries:
        return ()
    kind, count = struct.unpack_from(order + "HI", tiff, entries[tag] + 2)
    if kind not in (_SHORT, _LONG, _IFD) or not 1 <= count <= _MAX_STRIPS:
        return ()
    layout = f"{order}{count}{'H' if kind == _SHORT else 'I'}"
    place = entries[tag] + 8
    if struct.calcsize(layout) > 4:
        place = struct.unpack_from(order + "I", tiff, place)[0]
    return struct.unpack_from(layout, tiff, place) if place + struct.calcsize(layout) <= len(tiff) else ()


def _union(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same places, each once: hostile IFDs name one place a hundred thousand times."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _jpeg_streams(block: bytes) -> Iterator[tuple[int, int]]:
    """Where JPEG streams are, from SOI to EOI; one that is cut short takes all that follows."""
    dead: set[int] = set()  # places from which no scan is reached, so that nothing is walked twice
    found = _STREAM.search(block)
    while found:
        end = _stream_end(block, found.start() + 1, dead)
        if end is not None:
            yield max(found.start() - 1, 0), end
        found = _STREAM.search(block, found.start() + 1 if end is None else end)


def _stream_end(block: bytes, position: int, dead: set[int]) -> int | None:
    """Where the stream ends whose first marker after SOI is at `position`; None if that is no stream."""
    walked: list[int] = []
    in_scan = False
    while True:
        if in_scan:
            found = _MARKER.search(block, position)
            if found is None:
                return len(block)
            position = found.start()
        elif position in dead or block[position : position + 1] != b"\xff" or position + 4 > len(block):
            dead.update(walked)
            return None
        walked.append(position)
        marker = block[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
        elif marker == _EOI and in_scan:
            return position + 2
        elif marker in _ALONE:
            position += 2
        elif marker < 0xC0 or marker in (0xD8, _EOI):
            if in_scan:
                return len(block)
            position = len(block)
        else:
            in_scan = in_scan or marker == _SOS
            position += 2 + int.from_bytes(block[position + 2 : position + 4], "big")


def _png_streams(block: bytes) -> Iterator[tuple[int, int]]:
    first = block.find(_PNG)
    while first >= 0:
        end = block.find(_PNG_END, first)
        last = len(block) if end < 0 else min(end + 8, len(block))
        yield first, last
        first = block.find(_PNG, last)


def _clean_photoshop(body: bytes) -> bytes:
    """Image resource blocks: signature, number, name, length, data; name and data padded to even lengths."""
    data = bytearray(body)
    position = 0
    while position + 7 <= len(body) and body[position : position + 4] in (b"8BIM", b"PHUT", b"DCSR", b"AgHg", b"MeSa"):
        number = int.from_bytes(body[position + 4 : position + 6], "big")
        start = position + 6 + (body[position + 6] // 2 + 1) * 2
        length = int.from_bytes(body[start : start + 4], "big")
        end = min(start + 4 + length, len(body))
        picture = min(start + 4 + _PHOTOSHOP_HEADER, end)
        if number in _PHOTOSHOP_THUMBNAILS:
            data[picture:end] = bytes(end - picture)
        position = end + length % 2
    return clean_streams(bytes(data))


def _clean_jfif(body: bytes) -> bytes:
    return body[:14] + bytes(len(body[14:]))


def _clean_jfxx(body: bytes) -> bytes:
    """A thumbnail as JPEG right after the kind, or as pixels after its size, too."""
    keep = 6 if body[5:6] == b"\x10" else 8
    return body[:keep] + bytes(len(body[keep:]))


def _families(segments: Sequence[Segment]) -> dict[tuple[str, int, bytes], list[int]]:
    """Which segments belong together, each family in the order of its pieces: (kind, marker, which one) -> indices."""
    families: dict[tuple[str, int, bytes], list[tuple[bytes, int]]] = {}
    exif = 0
    for index, segment in enumerate(segments):
        marker, payload = segment.marker, segment.payload
        kind, which, order = "", b"", b""
        if not (0xE0 <= marker <= 0xEF or marker == 0xFE) or marker == 0xE2 and payload.startswith(b"ICC_PROFILE\0"):
            continue
        if marker == 0xE0 and payload.startswith((b"JFIF\0", b"JFXX\0")):
            kind, which = payload[:4].decode(), index.to_bytes(4, "big")
        elif marker == 0xE1 and payload.startswith(_EXIF):
            exif += payload[6:10] in _TIFF  # one without is a continuation
            kind, which = "Exif", exif.to_bytes(4, "big")
        elif marker == 0xE1 and payload.startswith(_EXTENDED_XMP):
            kind, which, order = "extended XMP", payload[35:67], payload[71:75]
        elif marker == 0xE1 and payload.startswith(_XMP):
            kind, which = "XMP", index.to_bytes(4, "big")
        elif marker == 0xE2 and payload.startswith(_FLASHPIX_STREAM):
            kind = "FlashPix"
        elif marker == 0xEB and payload.startswith(_JUMBF):
            kind, which, order = "JUMBF", payload[2:4], payload[4:8]
        elif marker == 0xED and payload.startswith(_PHOTOSHOP):
            kind = "Photoshop"
        families.setdefault((kind, marker, which), []).append((order, index))
    return {family: [index for _, index in sorted(members)] for family, members in families.items()}


# Bytes of each piece before its share of the whole.
_HEADERS = {
    "Exif": len(_EXIF),
    "XMP": len(_XMP),
    "extended XMP": len(_EXTENDED_XMP) + 40,
    "FlashPix": len(_FLASHPIX_STREAM) + 6,
    "JUMBF": 16,
    "Photoshop": len(_PHOTOSHOP),
}
_CLEANERS = {
    "JFIF": _clean_jfif,
    "JFXX": _clean_jfxx,
    "Exif": clean_exif,
    "XMP": clean_xmp,
    "extended XMP": clean_xmp,
    "Photoshop": _clean_photoshop,
}
