"""The quantized DCT coefficients of a JPEG file, read and written without loss by libjpeg-turbo (jpegio).

libjpeg sees a *bare* file only: frame, tables and scans. Metadata passes it by, and what follows the end of the picture
never gets near it.
"""

import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import jpegio
import numpy as np

from veilkey.carriers.hidden import clean_segments
from veilkey.carriers.jpeg.segments import (
    DHT,
    DQT,
    DRI,
    EOI,
    FRAMES,
    SOF_BASELINE,
    SOI,
    SOS,
    Frame,
    Jpeg,
    Segment,
    join,
    parse,
    quantization_tables,
    scan_header,
)
from veilkey.errors import UnreadablePhoto
from veilkey.quiet import quiet

# What Huffman coding of 8 bits can hold (T.81, tables F.1 and F.2). libjpeg writes what is beyond wrongly, and says
# nothing.
DC_RANGE = (-1024, 1023)
AC_RANGE = (-1023, 1023)
# Pixels. What larger pictures were read into is not kept: it takes 4 to 12 bytes for each.
SPARED = 25_000_000

_APP0, _APP14 = 0xE0, 0xEE
_JFIF_SIZE = 14
_COLOURS = {1: "L", 2: "RGB", 3: "YCbCr"}


@dataclass(frozen=True, eq=False)
class Component:
    """One channel.

    blocks: (rows, columns, 8, 8) int16, quantized; [..., 0, 0] is DC, the last axis is horizontal frequency. As `read`
    gives it, read-only and not contiguous. Blocks that only fill up MCUs are not among them.
    quantization: (8, 8) uint16, in the same order. sampling: horizontal and vertical factor, each 1 to 4.
    """

    blocks: np.ndarray
    quantization: np.ndarray
    sampling: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Coefficients:
    """A picture of `width` x `height` pixels as stored.

    colour: "YCbCr" or "RGB" of three components, "L" of one; what libjpeg takes it for. spare: what they were read
    into, for `canvas` to use again, which saves libjpeg reading a file of that size once more; None of large pictures.
    """

    width: int
    height: int
    colour: str
    components: tuple[Component, ...]
    spare: jpegio.DecompressedJpeg | None = None

    def blocks(self) -> list[np.ndarray]:
        return [component.blocks for component in self.components]


def read(data: bytes, name: str = "the picture") -> Coefficients:
    """The coefficients of a file; `name` is for messages. Takes about 6 bytes of memory for each of them at its peak.

    Raises:
        UnreadablePhoto: refused by `parse`, undecodable, or a coefficient is larger than can be written again.
    """
    jpeg = parse(data, name)
    try:
        return _coefficients(jpeg)
    except UnreadablePhoto as error:
        raise UnreadablePhoto(f"{name}: {error}") from None


def write(data: bytes, coefficients: Coefficients) -> bytes:
    """The protected file: `data` with other coefficients, and without hidden copies of the picture (`clean_segments`;
    nothing follows its end). Frame, quantization tables, restart interval and metadata stay, in their order; Huffman
    tables are new and optimal. There is one scan; a progressive file has several, libjpeg's usual ones, where they are
    smaller, as they are for all but small pictures.

    Raises:
        UnreadablePhoto: refused by `parse`.
        ValueError: the coefficients are of another shape, or beyond what a JPEG can hold: DC_RANGE, AC_RANGE.
    """
    blocks = coefficients.blocks()
    jpeg = parse(data)
    handle = canvas(jpeg, coefficients.spare)
    ways = (False, True) if jpeg.frame.progressive else (False,)
    coded = min((encode(handle, blocks, progressive=way) for way in ways), key=lambda way: len(way.encode()))
    frame = next(s.marker for s in coded.segments if s.marker in FRAMES)
    kept = [
        replace(s, marker=frame) if s.marker in FRAMES else s
        for s in clean_segments(jpeg.segments)
        if s.marker not in (SOI, DHT, DRI, SOS, EOI)
    ]
    scans = [s for s in coded.segments if s.marker in (DHT, DRI, SOS)]
    return join([Segment(SOI), *(replace(s, gap=b"") for s in kept), *scans, Segment(EOI)])


