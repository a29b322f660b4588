"""What is in a photo beside its picture, through the command: it stays, in the file that is published and in what comes
back (issue 5, parts 1 and 3 of what it must show)."""

import io
import json
import os
import shutil
import struct
import subprocess
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps, PngImagePlugin

from veilkey.carriers import read_photo

Command = Callable[..., SimpleNamespace]
XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="kept"/></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
# What says where in a file the picture is, or shows another copy of it.
MAY_CHANGE = ("IFD1", "MPF", "MPImage", "Thumbnail", "Preview", "StripOffsets", "StripByteCounts")


def exif(orientation: int = 1) -> bytes:
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0112], tags[0x8298] = "Veilkey", "One", orientation, "nobody"
    tags.get_ifd(0x8769)[0x9003], tags.get_ifd(0x8769)[0x829A] = "2001:02:03 04:05:06", 0.01
    tags.get_ifd(0x8825)[1], tags.get_ifd(0x8825)[2] = "N", (52.0, 30.0, 1.5)
    return tags.tobytes()


def jpeg(image: Image.Image, profile: bytes) -> bytes:
    buffer = io.BytesIO()
    image.save(
        buffer, "JPEG", exif=exif(), xmp=XMP, icc_profile=profile, comment=b"a comment", quality=91, dpi=(72, 72)
    )
    data = buffer.getvalue()
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0e" + b"\x1c\x02\x78\0\x09a caption"
    return data[:2] + struct.pack(">HH", 0xFFED, len(iptc) + 2) + iptc + data[2:]


def png(image: Image.Image, profile: bytes) -> bytes:
    buffer, text = io.BytesIO(), PngImagePlugin.PngInfo()
    text.add_text("Title", "a title")
    text.add_text("Comment", "long " * 200, zip=True)
    text.add_itxt("Description", "Müller 家", "de", "Beschreibung")
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    text.add(b"tIME", struct.pack(">HBBBBB", 2001, 2, 3, 4, 5, 6))
    text.add(b"gAMA", struct.pack(">I", 45455))
    image.save(buffer, "PNG", exif=exif(), icc_profile=profile, pnginfo=text, dpi=(72, 72))
    return buffer.getvalue()


def tiff(image: Image.Image, profile: bytes) -> bytes:
    buffer = io.BytesIO()
    geo = [
        (33550, "d", 3, (0.5, 0.5, 0.0), True),
        (33922, "d", 6, (0.0, 0.0, 0.0, 100.0, 200.0, 0.0), True),
        (34735, "H", 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
        (700, "B", len(XMP), XMP, True),
        (315, "s", 0, "nobody", True),
    ]
    with tifffile.TiffWriter(buffer) as file:
        file.write(
            np.asarray(image),
            photometric="rgb",
            compression="zlib",
            rowsperstrip=40,
            iccprofile=profile,
            extratags=geo,
            description="a description",
            datetime="2001:02:03 04:05:06",
            resolution=(72, 72),
        )
    return buffer.getvalue()


def webp(image: Image.Image, profile: bytes) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True, exif=exif(), xmp=XMP, icc_profile=profile)
    return buffer.getvalue()


KINDS: dict[str, tuple[Callable[..., bytes], set[str]]] = {
    "photo.jpg": (jpeg, {"Make", "Model", "DateTimeOriginal", "GPSLatitude", "Comment", "Format", "Caption-Abstract"}),
    "photo.png": (
        png,
        {"Make", "Title", "Comment", "Description-de", "ModifyDate", "Gamma", "Format", "PixelsPerUnitX"},
    ),
    "photo.tif": (tiff, {"Artist", "ImageDescription", "PixelScale", "ModelTiePoint", "GTModelType", "Format"}),
    "photo.webp": (webp, {"Make", "GPSLatitude", "Format"}),
}


def tags(path: Path) -> list[str]:
    """What exiftool lists: "[group] name : value", without what the file system says."""
    if not shutil.which("exiftool"):
        pytest.skip("exiftool is not installed (libimage-exiftool-perl)")
    listed = subprocess.run(["exiftool", "-a", "-G1", "-s", "-n", path], capture_output=True, text=True, check=True)
    beside = ("[System]", "[ExifTool]", "[File]          FileType", "[File]          MIMEType")
    return sorted(line for line in listed.stdout.splitlines() if not line.startswith(beside))


