import base64
import hashlib
import io
import json
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veilkey.carriers.hidden import clean_exif, clean_segments, clean_streams, clean_xmp
from veilkey.carriers.jpeg.coefficients import read, write
from veilkey.carriers.jpeg.rebuild import rebuild, save
from veilkey.carriers.jpeg.segments import Segment, join, parse

SHORT, LONG, UNDEFINED = 3, 4, 7


def tiff(order: str, *ifds: Sequence[tuple[int, int, int, int]], values: bytes = b"") -> bytes:
    """IFDs in a chain, each of entries (tag, type, count, value or offset); `values` come first, from offset 8 on."""
    start = 8 + len(values)
    body = bytearray()
    for index, entries in enumerate(ifds):
        here = start + len(body)
        after = here + 2 + 12 * len(entries) + 4
        body += struct.pack(order + "H", len(entries))
        for tag, kind, count, value in entries:
            body += struct.pack(order + "HHI", tag, kind, count)
            body += struct.pack(order + ("HH" if kind == SHORT else "I"), *((value, 0) if kind == SHORT else (value,)))
        body += struct.pack(order + "I", after if index + 1 < len(ifds) else 0)
    return (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, start) + values + bytes(body)


def blanked(before: bytes, after: bytes) -> list[tuple[int, int]]:
    """Where bytes were blanked, in runs that may hold zeros of their own; fails if any other byte differs."""
    old, new = np.frombuffer(before, np.uint8), np.frombuffer(after, np.uint8)
    assert old.shape == new.shape
    places = np.flatnonzero(old != new)
    assert not new[places].any()
    if not places.size:
        return []
    edges = np.flatnonzero(np.diff(places) > 64)
    return [(int(run[0]), int(run[-1]) + 1) for run in np.split(places, edges + 1)]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"], ids=["bare", "prefixed"])
def test_jpeg_thumbnail(thumbnail: bytes, order: str, prefix: bytes) -> None:
    size = len(thumbnail)
    block = tiff(order, [(0x0112, SHORT, 1, 6)], [(0x0201, LONG, 1, 8), (0x0202, LONG, 1, size)], values=thumbnail)
    cleaned = clean_exif(prefix + block)
    assert cleaned == prefix + block[:8] + bytes(size) + block[8 + size :]


@pytest.mark.parametrize("order", "<>")
def test_uncompressed_thumbnail(order: str) -> None:
    rows = [bytes(range(1, 200)), bytes(range(50, 249))]
    values = struct.pack(order + "IIII", 24, 223, 199, 199) + b"".join(rows)
    strips = [(0x0103, SHORT, 1, 1), (0x0111, LONG, 2, 8), (0x0117, LONG, 2, 16)]
    block = tiff(order, [(0x0112, SHORT, 1, 6)], strips, values=values)
    assert blanked(block, clean_exif(block)) == [(24, 24 + 398)]
    # The first IFD describes the photo itself: what it says of strips is another file's.
    stale = tiff(order, strips, values=values)
    assert clean_exif(stale) == stale


def test_previews_in_makers_notes(thumbnail: bytes) -> None:
    """Whole, with the first byte altered as some Minoltas do, and cut short."""
    for preview in (thumbnail, b"\x02" + thumbnail[1:], thumbnail[:1000]):
        note = b"MAKER\0\1\2\3\4" * 3 + preview
        values = note + (b"and more" if preview[-2:] == b"\xff\xd9" else b"")
        block = tiff("<", [(0x927C, UNDEFINED, len(note), 8)], values=values)
        cleaned = clean_exif(block)
        assert cleaned[: 8 + 30] == block[: 8 + 30]
        assert not any(cleaned[8 + 30 : 8 + 30 + len(preview)])
        if preview[-2:] == b"\xff\xd9":
            assert cleaned[8 + len(note) :] == block[8 + len(note) :]