def bare(jpeg: Jpeg) -> bytes:
    """The file without metadata, but for what tells the kind of colour: JFIF (without its thumbnail) and Adobe."""
    header = jpeg.segments[: [segment.marker for segment in jpeg.segments].index(SOS)]
    colour = []
    for segment in header:
        if segment.marker == _APP0 and segment.payload.startswith(b"JFIF\0") and len(segment.payload) >= _JFIF_SIZE:
            colour.append(Segment(_APP0, segment.payload[: _JFIF_SIZE - 2] + b"\0\0"))
        elif segment.marker == _APP14 and segment.payload.startswith(b"Adobe"):
            colour.append(Segment(_APP14, segment.payload))
    # libjpeg wants every quantization table before the first scan, to write them again.
    tables = [segment for segment in jpeg.segments if segment.marker == DQT]
    coded = [segment for segment in jpeg.segments if segment.marker in (*FRAMES, DHT, DRI, SOS, EOI)]
    return join([Segment(SOI), *(replace(segment, gap=b"") for segment in (*colour, *tables, *coded))])


def with_size(jpeg: Jpeg, width: int, height: int) -> Jpeg:
    """The file with another size in its frame header."""
    segments = [
        replace(s, payload=s.payload[:1] + struct.pack(">HH", height, width) + s.payload[5:])
        if s.marker in FRAMES
        else s
        for s in jpeg.segments
    ]
    return replace(jpeg, segments=tuple(segments), frame=replace(jpeg.frame, width=width, height=height))


def decode(data: bytes) -> jpegio.DecompressedJpeg:
    """What libjpeg reads of a bare file. Raises `UnreadablePhoto` for libjpeg's errors."""
    # libjpeg warns of small damage, such as stray bytes that many cameras write.
    with _path_of(data) as path, quiet():
        try:
            return jpegio.read(path)
        except RuntimeError as error:
            reason = str(error).removeprefix("[JSTRUCT] ").strip()
            raise UnreadablePhoto(f"the JPEG cannot be decoded ({reason}): get it again, or save it anew") from None


def encode(
    handle: jpegio.DecompressedJpeg, blocks: Sequence[np.ndarray], *, progressive: bool = False, optimize: bool = True
) -> Jpeg:
    """A bare file of other coefficients in the frame of a decoded one, taken apart again.

    Without `optimize` the Huffman tables in `handle` are used. Raises ValueError for blocks of another shape, or beyond
    what a JPEG can hold: DC_RANGE, AC_RANGE.
    """
    if _beyond(blocks):
        raise ValueError(f"DC must be within {DC_RANGE} and AC within {AC_RANGE}")
    for array, part in zip(handle.coef_arrays, blocks, strict=True):
        if as_blocks(array).shape != part.shape:
            raise ValueError(f"blocks must be of the shape {as_blocks(array).shape}. Received: {part.shape}")
        as_blocks(array)[...] = part
    handle.progressive_mode, handle.optimize_coding = progressive, optimize
    with _path_of(b"") as path:
        handle.write(path)
        return parse(Path(path).read_bytes())


def canvas(jpeg: Jpeg, spare: jpegio.DecompressedJpeg | None = None) -> jpegio.DecompressedJpeg:
    """What `encode` writes into, in the frame of a file: `spare` where that will do, else one whose coefficients are 0.

    The components use the Huffman tables of the file's only scan, else one for the first and one for the rest.
    """
    frame, last = jpeg.frame, {segment.marker: segment for segment in jpeg.segments}
    slots = [(min(index, 1),) * 2 for index in range(len(frame.components))]
    if jpeg.one_scan:
        named = {identifier: (dc, ac) for identifier, dc, ac in scan_header(jpeg.scans[0]).components}
        slots = [named[component.identifier] for component in frame.components]
    handle = spare if spare and _fits(spare, frame, slots) else decode(_blank(jpeg, slots))
    handle.restart_interval = int.from_bytes(last[DRI].payload, "big") if DRI in last else 0
    return handle


