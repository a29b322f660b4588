"""Photos as people have them, where the parts of a file begin, and what opening one, or a command on it, costs."""

import io
import json
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tifffile
from click.testing import CliRunner
from PIL import Image

from veilkey.carriers import read_photo
from veilkey.cli import main

# `ru_maxrss` of a child starts from what its parent held before it became another program, so the child tells itself.
COMMAND = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**33, 2**33))
from veilkey.cli import main
try:
    main(sys.argv[2:], prog_name="veilkey")
finally:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    lines = dict(line.split(":", 1) for line in open("/proc/self/status"))
    with open(sys.argv[1], "w") as file:
        print(usage.ru_utime + usage.ru_stime, int(lines["VmHWM"].split()[0]) * 1024, file=file)
"""


@pytest.fixture
def folder(tmp_path: Path, key_pair: SimpleNamespace) -> Path:
    """An empty folder but for alice.pem and alice.pub.pem."""
    for path in (key_pair.private, key_pair.public):
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def measured(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory, usual: Callable[[float], float]
) -> Callable[..., SimpleNamespace]:
    """Runs `veilkey ARGUMENT...` in a folder and says what it cost: measured(folder, *arguments, under=()).

    The result has code, output, error, `seconds` of processor time, because other programs may keep the machine busy,
    as of a usual machine, and `memory`, the most bytes held at once. `under`: a command before it, such as setpriv.
    """
    if not Path("/proc/self/status").exists():
        pytest.skip("measures memory through /proc")
    cost = tmp_path_factory.mktemp("cost") / "cost"

    def run(folder: Path, *arguments: str | bytes | Path, under: tuple[str, ...] = ()) -> SimpleNamespace:
        cost.write_text("0 0")
        done = subprocess.run(
            [*under, sys.executable, "-c", COMMAND, cost, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="backslashreplace",
            timeout=60,
        )
        seconds, memory = map(float, cost.read_text().split())
        return SimpleNamespace(
            code=done.returncode, error=done.stderr, output=done.stdout, seconds=usual(seconds), memory=memory
        )

    return run


@pytest.fixture
def veilkey_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SimpleNamespace]:
    """Runs `veilkey ARGUMENT...` in the test's folder and in this process, where it need not load everything again.

    The result has code, output and error.
    """
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> SimpleNamespace:
        done = CliRunner().invoke(main, list(map(str, arguments)), prog_name="veilkey")
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return SimpleNamespace(code=done.exit_code, output=done.stdout, error=done.stderr)

    return run


@pytest.fixture
def there_and_back(veilkey_here: Callable[..., SimpleNamespace], folder: Path) -> Callable[..., None]:
    """Protects a photo in `folder` and restores it, by the command; the file has to come back.

    there_and_back(name, expected, *options): expected, the protected photo's name.
    """

    def run(name: str, expected: str, *options: str) -> None:
        done = veilkey_here("protect", f"./{name}", "-r", "alice.pub.pem", "--refine", "0", *options)
        assert done.code == 0, done.error
        assert all(line.startswith("veilkey: warning: ") for line in done.error.splitlines()), done.error
        assert read_photo(folder / expected).digest() != read_photo(folder / name).digest()
        back = veilkey_here("restore", f"./{expected}", "-i", "alice.pem", "--json")
        assert (back.code, back.error) == (0, "")
        assert (folder / json.loads(back.output)["restored"]).read_bytes() == (folder / name).read_bytes()

    return run


def _pillow(pixels: np.ndarray, kind: str, mode: str = "", **options: object) -> bytes:
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def _jpeg(pixels: np.ndarray, **options: object) -> bytes:
    return _pillow(pixels, "JPEG", **{"quality": 92, **options})


def _thumbnailed(pixels: np.ndarray, orientation: int = 1) -> bytes:
    """A camera's JPEG: EXIF with orientation and thumbnail, and restart markers."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Veilkey Camera"
    thumbnail = _pillow(cv2.resize(pixels, (64, 48), interpolation=cv2.INTER_AREA), "JPEG")
    head = exif.tobytes()
    # IFD1 with the thumbnail behind what Pillow wrote, whose IFD0 is the last thing in it.
    body = bytearray(head.removeprefix(b"Exif\0\0"))
    order = "<" if body[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", body, 4)
    (count,) = struct.unpack_from(order + "H", body, first)
    struct.pack_into(order + "I", body, first + 2 + 12 * count, len(body))
    start = len(body) + 2 + 3 * 12 + 4
    entries = [(0x0103, 3, 6), (0x0201, 4, start), (0x0202, 4, len(thumbnail))]
    body += struct.pack(order + "H", len(entries))
    for tag, kind, value in entries:
        body += struct.pack(order + "HHI", tag, kind, 1) + struct.pack(order + ("H2x" if kind == 3 else "I"), value)
    body += bytes(4) + thumbnail
    return _jpeg(pixels, exif=b"Exif\0\0" + bytes(body), restart_marker_rows=1)


def _cjpeg(pixels: np.ndarray, *options: str) -> bytes:
    try:
        ppm = b"P6 %d %d 255\n" % (pixels.shape[1], pixels.shape[0]) + pixels.tobytes()
        return subprocess.run(["cjpeg", *options], input=ppm, capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("cjpeg is not installed (libjpeg-turbo-progs)")


def _deep(pixels: np.ndarray) -> np.ndarray:
    """The same picture with 16 bits a channel, all of them in use."""
    noise = np.random.default_rng(0).integers(0, 256, pixels.shape, np.uint16)
    return pixels.astype(np.uint16) << 8 | noise


def _alpha(pixels: np.ndarray) -> np.ndarray:
    ramp = np.linspace(0, 255, pixels.shape[1]).astype(np.uint8)
    return np.dstack([pixels, np.broadcast_to(ramp, pixels.shape[:2])])


def _grey(pixels: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)


def _png16(pixels: np.ndarray) -> bytes:
    order = [2, 1, 0, 3][: pixels.shape[2]] if pixels.ndim == 3 else ...
    return cv2.imencode(".png", pixels[..., order] if pixels.ndim == 3 else pixels)[1].tobytes()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(pixels: np.ndarray, colour: int, interlaced: bool = False) -> bytes:
    """A PNG file of (H, W, channels) uint8 or uint16 as no library here writes it: Adam7 (ISO/IEC 15948, 8.2)."""
    height, width = pixels.shape[:2]
    depth = 8 * pixels.itemsize
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b""
    for x, y, dx, dy in passes if interlaced else [(0, 0, 1, 1)]:
        part = pixels[y::dy, x::dx]
        raw += b"".join(b"\0" + row.astype(f">u{pixels.itemsize}").tobytes() for row in part if row.size)
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    data = zlib.compress(raw)
    cut = len(data) // 2
    chunks = [(b"IHDR", head), (b"IDAT", data[:cut]), (b"IDAT", data[cut:]), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks)


def _tiff(*pages: np.ndarray, big: bool = False, order: str = "<", **options: object) -> bytes:
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, bigtiff=big, byteorder=order) as file:
        for pixels in pages:
            file.write(pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack", metadata=None, **options)
    return buffer.getvalue()


def _heif(pixels: np.ndarray) -> bytes:
    heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    heif.from_pillow(Image.fromarray(pixels)).save(buffer, quality=90)
    return buffer.getvalue()


KINDS: dict[str, Callable[[np.ndarray], bytes]] = {
    "444.jpg": lambda p: _jpeg(p, subsampling=0),
    "422.jpg": lambda p: _jpeg(p, subsampling=1, optimize=True),
    "420.jpg": lambda p: _jpeg(p, subsampling=2),
    "440.jpg": lambda p: _cjpeg(p, "-quality", "90", "-sample", "1x2"),
    "grey.jpg": lambda p: _jpeg(p, mode="L"),
    "progressive.jpg": lambda p: _jpeg(p, progressive=True),
    "camera.jpg": _thumbnailed,
    "turned.jpg": lambda p: _thumbnailed(np.ascontiguousarray(np.rot90(p)), 6),
    "views.mpo": lambda p: _pillow(p, "MPO", save_all=True, append_images=[Image.fromarray(p).rotate(180)]),
    "rgb.png": lambda p: _pillow(p, "PNG"),
    "rgba.png": lambda p: _pillow(_alpha(p), "PNG"),
    "grey.png": lambda p: _pillow(p, "PNG", "L"),
    "grey-alpha.png": lambda p: _pillow(_alpha(p), "PNG", "LA"),
    "palette.png": lambda p: _pillow(np.asarray(Image.fromarray(p).quantize(256).convert("RGB")), "PNG", "P"),
    "clear-colour.png": lambda p: _pillow(p, "PNG", transparency=tuple(p[0, 0].tolist())),
    "interlaced.png": lambda p: _png(p, 2, interlaced=True),
    "rgb16.png": lambda p: _png16(_deep(p)),
    "rgba16.png": lambda p: _png16(_deep(_alpha(p))),
    "grey16.png": lambda p: _png16(_deep(_grey(p))),
    "interlaced16.png": lambda p: _png(_deep(p), 2, interlaced=True),
    "rgb.tiff": lambda p: _tiff(p),
    "rgba.tiff": lambda p: _tiff(_alpha(p), extrasamples=["unassalpha"]),
    "grey.tiff": lambda p: _tiff(_grey(p), rowsperstrip=16),
    "lzw.tiff": lambda p: _pillow(p, "TIFF", compression="tiff_lzw"),
    "deflate.tiff": lambda p: _tiff(p, compression="zlib", predictor=True, rowsperstrip=32),
    "tiled.tiff": lambda p: _tiff(p, compression="zlib", tile=(64, 64)),
    "pages.tiff": lambda p: _tiff(p, p[::-1], compression="zlib"),
    "big.tiff": lambda p: _tiff(p, big=True, order=">", compression="zlib"),
    "rgb16.tiff": lambda p: _tiff(_deep(p), rowsperstrip=32),
    "grey16.tiff": lambda p: _tiff(_deep(_grey(p)), compression="zlib", order=">"),
    "rgb.webp": lambda p: _pillow(p, "WEBP", lossless=True),
    "rgba.webp": lambda p: _pillow(_alpha(p), "WEBP", lossless=True, exact=True),
    "rgb.bmp": lambda p: _pillow(p, "BMP"),
    "grey.bmp": lambda p: _pillow(p, "BMP", "L"),
    "palette.bmp": lambda p: _pillow(np.asarray(Image.fromarray(p).quantize(256).convert("RGB")), "BMP", "P"),
    "lossy.webp": lambda p: _pillow(p, "WEBP", quality=90),
    "photo.heic": _heif,
    "photo.avif": lambda p: _pillow(p, "AVIF", quality=90),
}


@pytest.fixture(scope="session")
def written() -> Callable[[np.ndarray, str], bytes]:
    """Pixels (H, W, 3) uint8 as a file of one of KINDS."""
    return lambda pixels, kind: KINDS[kind](pixels)


@pytest.fixture(scope="session")
def crowd(close_up: np.ndarray) -> np.ndarray:
    """(256, 208, 3) uint8 RGB: the face of the portrait twice, so near that the faces' regions overlap."""
    return np.ascontiguousarray(np.concatenate([close_up[:, 78:182]] * 2, 1))


@pytest.fixture(scope="session")
def small(close_up: np.ndarray) -> np.ndarray:
    """(75, 83, 3) uint8 RGB, the smallest that shows the face: for files that are taken apart byte by byte."""
    return cv2.resize(close_up[40:200, 50:227], (83, 75), interpolation=cv2.INTER_AREA)


@pytest.fixture(scope="session")
def joints() -> Callable[[bytes], list[int]]:
    """Offsets at which some part of a photo file begins, or is in its middle: ascending, without 0."""

    def find(data: bytes) -> list[int]:
        if data.startswith(b"\xff\xd8"):
            found = _jpeg_joints(data)
        elif data.startswith(b"\x89PNG"):
            found = _boxes(data, 8, ">I4s", 12)
        elif data.startswith(b"RIFF"):
            found = [4, 8, *_boxes(data, 12, "<4sI", 8)]
        elif data[:2] in (b"II", b"MM"):
            found = _tiff_joints(data)
        elif data.startswith(b"BM"):
            found = [*range(2, 54, 4), 54, len(data) // 2, len(data) - 1]
        else:
            found = _boxes(data, 0, ">I4s", 0)
        return sorted({each for each in found if 0 < each < len(data)})

    return find


def _boxes(data: bytes, start: int, head: str, beside: int) -> Iterator[int]:
    """Of PNG's chunks, RIFF's and ISO's boxes. beside: bytes of a box that its length does not count."""
    while start + 8 <= len(data):
        length = next(value for value in struct.unpack_from(head, data, start) if isinstance(value, int)) + beside
        kind = data[start : start + 8]
        yield from (start, start + 4, start + 8, start + 8 + (length - 8) // 2, start + length - 1)
        inside = {b"meta": 12, b"iprp": 8, b"ipco": 8, b"dinf": 8}.get(kind[4:])
        if beside == 0 and inside:
            yield from (start + inside + each for each in _boxes(data[start + inside : start + length], 0, head, 0))
        start += max(length + (length & 1 if head[0] == "<" else 0), 1)


def _jpeg_joints(data: bytes) -> Iterator[int]:
    start = 2
    while start < len(data):
        yield start
        marker = data[start + 1]
        if marker == 0xD9:
            yield start + 1
            return
        length = int.from_bytes(data[start + 2 : start + 4], "big")
        yield from (start + 1, start + 2, start + 3, start + 4, start + 2 + length // 2, start + 1 + length)
        start += 2 + length
        if marker == 0xDA:
            scan = start
            while data[start] != 0xFF or data[start + 1] in (0, *range(0xD0, 0xD8)):
                if data[start] == 0xFF and data[start + 1]:  # restart marker
                    yield from (start, start + 1, start + 2)
                start += 1
            yield from (scan + (start - scan) // 2, start - 1)


def _tiff_joints(data: bytes) -> Iterator[int]:
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        yield from (2, 4, 6, 8, 12)
        for page in file.pages:
            yield page.offset
            for tag in page.tags:
                yield from (tag.offset, tag.offset + 2, tag.offset + 4, tag.offset + 8)
                yield from (tag.valueoffset, tag.valueoffset + tag.valuebytecount // 2)
            for start, length in zip(page.dataoffsets, page.databytecounts, strict=True):
                yield from (start, start + length // 2, start + length - 1)
