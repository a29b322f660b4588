"""Files that are cut, lie or explode, odd names and folders: one clear line, the right exit code, nothing written, and
little time and memory (issue 5, part 4). All of them are made here."""

import io
import json
import os
import re
import resource
import shutil
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

import veilkey
from veilkey.carriers import open_photo, read_photo
from veilkey.errors import UnreadablePhoto

Measured = Callable[..., SimpleNamespace]
Bounded = Callable[[], AbstractContextManager[None]]
SECONDS = 2.0
MEMORY = 500 * 2**20
PROTECT = ("-r", "alice.pub.pem", "--refine", "0")
LINE = re.compile(r"veilkey: [^\n]+\n")

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


def zeros(count: int) -> bytes:
    """Deflated zeros, `count` of them, a multiple of 2^20, without the time that deflating them takes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    # Of zeros, Adler-32's first half stays 1 and its second grows by 1 each.
    return b"\x78\x9c" + block * (count >> 20) + b"\x03\0" + struct.pack(">I", count % 65521 << 16 | 1)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, data: bytes, *more: tuple[bytes, bytes], colour: int = 2, depth: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


Tag = tuple[int, int, int, int]  # tag, type, count, value or offset


def tiff(entries: list[Tag], body: bytes = b"", following: int = 0, order: str = "<") -> bytes:
    """One directory at 8, sorted by tag, and `body` behind it, at the offset that `after` tells."""
    packed = b"".join(struct.pack(order + "HHII", *entry) for entry in sorted(entries))
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(entries))
    return head + packed + struct.pack(order + "I", following) + body


def after(entries: int) -> int:
    return 8 + 2 + 12 * entries + 4


def tiff_picture(width: int, height: int, data: bytes, compression: int = 1, **changed: tuple[int, int, int]) -> bytes:
    """A grey TIFF of one strip; `changed`: tags, such as t258, with another type, count and value, or new ones."""
    tags = {
        256: (4, 1, width),
        257: (4, 1, height),
        258: (3, 1, 8),
        259: (3, 1, compression),
        262: (3, 1, 1),
        273: (4, 1, 0),
        277: (3, 1, 1),
        278: (4, 1, height),
        279: (4, 1, len(data)),
    }
    tags |= {int(name[1:]): value for name, value in changed.items()}
    tags[273] = changed.get("t273", (4, 1, after(len(tags))))
    return tiff([(tag, *value) for tag, value in tags.items()], data)


def strips_in_one_place(count: int) -> bytes:
    """A TIFF whose every row is the same deflated mebibyte."""
    row = zeros(2**20)
    start = after(9)
    body = row + struct.pack("<I", start) * count + struct.pack("<I", len(row)) * count
    places = (4, count, start + len(row)), (4, count, start + len(row) + 4 * count)
    return tiff_picture(80, count, body, 8, t278=(4, 1, 1), t273=places[0], t279=places[1])


def jpeg_segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def jpeg_sized(jpeg: bytes, width: int, height: int) -> bytes:
    """The same file with other dimensions in its frame header."""
    start = next(m.start() for m in re.finditer(b"\xff[\xc0\xc2]\0", jpeg))
    return jpeg[: start + 5] + struct.pack(">HH", height, width) + jpeg[start + 9 :]


def before_scan(jpeg: bytes, segments: bytes) -> bytes:
    start = jpeg.index(b"\xff\xda")
    return jpeg[:start] + segments + jpeg[start:]


def many_scans(jpeg: bytes, width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG of a large grey size whose every scan says in a few bytes that nothing is there."""
    blocks = -(-width // 8) * -(-height // 8)
    table = jpeg[jpeg.index(b"\xff\xdb") :][:69]
    frame = struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0)
    # One DC symbol, 0, and the AC symbol 0xE0: the next 2^14 and more blocks end here. Each has the code 0.
    codes = b"\0\1" + bytes(15) + b"\0", b"\x10\1" + bytes(15) + b"\xe0"
    data = b"\xff\xd8" + table + jpeg_segment(0xC2, frame) + b"".join(jpeg_segment(0xC4, code) for code in codes)
    data += jpeg_segment(0xDA, b"\1\1\0\0\0\0") + bytes(blocks // 8 + 1)
    run = bytes(2 * (blocks // 2**14 + 1))
    for scan in range(scans):
        band = scan % 63 + 1
        data += jpeg_segment(0xDA, bytes([1, 1, 0, band, band, 0])) + run
    return data + b"\xff\xd9"


def bmp_with(bmp: bytes, place: int, form: str, value: int) -> bytes:
    altered = bytearray(bmp)
    struct.pack_into("<" + form, altered, place, value)
    return bytes(altered)


def riff(*chunks: tuple[bytes, bytes], size: int | None = None) -> bytes:
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def vp8l(webp: bytes, width: int, height: int) -> bytes:
    """A lossless WebP that says to be of another size."""
    start = webp.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", webp, start)
    return webp[:start] + struct.pack("<I", bits & 0xF000_0000 | height - 1 << 14 | width - 1) + webp[start + 4 :]


def iso_sized(data: bytes, width: int, height: int) -> bytes:
    """A HEIC or AVIF file that says to be of another size."""
    start = data.index(b"ispe") + 8
    return data[:start] + struct.pack(">II", width, height) + data[start + 8 :]


def with_alpha_box(data: bytes, box: bytes, size: int) -> bytes:
    """The same file with another length for one of its boxes."""
    start = data.index(box) - 4
    return data[:start] + struct.pack(">I", size) + data[start + 4 :]


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


def gif(data: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).save(buffer, "GIF")
    return buffer.getvalue()


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("photo.jpg", data)
    return buffer.getvalue()


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


def nested(jpeg: bytes, times: int) -> bytes:
    """A JPEG whose APP13 holds a JPEG whose APP13 holds a JPEG ..."""
    inner = jpeg
    for _ in range(times):
        if len(inner) > 60_000:
            break
        inner = jpeg[:2] + jpeg_segment(0xED, inner) + jpeg[2:]
    return inner


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


# Two kinds in one file: what it begins with counts, and no other picture in it is published.


def test_a_jpeg_with_a_zip_behind(
    veilkey_here: Callable, folder: Path, close_up: np.ndarray, written: Callable
) -> None:
    zip_file = zipped(written(close_up, "rgb.png"))
    (folder / "a.jpg").write_bytes(written(close_up, "444.jpg") + zip_file)
    there_and_back(veilkey_here, folder, "a.jpg", "a.veiled.jpg")
    protected = (folder / "a.veiled.jpg").read_bytes()
    assert b"\x89PNG" not in protected and b"PK\3\4" not in protected


def test_a_png_with_a_jpeg_inside_and_another_behind(
    veilkey_here: Callable, folder: Path, close_up: np.ndarray, written: Callable
) -> None:
    jpeg, plain = written(close_up, "444.jpg"), written(close_up, "rgb.png")
    inside = png_chunk(b"juNk", jpeg) + png_chunk(b"tEXt", b"thumbnail\0" + jpeg)
    (folder / "a.png").write_bytes(plain[:33] + inside + plain[33:] + jpeg)
    there_and_back(veilkey_here, folder, "a.png", "a.veiled.png", "--exact-file")
    assert b"\xff\xd8\xff" not in (folder / "a.veiled.png").read_bytes()


def test_a_png_that_is_named_a_jpeg(
    veilkey_here: Callable, folder: Path, close_up: np.ndarray, written: Callable
) -> None:
    (folder / "a.jpg").write_bytes(written(close_up, "rgb.png"))
    there_and_back(veilkey_here, folder, "a.jpg", "a.veiled.png", "--exact-file")


def test_a_name_that_is_asked_for_is_written(
    veilkey_here: Callable, folder: Path, close_up: np.ndarray, written: Callable
) -> None:
    """Whatever its ending, and though the key knows the original's."""
    (folder / "a.jpg").write_bytes(written(close_up, "444.jpg"))
    done = veilkey_here("protect", "a.jpg", *PROTECT, "-o", "b", "-k", "c")
    assert done.code == 0, done.error
    for name in ("back", "alice.png", "d.jpeg"):
        back = veilkey_here("restore", "b", "-k", "c", "-i", "alice.pem", "-o", name, "--force")
        assert (back.code, back.error) == (0, "")
        assert (folder / name).read_bytes() == (folder / "a.jpg").read_bytes()
    assert {path.name for path in folder.iterdir()} == {
        *("a.jpg", "b", "c", "back", "alice.png", "d.jpeg", "alice.pem", "alice.pub.pem")
    }


def there_and_back(
    command: Callable[..., SimpleNamespace], folder: Path, name: str, expected: str, *options: str
) -> None:
    """Protect and restore by the command; the file has to come back."""
    done = command("protect", f"./{name}", *PROTECT, *options)
    assert done.code == 0, done.error
    assert all(line.startswith("veilkey: warning: ") for line in done.error.splitlines()), done.error
    assert read_photo(folder / expected).digest() != read_photo(folder / name).digest()
    back = command("restore", f"./{expected}", "-i", "alice.pem", "--json")
    assert (back.code, back.error) == (0, "")
    assert (folder / json.loads(back.output)["restored"]).read_bytes() == (folder / name).read_bytes()


# By the command: what it says and what it leaves.


@pytest.fixture
def folder(tmp_path: Path, key_pair: SimpleNamespace) -> Path:
    for path in (key_pair.private, key_pair.public):
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture
def photo(close_up: np.ndarray, written: Callable) -> bytes:
    """A JPEG file with a face that can be protected."""
    return written(close_up, "444.jpg")


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """All that is under a folder, and when it was changed."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        found[os.fspath(path.relative_to(folder))] = (status.st_mode, 0 if path.is_dir() else status.st_mtime_ns)
    return found


def assert_refused(measured: Measured, folder: Path, code: int, says: str, *arguments: object, **how: object) -> str:
    """The command ends with the code, one line, and nothing written; that line."""
    before = listing(folder)
    done = measured(folder, *arguments, **how)
    assert done.code == code, done.error
    assert LINE.fullmatch(done.error), done.error
    assert says in done.error
    assert done.output == ""
    assert listing(folder) == before
    assert done.seconds < SECONDS and done.memory < MEMORY, done
    return done.error


def test_bad_files_by_the_command(
    measured: Measured, folder: Path, written: Callable, small: np.ndarray, joints: Callable
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
        (folder / name).write_bytes(data)
    before = listing(folder)
    for command in (("protect", *bad, *PROTECT), ("faces", next(iter(bad)))):
        done = measured(folder, *command)
        names = list(bad) if command[0] == "protect" else list(bad)[:1]
        assert done.code == 5, done.error
        lines = done.error.splitlines()
        assert len(lines) == len(names), done.error
        assert all(line.startswith(f"veilkey: {name}: ") for name, line in zip(names, lines, strict=True)), done.error
        assert done.output == "" and listing(folder) == before
        assert done.seconds < SECONDS and done.memory < MEMORY, done


def test_a_bad_reference(measured: Measured, folder: Path, photo: bytes) -> None:
    (folder / "a.jpg").write_bytes(photo)
    (folder / "b.jpg").write_bytes(photo[:1000])
    assert_refused(measured, folder, 5, "b.jpg", "protect", "a.jpg", *PROTECT, "--only-matching", "b.jpg")


def test_a_huge_file_is_not_read(measured: Measured, folder: Path, photo: bytes) -> None:
    """2 GiB, most of which take no room on the disk: too much for any photo, which its size tells."""
    with (folder / "a.jpg").open("wb") as file:
        file.write(photo)
        file.truncate(2**31)
    assert_refused(measured, folder, 5, "a.jpg", "protect", "a.jpg", *PROTECT)


NAMES = [
    "two\nlines.jpg",
    " .jpg",
    "-x.jpg",
    "--help.jpg",
    "a b  c.jpg",
    "лицо 家族 😀.jpg",
    "*?$(id);'\".jpg",
    "\x1b[31mred.jpg",
]


def test_odd_names_that_are_refused(measured: Measured, folder: Path, photo: bytes) -> None:
    """One line each, whatever the name holds, and no control character on the terminal."""
    for name in NAMES:
        (folder / name).write_bytes(photo[:1000])
    done = measured(folder, "protect", *PROTECT, "--", *NAMES)
    assert done.code == 5, done.error
    assert len(done.error.splitlines()) == len(NAMES), done.error
    assert all(line.startswith("veilkey: ") for line in done.error.splitlines())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.error), done.error


def test_odd_names_there_and_back(measured: Measured, folder: Path, photo: bytes, key_pair: SimpleNamespace) -> None:
    for name in NAMES:
        (folder / name).write_bytes(photo)
    done = measured(folder, "protect", *PROTECT, "--strength", "light", "--", *NAMES)
    assert done.code == 0, done.error
    assert all(line.startswith("veilkey: warning: ") for line in done.error.splitlines()), done.error
    for name in NAMES:
        veiled = folder / (name.removesuffix(".jpg") + ".veiled.jpg")
        assert veilkey.restore(veiled, f"{veiled}.veilkey", identity=key_pair.private) == photo
    back = measured(
        folder, "restore", "-i", "alice.pem", "--", *(n.removesuffix(".jpg") + ".veiled.jpg" for n in NAMES)
    )
    assert (back.code, back.error) == (0, "")
    for name in NAMES:
        assert (folder / (name.removesuffix(".jpg") + ".restored.jpg")).read_bytes() == photo


def test_a_name_that_is_no_text(measured: Measured, folder: Path, photo: bytes, key_pair: SimpleNamespace) -> None:
    """Linux allows any bytes; so do we, there and back."""
    name = b"caf\xe9.jpg"
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
    try:
        path.write_bytes(photo)
    except OSError:
        pytest.skip("this file system takes only names that are text")
    done = measured(folder, "protect", name, *PROTECT)
    assert done.code == 0 and "Traceback" not in done.error, done.error
    veiled = path.with_name(path.stem + ".veiled.jpg")
    assert veilkey.restore(veiled, f"{veiled}.veilkey", identity=key_pair.private) == photo
    back = measured(folder, "restore", os.fsencode(veiled), "-i", "alice.pem")
    assert (back.code, back.error) == (0, "")
    assert path.with_name(path.stem + ".restored.jpg").read_bytes() == photo


def test_a_name_that_leaves_no_room_for_an_ending(measured: Measured, folder: Path, photo: bytes) -> None:
    name = "n" * 251 + ".jpg"
    (folder / name).write_bytes(photo)
    assert_refused(measured, folder, 1, "too long", "protect", name, *PROTECT)


def test_a_name_that_is_an_option(veilkey_here: Callable, folder: Path, photo: bytes) -> None:
    (folder / "-x.jpg").write_bytes(photo)
    done = veilkey_here("protect", "-x.jpg", *PROTECT)
    assert done.code == 2 and "Traceback" not in done.error
    there_and_back(veilkey_here, folder, "-x.jpg", "-x.veiled.jpg")


def special(folder: Path, what: str, photo: bytes) -> str:
    """Something that is no ordinary file; its name."""
    path = folder / "a.jpg"
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "socket":
        import socket

        with socket.socket(socket.AF_UNIX) as one:
            one.bind(os.fspath(path))
    elif what == "dangling link":
        path.symlink_to("nowhere.jpg")
    elif what == "link to itself":
        path.symlink_to("a.jpg")
    elif what == "link to a pipe":
        os.mkfifo(folder / "pipe")
        path.symlink_to("pipe")
    elif what == "link to zeros":
        path.symlink_to("/dev/zero")
    elif what == "nothing":
        pass
    elif what == "file in a file":
        path.write_bytes(photo)
        return "a.jpg/b.jpg"
    return path.name


@pytest.mark.parametrize(
    "what",
    ["folder", "pipe", "socket", "dangling link", "link to itself", "link to a pipe", "link to zeros", "nothing",
     "file in a file"],
)  # fmt: skip
def test_what_is_no_file(measured: Measured, folder: Path, photo: bytes, what: str) -> None:
    name = special(folder, what, photo)
    assert_refused(measured, folder, 5, name, "protect", name, *PROTECT, "-o", "b.jpg")


@pytest.mark.parametrize("what", ["key", "identity", "passphrase", "recipient"])
@pytest.mark.parametrize("where", ["/dev/zero", "huge"])
def test_keys_that_are_no_file(
    measured: Measured, folder: Path, photo: bytes, protected: SimpleNamespace, what: str, where: str
) -> None:
    """A device or far too much in place of a key or passphrase file is not read to its end.

    A pipe may be what a shell makes of <(...), so whoever names one that nobody writes to waits.
    """
    (folder / "a.jpg").write_bytes(photo)
    shutil.copy(protected.file, folder / "a.veiled.png")
    shutil.copy(protected.key_file, folder / "key")
    if where == "huge":
        with (folder / "huge").open("wb") as file:
            file.truncate(2**31)
    arguments = {
        "key": ("restore", "a.veiled.png", "-k", where, "-i", "alice.pem"),
        "identity": ("restore", "a.veiled.png", "-k", "key", "-i", where),
        "passphrase": ("restore", "a.veiled.png", "-k", "key", "--passphrase-file", where),
        "recipient": ("protect", "a.jpg", "-r", where),
    }
    assert_refused(measured, folder, 4, "", *arguments[what])


def test_a_link_is_followed_and_stays(measured: Measured, veilkey_here: Callable, folder: Path, photo: bytes) -> None:
    (folder / "real").mkdir()
    (folder / "real" / "photo.jpg").write_bytes(photo)
    (folder / "a.jpg").symlink_to("real/photo.jpg")
    there_and_back(veilkey_here, folder, "a.jpg", "a.veiled.jpg")
    assert (folder / "a.jpg").is_symlink() and (folder / "real" / "photo.jpg").read_bytes() == photo
    # An output that is a link to the photo would overwrite it, and one that dangles is not written through.
    (folder / "b.jpg").symlink_to("a.jpg")
    (folder / "c.jpg").symlink_to("nowhere.jpg")
    assert_refused(measured, folder, 2, "overwritten", "protect", "a.jpg", *PROTECT, "-o", "b.jpg", "--force")
    done = veilkey_here("protect", "a.jpg", *PROTECT, "-o", "c.jpg", "-k", "c.key")
    assert done.code == 2 and not (folder / "nowhere.jpg").exists() and not (folder / "c.key").exists(), done.error


def without_rights() -> tuple[str, ...]:
    """What to put before a command so that file modes hold for it, too, where the tests are run by root."""
    if os.geteuid():
        return ()
    capabilities = "-dac_override,-dac_read_search,-fowner"
    under = ("setpriv", "--bounding-set", capabilities, "--inh-caps", capabilities)
    if not shutil.which("setpriv") or subprocess.run([*under, "true"]).returncode:
        pytest.skip("root may read and write everything here, and setpriv cannot change that")
    return under


def test_what_may_not_be_read_or_written(measured: Measured, folder: Path, photo: bytes) -> None:
    under = without_rights()
    (folder / "a.jpg").write_bytes(photo)
    (folder / "b.jpg").write_bytes(photo)
    (folder / "b.jpg").chmod(0)
    (folder / "locked").mkdir(mode=0o500)
    assert_refused(measured, folder, 5, "b.jpg", "protect", "b.jpg", *PROTECT, under=under)
    error = complaint(measured, folder, "protect", "a.jpg", *PROTECT, "-o", "locked", under=under)
    assert "Permission denied" in error
    # The key alone has nowhere to go: no protected photo without it.
    error = complaint(measured, folder, "protect", "a.jpg", *PROTECT, "-k", "locked/key", under=under)
    assert "Permission denied" in error
    (folder / "locked").chmod(0o700)


def complaint(measured: Measured, folder: Path, *arguments: object, **how: object) -> str:
    """What a command says that fails only when it writes, with exit code 1 and nothing left."""
    before = listing(folder)
    done = measured(folder, *arguments, **how)
    lines = [line for line in done.error.splitlines() if not line.startswith("veilkey: warning: ")]
    assert done.code == 1, done.error
    assert len(lines) == 1 and lines[0].startswith("veilkey: "), done.error
    assert done.output == "" and listing(folder) == before
    return lines[0]


def test_a_full_disk(measured: Measured, folder: Path, photo: bytes) -> None:
    """In a file system of 32 KiB, where it may be mounted; a name that is left there would show as another line."""
    (folder / "a.jpg").write_bytes(photo)
    (folder / "full").mkdir()
    script = 'mount -t tmpfs -o size=32k none full && "$@"; code=$?; ls -A full >&2; exit $code'
    under = ("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    if not shutil.which("unshare") or subprocess.run([*under, "true"], cwd=folder, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    error = complaint(measured, folder, "protect", "a.jpg", *PROTECT, "-o", "full", under=under)
    assert "No space left on device" in error


def test_a_limit_on_the_size_of_files(measured: Measured, folder: Path, photo: bytes) -> None:
    """What a quota does: the key still fits, the photo does not, and neither stays."""
    big = read_photo(photo).pixels
    (folder / "a.png").write_bytes(cv2.imencode(".png", np.tile(big, (1, 2, 1))[..., ::-1])[1].tobytes())
    limit = 100 * 1024
    code = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
    code += "os.execvp(sys.argv[1], sys.argv[1:])"
    error = complaint(
        measured, folder, "protect", "a.png", *PROTECT, "--faces", "1", under=(sys.executable, "-c", code)
    )
    assert "too large" in error
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_two_photos_that_lead_to_one_file(measured: Measured, folder: Path, photo: bytes, close_up, written) -> None:
    """Also where that shows only in what the files hold."""
    (folder / "a.png").write_bytes(written(close_up, "rgb.png"))
    (folder / "a.jpg").write_bytes(written(close_up, "rgb.png"))
    (folder / "b.jpg").write_bytes(photo)
    (folder / "B").symlink_to(".")
    for photos in (("a.png", "a.jpg"), ("b.jpg", "B/b.jpg"), ("b.jpg", "b.jpg")):
        assert_refused(measured, folder, 2, "both be written to", "protect", *photos, *PROTECT)
    assert_refused(
        measured, folder, 2, "both be written to", "restore", "a.veiled.png", "a.png", "-i", "alice.pem"
    )  # fmt: skip


def test_force_takes_nothing_away_before_all_is_ready(measured: Measured, folder: Path, photo: bytes) -> None:
    """A folder stands where the key belongs: the protected photo that is there stays."""
    (folder / "a.jpg").write_bytes(photo)
    (folder / "a.veiled.jpg").write_bytes(b"the only copy")
    (folder / "key").mkdir()
    (folder / "key" / "a.veiled.jpg.veilkey").mkdir()
    before = listing(folder)
    done = measured(folder, "protect", "a.jpg", *PROTECT, "-k", "key", "--force")
    assert done.code == 2 and done.error.startswith("veilkey: ") and done.error.count("\n") == 1
    assert listing(folder) == before
    assert (folder / "a.veiled.jpg").read_bytes() == b"the only copy"
