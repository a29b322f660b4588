"""What a key keeps of a JPEG file beside the noise, and the way back to the file, byte for byte.

Kept are the file's segments (all of them, so that a copy without metadata will do; as differences from the protected
file's where that saves over ALONE bytes), what followed its end, and a recipe for its entropy-coded data, given the
coefficients, however a copy codes them. Recipes are tried from the smallest to the largest, each by following it:

    tables  the data are what libjpeg writes with the file's own Huffman tables: most files that have one scan
    jxl     JPEG XL's description of a JPEG bitstream (`jbrd` box, ISO/IEC 18181-2), which leaves out the coefficients,
            as libjxl gave it for the original: progressive files, several scans, odd fill bits
    whole   the data themselves: of files that libjxl does not take (progressive 4:1:1, for one) or that are damaged

With the first two go, where they are not what libjpeg would put there, the blocks that only fill up MCUs.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum

import numpy as np

from veilkey.carriers import parts
from veilkey.carriers.jpeg.coefficients import (
    Coefficients,
    as_blocks,
    bare,
    canvas,
    decode,
    encode,
    read,
    with_size,
)
from veilkey.carriers.jpeg.segments import (
    DHT,
    DRI,
    SOS,
    Frame,
    Jpeg,
    Segment,
    frame_of,
    huffman_tables,
    join,
    parse,
    scan_header,
)
from veilkey.errors import CheckFailed, ForeignKey, UnreadablePhoto

VERSION = 1
ALONE = 16 * 1024
_JBRD = b"jbrd"
_PARTS = 4


class _Step(IntEnum):
    TABLES = 1
    JXL = 2
    WHOLE = 3


class _Segment(IntEnum):
    """How a segment is kept: as it stands, not at all, or as the XOR with the protected file's."""

    LITERAL = 0
    SAME = 1
    XOR = 2


@dataclass(frozen=True)
class _Recipe:
    """How to come by the entropy-coded data of each scan. data: the jbrd box, or all scans. padding: blocks that only
    fill up MCUs, b"" for libjpeg's."""

    step: _Step
    data: bytes = b""
    padding: bytes = b""


def save(original: bytes, protected: bytes) -> bytes:
    """What has to be kept to get from the protected file (`write` made it of this original) back to the original.

    It was followed, and gave the original. A few hundred bytes beside the hidden copies and what followed the picture's
    end; as large as the original where only the whole data will do.

    Raises:
        UnreadablePhoto: one of them is refused by `parse`.
        CheckFailed: the way back does not lead to the original.
    """
    source, published = parse(original), parse(protected)
    coefficients = read(original)
    for recipe in _recipes(source):
        saved = _pack(recipe, source, published)
        try:
            if rebuild(saved, protected, coefficients) == original:
                return saved
        except ForeignKey:
            continue
    raise CheckFailed("the JPEG file could not be rebuilt in memory, so nothing was written: save it anew first")


def rebuild(saved: bytes, protected: bytes, coefficients: Coefficients) -> bytes:
    """The original file, of what `save` gave, the protected file and the original's coefficients.

    Raises:
        ForeignKey: these do not belong together, or `saved` is damaged.
    """
    with _fitting():
        recipe, segments, tail = _unpack(saved, parse(protected))
        scans = iter(_follow(recipe, segments, coefficients))
        whole = [replace(s, scan=next(scans)) if s.marker == SOS else s for s in segments]
    return join(whole, tail)


def segments_of(saved: bytes, protected: bytes) -> list[Segment]:
    """The original's segments without the data of scans. Raises ForeignKey as `rebuild` does."""
    with _fitting():
        return _unpack(saved, parse(protected))[1]


@contextmanager
def _fitting() -> Iterator[None]:
    """Whatever goes wrong inside the block leaves it as ForeignKey."""
    try:
        yield
    except (UnreadablePhoto, LookupError, RuntimeError, StopIteration, ValueError, struct.error) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise ForeignKey(
            f"the key does not lead from this file back to the original ({reason}): find the protected file as it was"
        ) from None


def recipe_of(saved: bytes) -> str:
    """By which recipe what `save` gave leads back: "tables", "jxl" or "whole"."""
    head = parts.split(saved[1:], _PARTS)[0]
    return _Step(head[0]).name.lower()


