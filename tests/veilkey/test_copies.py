"""Copies of a protected JPEG whose picture nobody touched: without metadata, coded anew. The key gives the file."""

import io
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from keys.payload import Payload
from veilkey import api
from veilkey.carriers import open_photo
from veilkey.carriers.jpeg.coefficients import read, write
from veilkey.carriers.jpeg.segments import APP, COM, Segment, join, parse
from veilkey.errors import ForeignKey
from veilkey.issuing import complete
from veilkey.protector import Settings
from veilkey.restorer import restore_file

TURNED = 6  # EXIF: as phones store what was taken upright


def jpeg(pixels: np.ndarray, icc_profile: bytes, orientation: int = 1, **options: object) -> bytes:
    """With Exif, a profile and a comment."""
    image = Image.fromarray(pixels)
    exif = image.getexif()
    exif[0x010F], exif[0x0112] = "A maker", orientation
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88, exif=exif, icc_profile=icc_profile, comment=b"a comment", **options)
    return buffer.getvalue()


def protect(data: bytes) -> tuple[bytes, Payload]:
    original = open_photo(data)
    changed, payload, _ = api.protector().protect(original, Settings(refine=0))
    return changed.encode(), complete(data, original, changed, payload, exact=False, name="photo", modified=0)


def without_metadata(data: bytes) -> bytes:
    """Nothing but what a decoder needs."""
    return join(s for s in parse(data).segments if s.marker not in (*APP[1:14], APP[15], COM))


def with_other_metadata(data: bytes) -> bytes:
    first, *rest = parse(without_metadata(data)).segments
    return join([first, Segment(APP[1], b"http://ns.adobe.com/xap/1.0/\0<x/>"), *rest], tail=b"an advertisement")


def by(*command: str) -> Callable[[bytes], bytes]:
    def run(data: bytes) -> bytes:
        if not shutil.which(command[0]):
            pytest.skip(f"{command[0]} is not installed")
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout

    return run


COPIES: dict[str, Callable[[bytes], bytes]] = {
    "without metadata": without_metadata,
    "with other metadata": with_other_metadata,
    "jpegtran": by("jpegtran", "-copy", "none"),
    "jpegtran -optimize": by("jpegtran", "-copy", "none", "-optimize"),
    "jpegtran -progressive": by("jpegtran", "-copy", "none", "-progressive"),
    "jpegtran -restart": by("jpegtran", "-copy", "all", "-restart", "2B"),
    "exiftool": by("exiftool", "-all=", "-o", "-", "-"),
}
KINDS: dict[str, dict] = {
    "baseline": {},
    "turned": {"orientation": TURNED},
    "progressive": {"progressive": True},
    "restart": {"restart_marker_blocks": 3, "optimize": True},
}


@pytest.fixture(scope="module", params=KINDS)
def photo(request: pytest.FixtureRequest, close_up: np.ndarray, icc_profile: bytes) -> tuple[bytes, bytes, Payload]:
    """The original file, the protected one and the key."""
    pixels = np.ascontiguousarray(close_up[:, :200])
    options = KINDS[request.param]
    if options.get("orientation") == TURNED:
        pixels = cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE)
    data = jpeg(pixels, icc_profile, **options)
    return data, *protect(data)


@pytest.mark.parametrize("name", COPIES)
def test_the_file_comes_back(name: str, photo: tuple[bytes, bytes, Payload]) -> None:
    data, protected, payload = photo
    copy = COPIES[name](protected)
    assert copy != protected
    restored = restore_file(open_photo(copy), [payload])
    assert restored.exact and restored.data == data


def test_one_coefficient_that_differs(photo: tuple[bytes, bytes, Payload]) -> None:
    _, protected, payload = photo
    frame = read(protected)
    first, *others = frame.components
    blocks = first.blocks.copy()
    blocks[0, 0, 0, 1] += 1
    altered = write(protected, replace(frame, components=(replace(first, blocks=blocks), *others)))
    for copy in (altered, without_metadata(altered)):
        with pytest.raises(ForeignKey):
            restore_file(open_photo(copy), [payload])


def test_large_metadata_are_not_kept_twice(close_up: np.ndarray, icc_profile: bytes) -> None:
    """The key would grow by what the protected file has."""
    start, *rest = parse(jpeg(close_up, icc_profile)).segments
    data = join([start, Segment(APP[4], os.urandom(40_000)), *rest])
    protected, payload = protect(data)
    assert len(payload.saved) < 8_000
    assert restore_file(open_photo(protected), [payload]).data == data
    with pytest.raises(ForeignKey):
        restore_file(open_photo(without_metadata(protected)), [payload])


def test_a_png_without_its_text_gives_the_pixels(close_up: np.ndarray) -> None:
    note, buffer = PngImagePlugin.PngInfo(), io.BytesIO()
    note.add_text("Author", "someone")
    Image.fromarray(close_up).save(buffer, "PNG", pnginfo=note)
    protected, payload = protect(buffer.getvalue())
    stripped = io.BytesIO()
    Image.open(io.BytesIO(protected)).save(stripped, "PNG")
    restored = restore_file(open_photo(stripped.getvalue()), [payload])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(restored.data))), close_up)


def test_the_command_says_that_all_is_as_it_was(
    veilkey_command: Callable, tmp_path: Path, close_up: np.ndarray, icc_profile: bytes, key_pair: object
) -> None:
    Path(tmp_path, "photo.jpg").write_bytes(jpeg(close_up, icc_profile))
    assert veilkey_command("protect", "photo.jpg", "-r", key_pair.public, "--refine", "0").returncode == 0
    veiled = Path(tmp_path, "photo.veiled.jpg")
    veiled.write_bytes(without_metadata(veiled.read_bytes()))
    done = veilkey_command("restore", veiled, "-i", key_pair.private)
    assert done.returncode == 0 and "byte for byte" in done.stdout
    assert Path(tmp_path, "photo.restored.jpg").read_bytes() == Path(tmp_path, "photo.jpg").read_bytes()