def kept(listed: list[str]) -> list[str]:
    return [line for line in listed if not any(word in line for word in MAY_CHANGE)]


@pytest.mark.parametrize("name", KINDS)
def test_metadata_stay(
    veilkey_here: Command,
    tmp_path: Path,
    key_pair: SimpleNamespace,
    close_up: np.ndarray,
    icc_profile: bytes,
    name: str,
) -> None:
    make, expected = KINDS[name]
    path = tmp_path / name
    path.write_bytes(make(Image.fromarray(close_up), icc_profile))
    before = tags(path)
    assert expected <= {line.split("]")[1].split(":")[0].strip() for line in before}, before
    done = veilkey_here("protect", name, "-r", key_pair.public, "--refine", "0", "--json", "--keep-times")
    assert done.code == 0, done.error
    facts = json.loads(done.output)
    veiled = tmp_path / facts["protected"]
    assert veiled.suffix == path.suffix
    assert kept(tags(veiled)) == kept(before)
    assert Image.open(veiled).info["icc_profile"] == icc_profile
    back = veilkey_here("restore", veiled.name, "-i", key_pair.private, "--json")
    assert back.code == 0, back.error
    restored = tmp_path / json.loads(back.output)["restored"]
    assert kept(tags(restored)) == kept(before)
    assert Image.open(restored).info["icc_profile"] == icc_profile
    assert json.loads(back.output)["identical"] == facts["restores"]
    if facts["restores"] == "file":
        assert restored.read_bytes() == path.read_bytes()
    assert read_photo(restored).digest() == read_photo(path).digest()


def test_the_file_itself_comes_back_where_that_is_asked_for(
    veilkey_here: Command, tmp_path: Path, key_pair: SimpleNamespace, close_up: np.ndarray, icc_profile: bytes
) -> None:
    for name, (make, _) in KINDS.items():
        (tmp_path / name).write_bytes(make(Image.fromarray(close_up), icc_profile))
    done = veilkey_here("protect", *KINDS, "-r", key_pair.public, "--refine", "0", "--exact-file", "--json")
    assert done.code == 0, done.error
    facts = [json.loads(line) for line in done.output.splitlines()]
    assert [fact["restores"] for fact in facts] == ["file"] * len(KINDS)
    back = veilkey_here("restore", *(fact["protected"] for fact in facts), "-i", key_pair.private, "--json")
    assert back.code == 0, back.error
    for name, line in zip(KINDS, back.output.splitlines(), strict=True):
        assert (tmp_path / json.loads(line)["restored"]).read_bytes() == (tmp_path / name).read_bytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photo_stays_as_it_is_stored(
    veilkey_here: Command,
    tmp_path: Path,
    key_pair: SimpleNamespace,
    turned: Callable[[int, str], bytes],
    orientation: int,
) -> None:
    """The face is found upright and changed where it is stored; the file keeps its tag and its sides."""
    names = {"JPEG": "photo.jpg", "PNG": "photo.png", "TIFF": "photo.tif"}
    for kind, name in names.items():
        (tmp_path / name).write_bytes(turned(orientation, kind))
    done = veilkey_here("protect", *names.values(), "-r", key_pair.public, "--refine", "0", "--json")
    assert done.code == 0, done.error
    for name, line in zip(names.values(), done.output.splitlines(), strict=True):
        facts = json.loads(line)
        original, veiled = (Image.open(tmp_path / each) for each in (name, facts["protected"]))
        assert veiled.format == original.format and veiled.size == original.size
        assert veiled.getexif().get(0x0112, 1) == original.getexif().get(0x0112, 1) == orientation
        upright = [np.asarray(ImageOps.exif_transpose(image)).astype(int) for image in (original, veiled)]
        change = np.abs(upright[1] - upright[0]).sum(2)
        (x, y, width, height), total = facts["faces"][0]["box"], change.sum()
        assert total > 1000
        assert change[max(y - 20, 0) : y + height + 20, max(x - 20, 0) : x + width + 20].sum() > 0.95 * total
        assert np.array_equal(read_photo(tmp_path / facts["protected"]).pixels, upright[1])
        back = veilkey_here("restore", facts["protected"], "-i", key_pair.private, "--json")
        assert back.code == 0, back.error
        restored = tmp_path / json.loads(back.output)["restored"]
        assert Image.open(restored).getexif().get(0x0112, 1) == orientation
        assert np.array_equal(np.asarray(Image.open(restored)), np.asarray(original))
        if name == "photo.jpg":
            assert restored.read_bytes() == (tmp_path / name).read_bytes()


