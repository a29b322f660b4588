import struct
import time
from collections.abc import Callable
from dataclasses import replace

import jpegio
import numpy as np
import pytest

from veilkey.carriers.jpeg.segments import (
    DQT,
    SOS,
    ZIGZAG,
    Jpeg,
    Segment,
    huffman_tables,
    join,
    parse,
    quantization_tables,
    scan_header,
)
from veilkey.errors import UnreadablePhoto

KINDS = {
    "one scan": {},
    "progressive": {"progressive": True},
    "restart markers": {"restart_marker_blocks": 3},
    "grey": {"grey": True},
    "comment": {"comment": b"\xff\xd9 is no end in here"},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_together_again(jpeg: Callable[..., bytes], options: dict) -> None:
    data = jpeg(**options)
    for tail in (b"", b"\xff\xd8\xff\xd9 second", b"\0"):
        parsed = parse(data + tail)
        assert parsed.encode() == data + tail
        assert parsed.tail == tail
    assert (parsed.frame.width, parsed.frame.height) == (237, 203)
    assert parsed.frame.progressive == ("progressive" in options)
    assert len(parsed.frame.components) == (1 if "grey" in options else 3)
    assert parsed.one_scan == ("progressive" not in options)


def test_fill_bytes_and_strays_are_kept(jpeg: Callable[..., bytes]) -> None:
    segments = parse(jpeg(progressive=True)).segments
    for gap in (b"\xff", b"\xff\xff\xff", b"stray", b"\0\xff\0"):
        data = join([segments[0], *(replace(segment, gap=gap) for segment in segments[1:])])
        parsed = parse(data)
        assert parsed.encode() == data
        assert [s.payload for s in parsed.segments] == [s.payload for s in segments]


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
def test_cut_short_anywhere(jpeg: Callable[..., bytes], options: dict) -> None:
    data = jpeg(**options)
    cuts = {0, 1, 2, 3, len(data) - 1, len(data) - 2, *np.linspace(4, len(data) - 3, 50).astype(int)}
    position = 0
    for segment in parse(data).segments:
        position += len(segment.encode())
        cuts |= {position - 1, position, position + 1, position + 3} - {len(data), len(data) + 1, len(data) + 3}
    for cut in cuts:
        with pytest.raises(UnreadablePhoto, match="cut short|no JPEG|not a JPEG") as caught:
            parse(data[:cut], "photo.jpg")
        assert str(caught.value).startswith("photo.jpg: ") and "\n" not in str(caught.value)


def with_frame(parsed: Jpeg, edit: Callable[[bytes], bytes], marker: int | None = None) -> bytes:
    """The file with another frame header."""
    return join(
        replace(s, payload=edit(s.payload), marker=marker or s.marker) if s.marker in (0xC0, 0xC2) else s
        for s in parsed.segments
    )


def size(width: int, height: int) -> Callable[[bytes], bytes]:
    return lambda payload: payload[:1] + struct.pack(">HH", height, width) + payload[5:]


def factors(*values: int) -> Callable[[bytes], bytes]:
    def edit(payload: bytes) -> bytes:
        edited = bytearray(payload)
        edited[7::3] = bytes(values)
        return bytes(edited)

    return edit


FRAMES = {
    "arithmetic": (lambda p: p, 0xC9, "arithmetic"),
    "arithmetic, progressive": (lambda p: p, 0xCA, "arithmetic"),
    "lossless": (lambda p: p, 0xC3, "lossless"),
    "hierarchical": (lambda p: p, 0xC5, "hierarchical"),
    "12 bits": (lambda p: b"\x0c" + p[1:], None, "12 bits"),
    "two channels": (lambda p: p[:5] + b"\2" + p[6:12], None, "2 channels"),
    "CMYK": (lambda p: p[:5] + b"\4" + p[6:] + b"\4\x11\0", None, "CMYK"),
    "cut": (lambda p: p[:-1], None, "frame header"),
    "empty": (lambda p: b"", None, "frame header"),
    "no width": (size(0, 100), None, "empty"),
    "height comes later": (size(100, 0), None, "DNL"),
    "over 65,500 a side": (size(65_501, 64), None, "65500"),
    "over 120 megapixels": (size(12_001, 10_000), None, "far less data|megapixels"),
    "small": (size(63, 200), None, "under 64"),
    "bomb": (size(9_000, 9_000), None, "far less data"),
    "factors that do not divide": (factors(0x31, 0x21, 0x11), None, "3x1, 2x1, 1x1"),
    "no factors": (factors(0x00, 0x11, 0x11), None, "0x0"),
    "large factors": (factors(0x51, 0x11, 0x11), None, "5x1"),
    "large MCU": (factors(0x44, 0x11, 0x11), None, "4x4"),
    "one name twice": (lambda p: p[:9] + p[6:7] + p[10:], None, "one name"),
}


@pytest.mark.parametrize(("edit", "marker", "reason"), FRAMES.values(), ids=FRAMES)
def test_refused_frames(jpeg: Callable[..., bytes], edit: Callable, marker: int | None, reason: str) -> None:
    with pytest.raises(UnreadablePhoto, match=reason) as caught:
        parse(with_frame(parse(jpeg()), edit, marker))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


def test_refused_files_of_encoders(jpeg: Callable[..., bytes]) -> None:
    with pytest.raises(UnreadablePhoto, match="arithmetic"):
        parse(jpeg("cjpeg", "-arithmetic"))
    for data in (b"", b"not a picture\n", b"\x89PNG\r\n\x1a\n" + bytes(100), b"\xff\xd8", b"\xff\xd8\xff\xd9"):
        with pytest.raises(UnreadablePhoto):
            parse(data)


def test_a_progressive_bomb(jpeg: Callable[..., bytes]) -> None:
    """Its scans of AC values may honestly be of a few bytes; that of the DC values may not."""
    flat = jpeg(pixels=np.full((2000, 2000, 3), 99, np.uint8), progressive=True, optimize=True)
    assert parse(flat).frame.progressive
    with pytest.raises(UnreadablePhoto, match="far less data"):
        parse(with_frame(parse(flat), size(9_000, 9_000)))


EDITS = {
    "no scan": (lambda s: [x for x in s if x.marker != SOS], "no picture"),
    "two frames": (lambda s: [x for y in s for x in ([y, y] if y.marker == 0xC0 else [y])], "several"),
    "no quantization": (lambda s: [x for x in s if x.marker != DQT], "quantization"),
    "101 scans": (lambda s: [*s[:-1], *[x for x in s if x.marker == SOS] * 100, s[-1]], "over 100 scans"),
    "segments without end": (lambda s: [s[0], *[Segment(0xFE)] * 10_000, *s[1:]], "over 10000 segments"),
    "a start in the middle": (lambda s: [*s[:3], s[0], *s[3:]], "FF D8"),
    "a marker that is none": (lambda s: [*s[:3], Segment(0xF7, b"abc"), *s[3:]], "FF F7"),
    "DNL": (lambda s: [*s[:-1], Segment(0xDC, b"\0\x40"), s[-1]], "DNL"),
    "other tables later": (lambda s: [*s[:-1], Segment(DQT, b"\0" + b"\7" * 64), s[-1]], "between scans"),
    "tables cut": (lambda s: [*s[:-1], Segment(DQT, b"\0" + b"\7" * 50), s[-1]], "quantization"),
    "a slot that is none": (lambda s: [*s[:-1], Segment(DQT, b"\4" + b"\7" * 64), s[-1]], "quantization"),
    "step 0": (lambda s: [Segment(DQT, x.payload[:9] + b"\0" + x.payload[10:]) if x.marker == DQT else x for x in s],
               "quantization"),
    "step 0 for no channel": (lambda s: [*s[:-1], Segment(DQT, b"\3" + b"\7" * 63 + b"\0"), s[-1]], "quantization"),
    "scan header cut": (
        lambda s: [replace(x, payload=x.payload[:-1]) if x.marker == SOS else x for x in s],
        "scan header",
    ),
    "scan header empty": (lambda s: [replace(x, payload=b"") if x.marker == SOS else x for x in s], "scan header"),
    "scan of no channel": (
        lambda s: [replace(x, payload=x.payload[:1] + b"\x63" + x.payload[2:]) if x.marker == SOS else x for x in s],
        "scan header",
    ),
    "a channel missing": (
        lambda s: [replace(x, payload=b"\1" + x.payload[1:3] + x.payload[-3:]) if x.marker == SOS else x for x in s],
        "missing",
    ),
    "no data": (lambda s: [replace(x, scan=b"") if x.marker == SOS else x for x in s], "far less data"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "reason"), EDITS.values(), ids=EDITS)
def test_refused_structure(jpeg: Callable[..., bytes], edit: Callable, reason: str) -> None:
    with pytest.raises(UnreadablePhoto, match=reason):
        parse(join(edit(list(parse(jpeg()).segments))))


def test_a_segment_without_length(jpeg: Callable[..., bytes]) -> None:
    data = jpeg()
    with pytest.raises(UnreadablePhoto, match="no length"):
        parse(data[:2] + b"\xff\xe5\0\1" + data[2:])


HOSTILE = {
    "fill bytes": b"\xff" * 3_000_000,
    "fill bytes that are data": (b"\xff" * 1000 + b"\0") * 3000,
    "restarts": b"\xff\xd0" * 1_500_000,
    "stuffed": b"\xff\0" * 1_500_000,
}


@pytest.mark.parametrize("scan", HOSTILE.values(), ids=HOSTILE)
def test_hostile_data_take_no_longer_than_reading_them(
    jpeg: Callable[..., bytes], scan: bytes, usual: Callable[[float], float]
) -> None:
    segments = parse(jpeg()).segments
    data = join(replace(s, scan=scan) if s.marker == SOS else s for s in segments)
    started = time.process_time()
    try:
        assert parse(data).encode() == data
    except UnreadablePhoto:
        pass
    assert usual(time.process_time() - started) < 1


def test_tables_are_what_libjpeg_reads(jpeg: Callable[..., bytes], tmp_path) -> None:
    assert np.array_equal(ZIGZAG, jpegio.zigzag_order())
    data = jpeg(quality=40, optimize=True)
    (tmp_path / "photo.jpg").write_bytes(data)
    theirs = jpegio.read(tmp_path / "photo.jpg")
    segments = parse(data).segments
    for slot, table in quantization_tables(segments).items():
        assert np.array_equal(table, theirs.quant_tables[slot])
    ours = huffman_tables(segments)
    assert set(ours) == {(0, 0), (0, 1), (1, 0), (1, 1)}
    for (kind, slot), (counts, symbols) in ours.items():
        table = (theirs.dc_huff_tables, theirs.ac_huff_tables)[kind][slot]
        assert list(counts) == table["counts"].tolist()
        assert list(symbols) == table["symbols"][: len(symbols)].tolist()
    with pytest.raises(UnreadablePhoto, match="Huffman"):
        huffman_tables([Segment(0xC4, b"\0" + b"\1" * 16 + b"\0" * 15)])


def test_shapes_are_what_libjpeg_reads(jpeg: Callable[..., bytes], tmp_path) -> None:
    for sampling in ("1x1", "2x1", "2x2", "1x2", "4x1", "4x2", "2x2,1x2,2x1"):
        data = jpeg("cjpeg", "-sample", sampling)
        (tmp_path / "photo.jpg").write_bytes(data)
        theirs = [
            (8 * rows, 8 * columns) for rows, columns in map(parse(data).frame.shape, parse(data).frame.components)
        ]
        assert theirs == [array.shape for array in jpegio.read(tmp_path / "photo.jpg").coef_arrays]


def test_scan_headers(jpeg: Callable[..., bytes]) -> None:
    header = scan_header(parse(jpeg()).scans[0])
    assert header.components == ((1, 0, 0), (2, 1, 1), (3, 1, 1))
    assert (header.first, header.last, header.high) == (0, 63, 0)
    headers = [scan_header(segment) for segment in parse(jpeg(progressive=True)).scans]
    assert len(headers) == 10 and headers[0].last == 0 and headers[-1].high == 1