def _recipes(source: Jpeg) -> Iterator[_Recipe]:
    padding = b""
    if source.one_scan:
        yield _Recipe(_Step.TABLES)
        padding = _padding(source)
        if padding:
            yield _Recipe(_Step.TABLES, padding=padding)
    description = _describe(bare(source))
    if description:
        yield _Recipe(_Step.JXL, description)
        if padding:
            yield _Recipe(_Step.JXL, description, padding)
    yield _Recipe(_Step.WHOLE, b"".join(_sized(segment.scan) for segment in source.scans))


def _follow(recipe: _Recipe, segments: Sequence[Segment], coefficients: Coefficients) -> list[bytes]:
    """The entropy-coded data of the original's scans. `segments`: the original's, without these."""
    if recipe.step is _Step.WHOLE:
        cursor = _Cursor(recipe.data)
        return [cursor.sized() for segment in segments if segment.marker == SOS]
    blocks, frame = coefficients.blocks(), frame_of(segments)
    if [frame.shape(component) for component in frame.components] != [part.shape[:2] for part in blocks]:
        raise ValueError("it is of another size")
    source = Jpeg(tuple(segments), b"", frame)
    if recipe.padding:
        source = _padded(source)
        blocks = _fill_up(blocks, source.frame, recipe.padding)
    handle = canvas(source, coefficients.spare)
    if recipe.step is _Step.TABLES:
        header = scan_header(source.scans[0])
        tables = huffman_tables(segments)
        for kind, own in enumerate((handle.dc_huff_tables, handle.ac_huff_tables)):
            slots = sorted({names[1 + kind] for names in header.components})
            for slot, table in zip(slots, own, strict=True):
                counts, symbols = tables[kind, slot]
                table["counts"][:] = list(counts)
                table["symbols"][:] = list(symbols.ljust(256, b"\0"))
        coded = encode(handle, blocks, optimize=False)
    else:
        carrier = with_size(encode(handle, blocks), frame.width, frame.height)
        coded = parse(_redescribed(carrier.encode(), recipe.data))
    return [segment.scan for segment in coded.scans]


