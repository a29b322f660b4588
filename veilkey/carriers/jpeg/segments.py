"""A JPEG file as marker segments, entropy-coded data and what follows its end (ITU-T T.81, annex B).

`parse` takes a file apart so that putting it together again gives the same bytes, and refuses what the rest of veilkey
could not give back exactly, or what would cost more memory than the file deserves. It comes before libjpeg, which reads
files that are cut short as if they were whole.
"""

import math
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from veilkey.carriers.limits import check_size
from veilkey.errors import UnreadablePhoto

TEM, SOI, EOI, SOS, DQT, DRI, DHT, COM = 0x01, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xC4, 0xFE
SOF_BASELINE, SOF_EXTENDED, SOF_PROGRESSIVE = 0xC0, 0xC1, 0xC2
APP = range(0xE0, 0xF0)
FRAMES = (SOF_BASELINE, SOF_EXTENDED, SOF_PROGRESSIVE)

MAX_SIDE = 65_500  # pixels; libjpeg's own limit
MAX_SCANS = 100
MAX_SEGMENTS = 10_000
MAX_BLOCKS_IN_MCU = 10

_ALONE = {TEM, SOI, EOI, *range(0xD0, 0xD8)}
_ORDINARY = {*FRAMES, DHT, SOS, DQT, DRI, COM, *APP}
_ARITHMETIC = {0xC9, 0xCA, 0xCB, 0xCC, 0xCD, 0xCE, 0xCF}
_LOSSLESS_OR_HIERARCHICAL = {0xC3, 0xC5, 0xC6, 0xC7, 0xDE, 0xDF}
_DNL = 0xDC

_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_MARKER_AFTER_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")