def test_previews_in_sub_ifds_and_beside_each_other(thumbnail: bytes) -> None:
    pixels = bytes(range(1, 251))
    values = thumbnail + b"between" + thumbnail + pixels
    at = 8 + len(values)
    sub = struct.pack("<HHHIIHHIII", 2, 0x0111, LONG, 1, at - 250, 0x0117, LONG, 1, 250, 0)
    block = tiff("<", [(0x014A, LONG, 1, at)], values=values + sub)
    cleaned = clean_exif(block)
    size = len(thumbnail)
    assert cleaned[8 : 8 + size] == bytes(size)
    assert cleaned[8 + size : 15 + size] == b"between"
    assert cleaned[15 + size : at] == bytes(size + 250)
    assert cleaned[at:] == block[at:]


def test_nothing_to_blank(portrait: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "maker", 6
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0\xff\xd8\xff\xe0 is how a JPEG begins"
    noise = np.random.default_rng(2).bytes(100_000)
    for block in (exif.tobytes(), exif.tobytes()[6:], b"", b"II", b"II*\0", b"MM\0*\0\0\0\x08", noise):
        assert clean_exif(block) == block
    assert clean_xmp(b'<a href="http://x.org/9j/abc"/>' * 10) == b'<a href="http://x.org/9j/abc"/>' * 10


def test_png_and_nested_pictures(portrait: np.ndarray, thumbnail: bytes, encode: Callable[..., bytes]) -> None:
    png = encode(portrait[:64, :64])
    with_own = encode(portrait[:64, :64], "JPEG", exif=tiff("<", [(0x0201, LONG, 1, 8)], values=thumbnail))
    assert with_own.count(b"\xff\xd8\xff") == 2
    for picture in (png, with_own, png + with_own + png):
        assert clean_streams(b"head" + picture + b"tail") == b"head" + bytes(len(picture)) + b"tail"


@pytest.mark.parametrize("between", ["", "\n", "&#xA;", "&#10;", "\r\n "])
def test_pictures_in_xmp(thumbnail: bytes, between: str) -> None:
    text = base64.b64encode(thumbnail).decode()
    lines = between.join(text[i : i + 76] for i in range(0, len(text), 76))
    for packet in (
        f"<xmpGImg:image>{lines}</xmpGImg:image><a>b</a>",
        f'<rdf:Description GImage:Data="{lines}" b="c"/>',
    ):
        cleaned = clean_xmp(packet.encode()).decode()
        assert len(cleaned) == len(packet)
        assert cleaned.startswith(packet[:15]) and cleaned.endswith(packet[-7:])
        left = cleaned.split(">")[1].split("<")[0] if "</xmp" in cleaned else cleaned.split('"')[1]
        assert not any(base64.b64decode(left.replace("&#xA;", "").replace("&#10;", "")))


def app(marker: int, payload: bytes) -> Segment:
    return Segment(marker, payload)


def test_a_picture_over_several_segments(portrait: np.ndarray, encode: Callable[..., bytes]) -> None:
    """Extended XMP, JUMBF (where C2PA keeps thumbnails), FlashPix, Photoshop and a maker's bare chunks."""
    picture = encode(portrait[:256, 100:356], "JPEG", quality=95)
    text = b"<a>" + base64.b64encode(picture) + b"</a>"
    third = len(picture) // 3
    cut = [picture[:third], picture[third : 2 * third], picture[2 * third :]]
    cut_text = [text[: len(text) // 2], text[len(text) // 2 :]]
    extended = b"http://ns.adobe.com/xmp/extension/\0" + hashlib.md5(text).hexdigest().upper().encode()
    heads = [struct.pack(">II", len(text), offset) for offset in (0, len(cut_text[0]))]
    resource = b"8BIM" + struct.pack(">HHI", 0x040C, 0, 28 + len(picture)) + bytes(range(28)) + picture
    resources = b"8BIM" + struct.pack(">HHI4s", 0x0425, 0, 4, b"abcd") + resource + b"8BIM\4\x06\0\0\0\0\0\2xy"
    files = {
        "extended XMP": [app(0xE1, extended + heads[i] + cut_text[i]) for i in (1, 0)],
        "JUMBF": [app(0xEB, b"JP\0\1" + struct.pack(">IIII", i, 0, 0, 0)[:12] + part) for i, part in enumerate(cut)],
        "FlashPix": [
            app(0xE2, b"FPXR\0\0\x02" + struct.pack(">HI", 0, third * i) + part) for i, part in enumerate(cut)
        ],
        "Photoshop": [
            app(0xED, b"Photoshop 3.0\0" + part) for part in (resources[:5000], resources[5000:9000], resources[9000:])
        ],
        "bare": [app(0xE4, part) for part in cut],
        "Exif": [app(0xE1, b"Exif\0\0" + part) for part in (tiff("<", []) + cut[0], cut[1], cut[2])],
    }
    for kind, segments in files.items():
        profile = app(0xE2, b"ICC_PROFILE\0\1\1" + picture[:200])
        cleaned = clean_segments([segments[0], profile, *segments[1:]])
        assert [(s.marker, len(s.payload)) for s in cleaned if s != profile] == [
            (s.marker, len(s.payload)) for s in segments
        ]
        assert cleaned[1] == profile
        if kind == "extended XMP":
            rest = cleaned[2].payload[75:] + cleaned[0].payload[75:]
            assert rest[:3] == b"<a>" and rest[-4:] == b"</a>"
            assert not any(base64.b64decode(rest[3:-4]))
        else:
            left = np.frombuffer(b"".join(s.payload for s in cleaned if s != profile), np.uint8)
            assert np.count_nonzero(left) < 200, kind
        if kind == "Photoshop":
            whole = b"".join(s.payload[14:] for s in cleaned if s != profile)
            assert whole[:44] == resources[:44] and whole[-14:] == resources[-14:]


def test_jfif_thumbnails() -> None:
    pixels = bytes(range(1, 28))
    jfif = app(0xE0, b"JFIF\0\1\2\1\0\1\0\1\3\3" + pixels)
    rgb = app(0xE0, b"JFXX\0\x13\3\3" + pixels)
    jpeg = app(0xE0, b"JFXX\0\x10" + pixels)
    cleaned = [segment.payload for segment in clean_segments([jfif, rgb, jpeg])]
    assert cleaned == [jfif.payload[:14] + bytes(27), rgb.payload[:8] + bytes(27), jpeg.payload[:6] + bytes(27)]


def test_a_second_exif_block_is_apart(thumbnail: bytes) -> None:
    """A stream that is cut short takes what follows in its own block, and nothing of the next."""
    first = app(0xE1, b"Exif\0\0" + tiff("<", []) + thumbnail[:1000])
    second = app(0xE1, b"Exif\0\0" + tiff(">", [(0x0112, SHORT, 1, 6)]))
    cleaned = clean_segments([first, second])
    assert cleaned[1] == second and cleaned[0] != first


def hostile() -> dict[str, bytes]:
    loop = tiff("<", [(0x014A, LONG, 1, 8)])
    itself = b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x0112, SHORT, 1, 6) + struct.pack("<I", 8)
    huge = tiff(">", [], [(0x0111, LONG, 2**31, 8), (0x0117, LONG, 2**32 - 1, 8), (0x0201, LONG, 1, 2**32 - 1)])
    strips = struct.pack("<4096I", *[8] * 4096) + struct.pack("<4096I", *[2**30] * 4096)
    many = tiff("<", *[[(0x0111, LONG, 4096, 8), (0x0117, LONG, 4096, 8 + 16384)]] * 40, values=strips)
    return {
        "loop": loop,
        "an IFD after itself": itself,
        "counts beyond the block": huge,
        "one place very often": many + bytes(500_000),
        "starts of streams": b"\xff\xd8\xff\xe0\0\2" * 100_000,
        "chains of segments": b"\xff\xd8" + b"\xff\xe0\0\5\xd8\xff\xe1" * 100_000,
        "starts in starts": b"\xff\xd8\xff\xe0\xff\xff" * 100_000,
        "scans without end": b"\xff\xd8\xff\xda\0\2" * 100_000,
        "fill bytes": b"\xff\xd8" + b"\xff" * 600_000,
        "base64 without end": b"/9j/" * 150_000,
        "almost base64": (b"/9j/" + b"A" * 90 + b"!") * 6_000,
        "PNG starts": b"\x89PNG\r\n\x1a\n" * 60_000,
    }


@pytest.mark.parametrize("kind", hostile())
def test_hostile_blocks_end_soon(kind: str, usual: Callable[[float], float]) -> None:
    block = hostile()[kind]
    started = time.process_time()
    for data in (block, b"Exif\0\0" + block, block[:-1]):
        assert len(clean_exif(data)) == len(data)
    clean_segments([app(0xED, b"Photoshop 3.0\0" + block[i : i + 60_000]) for i in range(0, len(block), 60_000)])
    assert usual(time.process_time() - started) < 2


# With a real file: all that exiftool lists.


def listed(path: Path) -> dict[str, object]:
    done = subprocess.run(["exiftool", "-j", "-G1", "-a", "-n", str(path)], capture_output=True, check=True)
    return json.loads(done.stdout)[0]


COPIES = ("Thumbnail", "Preview", "MPF", "MPImage", "Image")
"""What the names of tags that show or describe copies hold."""


@pytest.fixture
def tagged(jpeg: Callable[..., bytes], thumbnail: bytes, face: np.ndarray, tmp_path: Path) -> Path:
    """A file with what cameras and editors write: thumbnails in Exif, Photoshop and XMP, a second picture."""
    if not shutil.which("exiftool"):
        pytest.skip("exiftool is not installed (libimage-exiftool-perl)")
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Canon", "EOS", "2024:05:06 07:08:09"
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    Image.fromarray(face).save(
        buffer, "MPO", save_all=True, append_images=[Image.fromarray(face[:, ::-1])], exif=exif.tobytes()
    )
    path, picture = tmp_path / "photo.jpg", tmp_path / "thumbnail.jpg"
    path.write_bytes(buffer.getvalue())
    picture.write_bytes(thumbnail)
    subprocess.run(
        [
            "exiftool", "-overwrite_original", "-q", "-IPTC:Keywords=one", f"-IFD1:ThumbnailImage<={picture}",
            f"-PhotoshopThumbnail<={picture}", f"-XMP-xmp:ThumbnailImage<={picture}",
            "-XMP:Title=a title", "-GPSLatitude=52.5", "-GPSLatitudeRef=N", "-Comment=a comment",
            f"-XMP-GImage:ImageData<={picture}", "-XMP-GImage:ImageMimeType=image/jpeg", str(path),
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return path


def test_exiftool_lists_the_same(
    tagged: Path, change: Callable, pictures_in: Callable[[bytes], int], tmp_path: Path
) -> None:
    data = tagged.read_bytes()
    original = read(data)
    protected = write(data, change(original))
    assert rebuild(save(data, protected), protected, original) == data

    veiled = tmp_path / "veiled.jpg"
    veiled.write_bytes(protected)
    before, after = listed(tagged), listed(veiled)
    assert {"IFD1:ThumbnailImage", "Photoshop:PhotoshopThumbnail", "GPS:GPSLatitude", "XMP-dc:Title"} <= set(before)
    changed = {tag for tag in before if before[tag] != after.get(tag)} | set(after) - set(before)
    elsewhere = ("SourceFile", "System:", "File:EncodingProcess", "ExifTool:", "Composite:")
    assert not {tag for tag in changed if not any(part in tag for part in (*elsewhere, *COPIES))}
    assert not {tag for tag in before if tag not in after and not tag.startswith("MP")}

    assert pictures_in(data) >= 4 and pictures_in(protected) == 1
    for tag in ("IFD1:ThumbnailImage", "PhotoshopThumbnail", "XMP:ThumbnailImage", "XMP-GImage:ImageData", "MPImage2"):
        shown = []
        for path in (tagged, veiled):
            shown.append(
                subprocess.run(["exiftool", "-b", f"-{tag}", str(path)], capture_output=True, check=True).stdout
            )
        assert pictures_in(shown[0]) >= 1, tag
        assert not any(shown[1]), tag


def test_after_cleaning_nothing_is_left_to_clean(tagged: Path) -> None:
    once = clean_segments(parse(tagged.read_bytes()).segments)
    assert clean_segments(once) == once
    assert parse(join(once)).frame == parse(tagged.read_bytes()).frame