def _padded(jpeg: Jpeg) -> Jpeg:
    """The same file with its size rounded up to whole MCUs.

    In a file of one scan the data mean the same, but libjpeg takes the blocks that fill up the last MCUs for picture,
    and keeps them.
    """
    wide, high = jpeg.frame.mcu
    return with_size(jpeg, -(-jpeg.frame.width // wide) * wide, -(-jpeg.frame.height // high) * high)


def _padding(source: Jpeg) -> bytes:
    """The blocks that only fill up MCUs, of each component those on the right and then those below: int16."""
    padded = _padded(source)
    if padded.frame == source.frame:
        return b""
    try:
        arrays = [as_blocks(array) for array in decode(bare(padded)).coef_arrays]
    except UnreadablePhoto:  # the padded size is beyond libjpeg's limit
        return b""
    parts = []
    for component, array in zip(source.frame.components, arrays, strict=True):
        rows, columns = source.frame.shape(component)
        parts += [array[:, columns:], array[rows:, :columns]]
    return b"".join(part.astype("<i2").tobytes() for part in parts)


def _fill_up(blocks: Sequence[np.ndarray], frame: Frame, padding: bytes) -> list[np.ndarray]:
    """Blocks with those around them that `_padding` kept; `frame` is of the padded size."""
    values = np.frombuffer(padding, "<i2")
    filled = []
    for part, component in zip(blocks, frame.components, strict=True):
        whole = np.empty((*frame.shape(component), 8, 8), np.int16)
        rows, columns = part.shape[:2]
        whole[:rows, :columns] = part
        for place in (whole[:, columns:], whole[rows:, :columns]):
            place[...] = values[: place.size].reshape(place.shape)
            values = values[place.size :]
        filled.append(whole)
    return filled


def _describe(data: bytes) -> bytes:
    """The jbrd box of a bare file; b"" where libjxl does not take it."""
    from imagecodecs import JpegxlError, jpegxl_encode_jpeg  # a fifth of a second that most photos do without

    try:
        return dict(_boxes(bytes(jpegxl_encode_jpeg(data)))).get(_JBRD, b"")
    except JpegxlError:
        return b""


def _redescribed(carrier: bytes, description: bytes) -> bytes:
    """The JPEG file that has the coefficients of `carrier` and otherwise is as a jbrd box says."""
    from imagecodecs import jpegxl_decode_jpeg, jpegxl_encode_jpeg

    described = bytearray()
    for kind, data in _boxes(bytes(jpegxl_encode_jpeg(carrier))):
        data = description if kind == _JBRD else data
        described += struct.pack(">I4s", 8 + len(data), kind) + data
    return bytes(jpegxl_decode_jpeg(bytes(described), numthreads=1))


def _boxes(container: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, content) of each box of a JPEG XL file (ISO/IEC 14496-12, 4.2)."""
    position = 0
    while position < len(container):
        length, kind = struct.unpack_from(">I4s", container, position)
        start = position + 8
        if length == 1:
            length, start = struct.unpack_from(">Q", container, start)[0], start + 8
        end = position + length if length else len(container)
        yield kind, container[start:end]
        position = end


def _pack(recipe: _Recipe, source: Jpeg, published: Jpeg) -> bytes:
    """Version, then as parts: step and each segment, recipe, padding, tail."""
    alone, beside = (_head(recipe, source, own) for own in ([], _uncoded(published)))
    head = alone if len(zlib.compress(alone)) <= len(zlib.compress(beside)) + ALONE else beside
    return bytes((VERSION,)) + parts.join([head, recipe.data, recipe.padding, source.tail])


def _head(recipe: _Recipe, source: Jpeg, own: list[Segment]) -> bytes:
    """`own`: segments of the protected file that the source's may be kept as differences from."""
    head = [bytes((recipe.step,)), struct.pack("<I", len(source.segments))]
    for segment in source.segments:
        how, payload = _Segment.LITERAL, segment.payload
        if own and (own[0].marker, len(own[0].payload)) == (segment.marker, len(payload)):
            payload = _xor(payload, own.pop(0).payload)
            how = _Segment.XOR if any(payload) else _Segment.SAME
        head += [bytes((how, segment.marker)), _sized(segment.gap)]
        if how is not _Segment.SAME:
            head.append(_sized(payload))
    return b"".join(head)


def _unpack(saved: bytes, published: Jpeg) -> tuple[_Recipe, list[Segment], bytes]:
    """The recipe, the original's segments without the data of scans, and what follows the end."""
    if saved[:1] != bytes((VERSION,)):
        raise ValueError("it is of another version of veilkey")
    head, data, padding, tail = parts.split(saved[1:], _PARTS)
    cursor, own, segments = _Cursor(head), _uncoded(published), []
    recipe = _Recipe(_Step(cursor.byte()), data, padding)
    for _ in range(cursor.number()):
        how, marker, gap = _Segment(cursor.byte()), cursor.byte(), cursor.sized()
        if how is _Segment.LITERAL:
            payload = cursor.sized()
        else:
            payload = own.pop(0).payload
            if how is _Segment.XOR:
                payload = _xor(payload, cursor.sized())
        segments.append(Segment(marker, payload, gap))
    return recipe, segments, tail


def _uncoded(published: Jpeg) -> list[Segment]:
    """Segments of the protected file that were not written anew."""
    return [segment for segment in published.segments if segment.marker not in (DHT, DRI, SOS)]


def _xor(one: bytes, other: bytes) -> bytes:
    """Raises ValueError for unequal lengths."""
    return (np.frombuffer(one, np.uint8) ^ np.frombuffer(other, np.uint8)).tobytes()


def _sized(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


class _Cursor:
    """Reads on through bytes; raises ValueError at their end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0

    def byte(self) -> int:
        return self._take(1)[0]

    def number(self) -> int:
        return int.from_bytes(self._take(4), "little")

    def sized(self) -> bytes:
        return self._take(self.number())

    def _take(self, count: int) -> bytes:
        taken = self._data[self._position : self._position + count]
        if len(taken) < count:
            raise ValueError("cut short")
        self._position += count
        return taken