# From the order in which a file lists a block's 64 values to their places in the block (T.81, figure 5).
ZIGZAG = np.array(sorted(range(64), key=lambda i: (i // 8 + i % 8, (i // 8, i % 8)[(i // 8 + i % 8 + 1) % 2])))

_SAVE_IT_ANEW = "open it in an image editor and save it as an ordinary JPEG or PNG first"


@dataclass(frozen=True)
class Segment:
    """One marker with what belongs to it. `payload` is without the length field."""

    marker: int
    payload: bytes = b""
    gap: bytes = b""
    """What stands before the marker and belongs to nothing: fill bytes, mostly."""
    scan: bytes = b""
    """Only of SOS: the entropy-coded data that follow it, restart markers included."""

    def encode(self) -> bytes:
        if self.marker in _ALONE:
            return self.gap + bytes((0xFF, self.marker))
        head = struct.pack(">BBH", 0xFF, self.marker, len(self.payload) + 2)
        return b"".join((self.gap, head, self.payload, self.scan))


@dataclass(frozen=True)
class FrameComponent:
    identifier: int
    horizontal: int
    """Sampling factor, 1 to 4."""
    vertical: int
    table: int
    """Slot of its quantization table, 0 to 3."""


@dataclass(frozen=True)
class Frame:
    """What the frame header says, checked."""

    progressive: bool
    width: int
    height: int
    components: tuple[FrameComponent, ...]

    @property
    def mcu(self) -> tuple[int, int]:
        """Width and height of an MCU of all components, pixels; 8 x 8 of a grey picture, whatever its factors."""
        if len(self.components) == 1:
            return 8, 8
        return 8 * max(c.horizontal for c in self.components), 8 * max(c.vertical for c in self.components)

    def shape(self, component: FrameComponent) -> tuple[int, int]:
        """Rows and columns of a component's blocks, without those that only fill up MCUs."""
        widest, highest = (max(c.horizontal for c in self.components), max(c.vertical for c in self.components))
        return (
            -(-self.height * component.vertical // (8 * highest)),
            -(-self.width * component.horizontal // (8 * widest)),
        )


@dataclass(frozen=True)
class Scan:
    """What a scan header says: (component identifier, DC table slot, AC table slot) of each component, and its band."""

    components: tuple[tuple[int, int, int], ...]
    first: int
    last: int
    high: int
    """Successive approximation: 0 in the first scan of a band."""


@dataclass(frozen=True)
class Jpeg:
    """A whole file. `segments` runs from SOI to EOI, `tail` is everything after it."""

    segments: tuple[Segment, ...]
    tail: bytes
    frame: Frame

    @property
    def scans(self) -> tuple[Segment, ...]:
        return tuple(segment for segment in self.segments if segment.marker == SOS)

    @property
    def one_scan(self) -> bool:
        """Whether it is sequential with all components in one scan, as most files are."""
        headers = [scan_header(segment) for segment in self.scans]
        return (
            not self.frame.progressive
            and len(headers) == 1
            and len(headers[0].components) == len(self.frame.components)
        )

    def encode(self) -> bytes:
        return join(self.segments, self.tail)


def join(segments: Iterable[Segment], tail: bytes = b"") -> bytes:
    return b"".join([*(segment.encode() for segment in segments), tail])


def parse(data: bytes, name: str = "the picture") -> Jpeg:
    """Take a file apart; `parse(data).encode()` is `data`. `name` is for messages.

    Raises:
        UnreadablePhoto: no JPEG, cut short, or of a kind or size that is refused; the message says which.
    """
    try:
        jpeg = _parse(data)
    except UnreadablePhoto as error:
        raise UnreadablePhoto(f"{name}: {error}") from None
    check_size(jpeg.frame.width, jpeg.frame.height, name)
    return jpeg


def quantization_tables(segments: Iterable[Segment]) -> dict[int, np.ndarray]:
    """Slot -> table (8, 8) uint16 in natural order, of every DQT segment.

    Raises:
        UnreadablePhoto: cut short, a step is 0, or a slot is filled twice with different tables.
    """
    damaged = UnreadablePhoto(f"the JPEG's quantization tables are damaged: get it again, or {_SAVE_IT_ANEW}")
    tables: dict[int, np.ndarray] = {}
    for segment in segments:
        rest = segment.payload if segment.marker == DQT else b""
        while rest:
            wide, slot = rest[0] >> 4, rest[0] & 15
            size = 128 if wide else 64
            if wide > 1 or slot > 3 or len(rest) < 1 + size:
                raise damaged
            values = np.empty(64, np.uint16)
            values[ZIGZAG] = np.frombuffer(rest[1 : 1 + size], ">u2" if wide else np.uint8)
            table = values.reshape(8, 8)
            if not table.all():  # also one that no channel uses: libjpeg reads it, and does not write it
                raise damaged
            if not np.array_equal(tables.setdefault(slot, table), table):
                raise UnreadablePhoto(f"the JPEG changes its quantization tables between scans: {_SAVE_IT_ANEW}")
            rest = rest[1 + size :]
    return tables


def huffman_tables(segments: Iterable[Segment]) -> dict[tuple[int, int], tuple[bytes, bytes]]:
    """(0 of DC or 1 of AC, slot) -> (16 counts, symbols), of every DHT segment; a later table replaces an earlier one.

    Raises:
        UnreadablePhoto: cut short or too large.
    """
    tables = {}
    for segment in segments:
        rest = segment.payload if segment.marker == DHT else b""
        while rest:
            counts = rest[1:17]
            symbols = rest[17 : 17 + sum(counts)]
            if len(counts) < 16 or len(symbols) < sum(counts) or sum(counts) > 256:
                raise UnreadablePhoto(f"the JPEG's Huffman tables are damaged: get it again, or {_SAVE_IT_ANEW}")
            tables[rest[0] >> 4, rest[0] & 15] = (counts, symbols)
            rest = rest[17 + len(symbols) :]
    return tables


def scan_header(segment: Segment) -> Scan:
    """Raises `UnreadablePhoto` for a scan header that is damaged."""
    payload = segment.payload
    count = payload[0] if payload else 0
    if not 1 <= count <= 4 or len(payload) != 4 + 2 * count:
        raise UnreadablePhoto(f"a scan header of the JPEG is damaged: get it again, or {_SAVE_IT_ANEW}")
    pairs = zip(payload[1 : 1 + 2 * count : 2], payload[2 : 2 + 2 * count : 2], strict=True)
    first, last, approximation = payload[-3:]
    return Scan(tuple((c, slots >> 4, slots & 15) for c, slots in pairs), first, last, approximation >> 4)


def _parse(data: bytes) -> Jpeg:
    if not data.startswith(b"\xff\xd8"):
        raise UnreadablePhoto("this is not a JPEG file: check what it is")
    segments, position = [Segment(SOI)], 2
    while segments[-1].marker != EOI:
        if len(segments) == MAX_SEGMENTS:
            raise UnreadablePhoto(f"the JPEG has over {MAX_SEGMENTS} segments: {_SAVE_IT_ANEW}")
        segment, position = _segment_at(data, position)
        _refuse_unusual(segment.marker)
        segments.append(segment)
    frame = frame_of(segments)
    _check_scans(segments, frame)
    _check_quantization(segments, frame)
    return Jpeg(tuple(segments), data[position:], frame)


def _segment_at(data: bytes, position: int) -> tuple[Segment, int]:
    found = _MARKER.search(data, position)
    if found is None:
        raise _cut_short()
    marker, gap = data[found.end() - 1], data[position : found.start()]
    start = found.end()
    if marker in _ALONE:
        return Segment(marker, gap=gap), start
    length = int.from_bytes(data[start : start + 2], "big")
    end = start + length
    if end > len(data) or start + 2 > len(data):
        raise _cut_short()
    if length < 2:
        raise UnreadablePhoto(f"a segment of the JPEG has no length: get the file again, or {_SAVE_IT_ANEW}")
    payload = data[start + 2 : end]
    if marker != SOS:
        return Segment(marker, payload, gap), end
    after = _MARKER_AFTER_SCAN.search(data, end)
    if after is None:
        raise _cut_short()
    scan = data[end : after.start()].rstrip(b"\xff")  # fill bytes are the next marker's
    return Segment(SOS, payload, gap, scan), end + len(scan)


def _cut_short() -> UnreadablePhoto:
    return UnreadablePhoto("the JPEG is cut short: get the whole file again")


def _refuse_unusual(marker: int) -> None:
    if marker in _ARITHMETIC:
        raise UnreadablePhoto(f"the JPEG uses arithmetic coding: {_SAVE_IT_ANEW}")
    if marker in _LOSSLESS_OR_HIERARCHICAL:
        raise UnreadablePhoto(f"the JPEG is of the lossless or hierarchical kind: {_SAVE_IT_ANEW}")
    if marker == _DNL:
        raise UnreadablePhoto(f"the JPEG tells its height after the picture (DNL): {_SAVE_IT_ANEW}")
    if marker in (SOI, TEM) or marker not in _ORDINARY | _ALONE:
        raise UnreadablePhoto(
            f"the JPEG has a marker (FF {marker:02X}) where none may be: get it again, or {_SAVE_IT_ANEW}"
        )


def frame_of(segments: Sequence[Segment]) -> Frame:
    """Raises `UnreadablePhoto` for none, several, and one that is damaged or not supported."""
    markers = [segment.marker for segment in segments]
    frames = [segment for segment in segments if segment.marker in FRAMES]
    if len(frames) != 1 or SOS not in markers or markers.index(frames[0].marker) > markers.index(SOS):
        raise UnreadablePhoto(f"the JPEG holds no picture, or several in one: get it again, or {_SAVE_IT_ANEW}")
    payload = frames[0].payload
    if len(payload) < 6 or len(payload) != 6 + 3 * payload[5]:
        raise UnreadablePhoto(f"the JPEG's frame header is damaged: get it again, or {_SAVE_IT_ANEW}")
    precision, height, width, count = struct.unpack(">BHHB", payload[:6])
    if precision != 8:
        raise UnreadablePhoto(f"the JPEG has {precision} bits a channel and only 8 are supported: {_SAVE_IT_ANEW}")
    if count == 4:
        raise UnreadablePhoto(f"the JPEG is CMYK and not supported: {_SAVE_IT_ANEW} in RGB")
    if count not in (1, 3):
        raise UnreadablePhoto(f"the JPEG has {count} channels, not 1 or 3: {_SAVE_IT_ANEW}")
    if height == 0:
        raise UnreadablePhoto(f"the JPEG tells its height after the picture (DNL): {_SAVE_IT_ANEW}")
    if width == 0 or max(width, height) > MAX_SIDE:
        raise UnreadablePhoto(f"the JPEG is {width}x{height}, empty or over {MAX_SIDE} pixels a side: make it smaller")
    components = tuple(
        FrameComponent(payload[i], payload[i + 1] >> 4, payload[i + 1] & 15, payload[i + 2])
        for i in range(6, 6 + 3 * count, 3)
    )
    _check_sampling(components)
    return Frame(frames[0].marker == SOF_PROGRESSIVE, width, height, components)


def _check_sampling(components: tuple[FrameComponent, ...]) -> None:
    if len({component.identifier for component in components}) != len(components):
        raise UnreadablePhoto(f"two channels of the JPEG have one name: {_SAVE_IT_ANEW}")
    factors = [(component.horizontal, component.vertical) for component in components]
    fine = all(1 <= factor <= 4 for pair in factors for factor in pair)
    if fine:
        widest, highest = max(h for h, _ in factors), max(v for _, v in factors)
        fine = all(widest % h == 0 and highest % v == 0 for h, v in factors)
    if not fine or len(components) > 1 and sum(h * v for h, v in factors) > MAX_BLOCKS_IN_MCU:
        named = ", ".join(f"{h}x{v}" for h, v in factors)
        raise UnreadablePhoto(f"the JPEG's sampling factors ({named}) are not supported: {_SAVE_IT_ANEW}")


def _check_scans(segments: list[Segment], frame: Frame) -> None:
    """Raises where a scan is none, or so short that the declared size can only be a lie."""
    scans = [segment for segment in segments if segment.marker == SOS]
    if len(scans) > MAX_SCANS:
        raise UnreadablePhoto(f"the JPEG has over {MAX_SCANS} scans: {_SAVE_IT_ANEW}")
    blocks = {component.identifier: math.prod(frame.shape(component)) for component in frame.components}
    without_data = set(blocks)
    for segment in scans:
        header = scan_header(segment)
        names = {identifier for identifier, _, _ in header.components}
        if not names <= set(blocks) or len(names) < len(header.components):
            raise UnreadablePhoto(f"a scan header of the JPEG is damaged: get it again, or {_SAVE_IT_ANEW}")
        if header.first == 0 and header.high == 0:
            without_data -= names
            # A block takes at least one bit for its DC value, and one for its end where the scan has its AC values.
            least = sum(blocks[name] for name in names) * (1 if header.last == 0 else 2)
            if 8 * len(segment.scan) < least:
                raise UnreadablePhoto(
                    f"the JPEG says {frame.width}x{frame.height} and holds far less data than that: get it again"
                )
    if without_data:
        raise UnreadablePhoto("a channel of the JPEG is missing: get the whole file again")


def _check_quantization(segments: list[Segment], frame: Frame) -> None:
    tables = quantization_tables(segments)
    for component in frame.components:
        if component.table not in tables:
            raise UnreadablePhoto(f"the JPEG's quantization tables are damaged: get it again, or {_SAVE_IT_ANEW}")
