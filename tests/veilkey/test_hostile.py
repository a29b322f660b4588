"""Files that are cut, lie or explode: one clear line, the right exit code, nothing written, and little time and memory
(issue 5, part 4). All of them are made here."""

import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from veilkey.carriers import open_photo
from veilkey.errors import UnreadablePhoto

from .forged import (
    after,
    before_scan,
    bmp_with,
    gif,
    iso_sized,
    jpeg_segment,
    jpeg_sized,
    many_scans,
    nested,
    png,
    riff,
    strips_in_one_place,
    tiff,
    tiff_picture,
    vp8l,
    with_alpha_box,
    zeros,
    zipped,
)

Measured = Callable[..., SimpleNamespace]
Bounded = Callable[[], AbstractContextManager[None]]
SECONDS = 2.0
MEMORY = 500 * 2**20

CUT = [
    *("camera.jpg", "progressive.jpg", "grey.jpg", "views.mpo"),
    *("rgb.png", "palette.png", "interlaced16.png"),
    *("rgb.tiff", "lzw.tiff", "tiled.tiff", "pages.tiff", "big.tiff"),
    *("rgba.webp", "lossy.webp", "rgb.bmp", "palette.bmp", "photo.heic", "photo.avif"),
]


def refusal(data: bytes) -> str | None:
    """What is said of a file that is refused; None for one that opens and can be written."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a library's warning would be on the command's standard error
        try:
            photo = open_photo(data)
            assert photo.picture.width and photo.encode()
        except UnreadablePhoto as error:
            text = str(error)
            assert text.startswith("the picture: ") and "\n" not in text and len(text) < 250, text
            return text
    return None


@pytest.fixture(autouse=True)
def no_words_of_libraries(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """What libraries written in C print goes past Python to standard error."""
    yield
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", CUT)
def test_cut_at_every_joint(
    written: Callable, joints: Callable, bounded: Bounded, small: np.ndarray, kind: str
) -> None:
    """A photo of which something is missing is refused, however it is cut; one byte off its end may be padding."""
    data = written(small, kind)
    whole = open_photo(data).picture
    assert len(joints(data)) > 5
    opened = []
    for length in joints(data):
        with bounded():
            if refusal(data[:length]) is None:
                assert open_photo(data[:length]).picture.digest() == whole.digest(), length
                opened.append(length)
    if kind != "views.mpo":  # whose second picture may be cut
        assert len(opened) <= 1 and all(length >= len(data) - 2 for length in opened), (opened, len(data))


# Files that say more than they hold.


LIES: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "PNG of 60000x60000": ("rgb.png", lambda d: png(60_000, 60_000, zlib.compress(b"\0" * 1000))),
    "PNG of 2^31-1 squared": ("rgb.png", lambda d: png(2**31 - 1, 2**31 - 1, b"")),
    "PNG of 9999x9999 without data": ("rgb.png", lambda d: png(9999, 9999, zlib.compress(b"\0" * 1000))),
    "16-bit PNG of 9999x9999 without data": ("rgb.png", lambda d: png(9999, 9999, zlib.compress(b""), depth=16)),
    "PNG without height": ("rgb.png", lambda d: png(83, 0, zlib.compress(b""))),
    "PNG palette without colours": ("rgb.png", lambda d: png(83, 75, zlib.compress(bytes(84 * 75)), colour=3)),
    "PNG of 300000 chunks": (
        "rgb.png",
        lambda d: png(83, 75, zlib.compress(bytes(250 * 75)), *[(b"tEXt", b"a\0b")] * 300_000),
    ),
    "JPEG of 65500x65500": ("444.jpg", lambda d: jpeg_sized(d, 65_500, 65_500)),
    "JPEG of 65535x65535": ("444.jpg", lambda d: jpeg_sized(d, 65_535, 65_535)),
    "JPEG of 9999x9999 with the data of a small one": ("444.jpg", lambda d: jpeg_sized(d, 9999, 9999)),
    "progressive JPEG of 9999x9999": ("progressive.jpg", lambda d: jpeg_sized(d, 9999, 9999)),
    "JPEG of no height": ("444.jpg", lambda d: jpeg_sized(d, 83, 0)),
    "JPEG Huffman tables of 12000 segments": (
        "444.jpg",
        lambda d: before_scan(d, jpeg_segment(0xC4, b"\0\1" + bytes(15) + b"\0") * 12_000),
    ),
    "JPEG Huffman table of more codes than there are": (
        "444.jpg",
        lambda d: before_scan(d, jpeg_segment(0xC4, b"\0" + b"\xff" * 16 + bytes(4080))),
    ),
    "JPEG Huffman table with codes that overlap": (
        "444.jpg",
        lambda d: before_scan(d, jpeg_segment(0xC4, b"\0\3" + bytes(15) + bytes(3))),
    ),
    "JPEG of a thousand scans": ("grey.jpg", lambda d: many_scans(d, 640, 480, 1000)),
    "JPEG within JPEG": ("444.jpg", lambda d: d[:2] + d),
    "JPEG with its frame twice": ("444.jpg", lambda d: before_scan(d, d[d.index(b"\xff\xc0") :][:19])),
    "TIFF of 60000x60000": ("rgb.tiff", lambda d: tiff_picture(60_000, 60_000, b"\0" * 1000)),
    "TIFF of 9999x9999 without data": ("rgb.tiff", lambda d: tiff_picture(9999, 9999, zlib.compress(b"\0" * 1000), 8)),
    "TIFF strip longer than the file": (
        "rgb.tiff",
        lambda d: tiff_picture(80, 80, bytes(6400), t279=(4, 1, 2**32 - 1)),
    ),
    "TIFF of 65535 channels": ("rgb.tiff", lambda d: tiff_picture(80, 80, bytes(6400), t277=(3, 1, 65_535))),
    "TIFF depths of a gigabyte": ("rgb.tiff", lambda d: tiff_picture(80, 80, bytes(6400), t258=(3, 2**30, 8))),
    "TIFF tag of 32 gigabytes": ("rgb.tiff", lambda d: tiff_picture(80, 80, bytes(6400), t700=(12, 2**32 - 1, 8))),
    "TIFF tile of 2^31": (
        "rgb.tiff",
        lambda d: tiff_picture(
            80, 80, zlib.compress(bytes(6400)), 8,
            t322=(4, 1, 2**31), t323=(4, 1, 2**31), t324=(4, 1, 200), t325=(4, 1, 99),
        ),
    ),
    "TIFF whose directory follows itself": ("rgb.tiff", lambda d: tiff([(256, 4, 1, 80)], following=8)),
    "TIFF with a ring of directories": (
        "rgb.tiff",
        lambda d: tiff([(256, 4, 1, 80)], struct.pack("<HHHIII", 1, 257, 4, 1, 80, 8), following=after(1)),
    ),
    "TIFF of 3000 directories": (
        "rgb.tiff",
        lambda d: b"II*\0\x08\0\0\0"
        + b"".join(struct.pack("<HHHIII", 1, 256, 4, 1, 80, 8 + 18 * (i + 1)) for i in range(3000)),
    ),
    "TIFF of 65535 entries that are not there": ("rgb.tiff", lambda d: b"II*\0\x08\0\0\0\xff\xff" + bytes(100)),
    "TIFF whose first directory is behind the end": ("rgb.tiff", lambda d: b"II*\0\xff\xff\xff\x7f" + bytes(100)),
    "TIFF of 80 strips in the same place": ("rgb.tiff", lambda d: strips_in_one_place(80)),
    "WebP of 16383x16383": ("rgb.webp", lambda d: vp8l(d, 16_383, 16_383)),
    "WebP of 9999x9999 with the data of a small one": ("rgb.webp", lambda d: vp8l(d, 9999, 9999)),
    "WebP of 9999x9999, lossy": (
        "lossy.webp",
        lambda d: re.sub(rb"(\x9d\x01\x2a)....", lambda m: m[1] + struct.pack("<HH", 9999, 9999), d, flags=re.DOTALL),
    ),
    "WebP chunk longer than the file": ("rgb.webp", lambda d: d[:16] + b"\xff\xff\xff\x7f" + d[20:]),
    "WebP without a picture": ("rgb.webp", lambda d: riff((b"VP8X", bytes(10)), (b"EXIF", bytes(100)))),
    "BMP of 60000x60000": ("rgb.bmp", lambda d: bmp_with(bmp_with(d, 18, "i", 60_000), 22, "i", 60_000)),
    "BMP of 9999x9999": ("rgb.bmp", lambda d: bmp_with(bmp_with(d, 18, "i", 9999), 22, "i", 9999)),
    "BMP of negative width": ("rgb.bmp", lambda d: bmp_with(d, 18, "i", -83)),
    "BMP of least height": ("rgb.bmp", lambda d: bmp_with(d, 22, "i", -(2**31))),
    "BMP header of 4 gigabytes": ("rgb.bmp", lambda d: bmp_with(d, 14, "I", 2**32 - 1)),
    "BMP whose pixels are behind the end": ("rgb.bmp", lambda d: bmp_with(d, 10, "I", 2**31)),
    "HEIC of 60000x60000": ("photo.heic", lambda d: iso_sized(d, 60_000, 60_000)),
    "HEIC of 9999x9999": ("photo.heic", lambda d: iso_sized(d, 9999, 9999)),
    "AVIF of 60000x60000": ("photo.avif", lambda d: iso_sized(d, 60_000, 60_000)),
    "AVIF of 9999x9999": ("photo.avif", lambda d: iso_sized(d, 9999, 9999)),
    "HEIC box longer than the file": ("photo.heic", lambda d: with_alpha_box(d, b"meta", 2**32 - 1)),
    "GIF": ("rgb.png", lambda d: gif(d)),
    "PDF": ("444.jpg", lambda d: b"%PDF-1.4\n1 0 obj<</Filter/DCTDecode>>stream\n" + d + b"\nendstream endobj\n"),
    "ZIP with a JPEG": ("444.jpg", lambda d: zipped(d)),
    "PostScript": ("444.jpg", lambda d: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n{}loop\n"),
    "SVG": ("444.jpg", lambda d: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///dev/zero"/></svg>'),
    "nothing": ("444.jpg", lambda d: b""),
    "a JPEG's first bytes": ("444.jpg", lambda d: b"\xff\xd8\xff"),
    "zeros": ("444.jpg", lambda d: bytes(100_000)),
}  # fmt: skip


@pytest.mark.parametrize("name", LIES)
def test_a_file_that_lies_is_refused(written: Callable, bounded: Bounded, small: np.ndarray, name: str) -> None:
    kind, lie = LIES[name]
    data = lie(written(small, kind))
    with bounded():
        assert refusal(data) is not None


# These may open: then they cost little, can be written, and show what they showed.
BURDENS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "PNG data of a gigabyte": ("rgb.png", lambda d: png(83, 75, zeros(2**30))),
    "PNG profile of a gigabyte": (
        "rgb.png",
        lambda d: png(83, 75, zlib.compress(bytes(250 * 75)), (b"iCCP", b"a\0\0" + zeros(2**30))),
    ),
    "PNG texts of a gigabyte": (
        "rgb.png",
        lambda d: png(
            83, 75, zlib.compress(bytes(250 * 75)), (b"zTXt", b"a\0\0" + zeros(2**30)),
            (b"iTXt", b"a\0\1\0\0\0" + zeros(2**30)),
        ),
    ),
    "PNG of 100000 texts": (
        "rgb.png",
        lambda d: png(83, 75, zlib.compress(bytes(250 * 75)), *[(b"tEXt", b"a\0b")] * 100_000),
    ),
    "JPEG of 9000 tables": (
        "444.jpg",
        lambda d: before_scan(d, jpeg_segment(0xC4, b"\3\0\xff" + bytes(14) + bytes(255)) * 9_000),
    ),
    "progressive JPEG of a hundred scans": ("grey.jpg", lambda d: many_scans(d, 8000, 6000, 99)),
    "JPEG with a megabyte of markers in its comment": (
        "444.jpg",
        lambda d: before_scan(d, jpeg_segment(0xFE, b"\xff\xd8\xff\xe0\0\x10" * 10_900) * 16),
    ),
    "JPEG with thumbnails in thumbnails": ("camera.jpg", lambda d: nested(d, 30)),
    "TIFF strip of a gigabyte": ("rgb.tiff", lambda d: tiff_picture(80, 80, zeros(2**30), 8)),
    "TIFF of 60000 tags": (
        "rgb.tiff",
        lambda d: tiff_picture(80, 80, bytes(6400), **{f"t{tag}": (4, 1, 5) for tag in range(5000, 65_000)}),
    ),
    "TIFF whose sub-directory is itself": ("rgb.tiff", lambda d: tiff_picture(80, 80, bytes(6400), t330=(4, 1, 8))),
    "WebP canvas of 2^24 squared": (
        "rgb.webp",
        lambda d: riff((b"VP8X", bytes(4) + b"\xff" * 6), (b"VP8L", d[20:])),
    ),
    "HEIC box that goes on to the end": ("photo.heic", lambda d: with_alpha_box(d, b"meta", 0)),
    "WebP profile of 64 MB": (
        "rgb.webp",
        lambda d: riff((b"VP8X", b"\x20\0\0\0" + b"\x52\0\0\x4a\0\0"), (b"ICCP", bytes(2**26)), (b"VP8L", d[20:])),
    ),
    "HEIC with a 64 MB tail": ("photo.heic", lambda d: d + struct.pack(">I4s", 2**26 + 8, b"free") + bytes(2**26)),
}  # fmt: skip


@pytest.mark.parametrize("name", BURDENS)
def test_a_file_that_is_a_burden_costs_little(
    written: Callable, bounded: Bounded, small: np.ndarray, name: str
) -> None:
    kind, make = BURDENS[name]
    data = make(written(small, kind))
    with bounded():
        refused = refusal(data)
    if refused is None:
        photo = open_photo(data)
        assert open_photo(photo.encode()).picture.digest() == photo.picture.digest()


def test_a_large_photo_opens_without_a_word(written: Callable, bounded: Bounded, small: np.ndarray) -> None:
    """Near the limit of 100 megapixels Pillow warns of a bomb; only its header is read here."""
    data = many_scans(written(small, "grey.jpg"), 9900, 9900, 1)
    with warnings.catch_warnings(), bounded():
        warnings.simplefilter("error")
        open_photo(data)


def test_bad_files_by_the_command(
    measured: Measured,
    tmp_path: Path,
    key_pair: SimpleNamespace,
    written: Callable,
    small: np.ndarray,
    joints: Callable,
) -> None:
    """A dozen in one call: a line for each, in their order, and exit code 5."""
    bad = {}
    for kind in ("camera.jpg", "rgb.png", "lzw.tiff", "rgb.webp", "rgb.bmp", "photo.heic"):
        data = written(small, kind)
        bad["cut " + kind] = data[: joints(data)[-3]]
    for number, name in enumerate(
        ("PNG of 60000x60000", "JPEG of 65500x65500", "TIFF with a ring of directories", "GIF")
    ):
        kind, lie = LIES[name]
        bad[f"{number}.jpg"] = lie(written(small, kind))
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    for command in (("protect", *bad, "-r", key_pair.public), ("faces", next(iter(bad)))):
        done = measured(tmp_path, *command)
        names = list(bad) if command[0] == "protect" else list(bad)[:1]
        assert done.code == 5, done.error
        lines = done.error.splitlines()
        assert len(lines) == len(names), done.error
        assert all(line.startswith(f"veilkey: {name}: ") for name, line in zip(names, lines, strict=True)), done.error
        assert done.output == ""
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == bad
        assert done.seconds < SECONDS and done.memory < MEMORY, done