def _fits(handle: jpegio.DecompressedJpeg, frame: Frame, slots: Sequence[tuple[int, int]]) -> bool:
    tables = len(handle.dc_huff_tables), len(handle.ac_huff_tables)
    return (
        (handle.image_width, handle.image_height) == (frame.width, frame.height)
        and [(info.dc_tbl_no, info.ac_tbl_no) for info in handle.comp_info] == slots
        and tables == tuple(len(set(names)) for names in zip(*slots, strict=True))
    )


def _blank(jpeg: Jpeg, slots: Sequence[tuple[int, int]]) -> bytes:
    """A bare file in the frame of another whose coefficients all are 0. `slots`: DC and AC table of each component."""
    frame = jpeg.frame
    # One code of one bit, 0: no difference of DC, and the end of the block.
    code = bytes((1, *bytes(15), 0))
    tables = {(kind, names[kind]) for names in slots for kind in (0, 1)}
    wide, high = frame.mcu
    in_mcu = sum(c.horizontal * c.vertical for c in frame.components) if len(frame.components) > 1 else 1
    blocks = -(-frame.width // wide) * -(-frame.height // high) * in_mcu
    header = b"".join(bytes((c.identifier, dc << 4 | ac)) for c, (dc, ac) in zip(frame.components, slots, strict=True))
    coded = [
        Segment(SOF_BASELINE, next(s.payload for s in jpeg.segments if s.marker in FRAMES)),
        Segment(DHT, b"".join(bytes((kind << 4 | slot,)) + code for kind, slot in sorted(tables))),
        Segment(SOS, bytes((len(slots),)) + header + bytes((0, 63, 0)), scan=bytes(-(-2 * blocks // 8))),
        Segment(EOI),
    ]
    kept = [s for s in jpeg.segments if s.marker not in (*FRAMES, DHT, DRI, SOS, EOI)]
    return bare(replace(jpeg, segments=(*kept, *coded)))


def as_blocks(plane: np.ndarray) -> np.ndarray:
    """(rows, columns, 8, 8) view of a plane (8 rows, 8 columns) of coefficients."""
    return plane.reshape(plane.shape[0] // 8, 8, plane.shape[1] // 8, 8).swapaxes(1, 2)


def _coefficients(jpeg: Jpeg) -> Coefficients:
    handle = decode(bare(jpeg))
    tables = quantization_tables(jpeg.segments)
    components = []
    for part, array in zip(jpeg.frame.components, handle.coef_arrays, strict=True):
        blocks = as_blocks(array.astype(np.int16))
        blocks.flags.writeable = False
        components.append(Component(blocks, tables[part.table], (part.horizontal, part.vertical)))
    if handle.jpeg_color_space not in _COLOURS:
        raise UnreadablePhoto("the JPEG's kind of colour is not supported: save it as ordinary RGB or grey first")
    if _beyond(component.blocks for component in components):
        raise UnreadablePhoto(
            "the JPEG has coefficients larger than the format allows: open it in an image editor and save it first"
        )
    width, height, colour = jpeg.frame.width, jpeg.frame.height, _COLOURS[handle.jpeg_color_space]
    return Coefficients(width, height, colour, tuple(components), handle if width * height <= SPARED else None)


def _beyond(blocks: Iterable[np.ndarray]) -> bool:
    """Whether a coefficient is outside of what a JPEG can hold."""
    for part in blocks:
        dc = part[..., 0, 0]
        if part.min() < AC_RANGE[0] or part.max() > AC_RANGE[1]:
            ac = part.copy()
            ac[..., 0, 0] = 0
            if ac.min() < AC_RANGE[0] or ac.max() > AC_RANGE[1] or dc.min() < DC_RANGE[0] or dc.max() > DC_RANGE[1]:
                return True
    return False


@contextmanager
def _path_of(data: bytes) -> Iterator[str]:
    """A path under which `data` can be read and written: jpegio takes no bytes. In memory where the system can (Linux),
    so that no photo is left on a disk."""
    if hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd"):
        with os.fdopen(os.memfd_create("veilkey"), "wb") as file:
            file.write(data)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with TemporaryDirectory() as folder:
            path = Path(folder, "bare.jpg")
            path.write_bytes(data)
            yield str(path)