def test_times(
    veilkey_here: Command, tmp_path: Path, key_pair: SimpleNamespace, file_of: Callable[[str], bytes]
) -> None:
    """The photo's time goes where it is asked for; its name and time are in the key, not in the protected file."""
    then, began = 981_173_106_123_456_789, time.time_ns() - 10**9
    photo = tmp_path / "holiday-with-anna.jpg"
    photo.write_bytes(file_of("rgb.jpg"))
    os.utime(photo, ns=(then, then))
    stems = {"plain": (), "kept": ("--keep-times",)}
    for stem, option in stems.items():
        done = veilkey_here("protect", photo.name, "-r", key_pair.public, "--refine", "0", "-o", f"{stem}.jpg", *option)
        assert done.code == 0, done.error
        veiled = tmp_path / f"{stem}.jpg"
        assert (veiled.stat().st_mtime_ns == then) == (stem == "kept")
        assert b"holiday" not in veiled.read_bytes() + (tmp_path / f"{stem}.jpg.veilkey").read_bytes()
        assert (tmp_path / f"{stem}.jpg.veilkey").stat().st_mtime_ns > began
    assert photo.stat().st_mtime_ns == then
    for option in stems.values():
        done = veilkey_here(
            "restore", "plain.jpg", "-i", key_pair.private, "-o", "back.jpg", "--force", "--json", *option
        )
        assert done.code == 0, done.error
        assert json.loads(done.output)["original_name"] == photo.name
        assert ((tmp_path / "back.jpg").stat().st_mtime_ns == then) == bool(option)
    inside = json.loads(veilkey_here("inspect", "plain.jpg.veilkey", "-i", key_pair.private).output)["opened"][0]
    assert inside["original"]["name"] == photo.name and inside["original"]["modified_ns"] == then


def test_a_time_before_1970(
    veilkey_here: Command, tmp_path: Path, key_pair: SimpleNamespace, file_of: Callable[[str], bytes]
) -> None:
    (tmp_path / "old.jpg").write_bytes(file_of("rgb.jpg"))
    then = -(10**17)
    os.utime(tmp_path / "old.jpg", ns=(then, then))
    done = veilkey_here("protect", "old.jpg", "-r", key_pair.public, "--refine", "0", "--keep-times")
    assert done.code == 0, done.error
    assert (tmp_path / "old.veiled.jpg").stat().st_mtime_ns == then
    back = veilkey_here("restore", "old.veiled.jpg", "-i", key_pair.private, "--keep-times")
    assert back.code == 0, back.error
    assert (tmp_path / "old.restored.jpg").read_bytes() == (tmp_path / "old.jpg").read_bytes()


def test_damaged_metadata_are_no_reason_to_refuse(
    veilkey_here: Command, tmp_path: Path, key_pair: SimpleNamespace, close_up: np.ndarray
) -> None:
    """What viewers pass over: EXIF, XMP and ICC data that are cut short or are none."""
    buffer = io.BytesIO()
    image = Image.fromarray(close_up)
    image.save(buffer, "JPEG", exif=b"Exif\0\0" + exif()[6:40], xmp=XMP[:50], icc_profile=b"none", quality=91)
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    buffer, chunks = io.BytesIO(), PngImagePlugin.PngInfo()
    chunks.add(b"eXIf", exif()[6:40])
    chunks.add(b"iCCP", b"none\0\0" + zlib.compress(b"none")[:-3])
    image.save(buffer, "PNG", pnginfo=chunks)
    (tmp_path / "b.png").write_bytes(buffer.getvalue())
    done = veilkey_here("protect", "a.jpg", "b.png", "-r", key_pair.public, "--refine", "0", "--exact-file")
    assert done.code == 0, done.error
    back = veilkey_here("restore", "a.veiled.jpg", "b.veiled.png", "-i", key_pair.private)
    assert back.code == 0, back.error
    for name, restored in (("a.jpg", "a.restored.jpg"), ("b.png", "b.restored.png")):
        assert (tmp_path / restored).read_bytes() == (tmp_path / name).read_bytes()
