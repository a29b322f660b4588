"""Photo files that nobody thought of, made up by hypothesis from good ones: refused, or protected and restored exactly.

All formats together run for about 20 seconds. For 10 minutes each, by hand:

    VEILKEY_FUZZ_SECONDS=600 pytest tests/veilkey/test_fuzz.py
"""

import os
import struct
import time
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys.payload import FaceKey, Payload
from mask_template.template import fixed_point
from veilkey.carriers import open_photo
from veilkey.errors import UnreadablePhoto
from veilkey.issuing import complete
from veilkey.restorer import restore_file

SECONDS = float(os.environ.get("VEILKEY_FUZZ_SECONDS", 3))
# No database, because each run is to find something new; `bounded` says how long an example may take.
EXAMPLES = settings(max_examples=200, deadline=None, database=None)

FORMATS = {
    "JPEG": ["camera.jpg", "progressive.jpg", "420.jpg", "grey.jpg", "views.mpo"],
    "PNG": ["rgb.png", "palette.png", "interlaced.png", "rgba16.png", "clear-colour.png"],
    "TIFF": ["grey.tiff", "lzw.tiff", "deflate.tiff", "tiled.tiff", "pages.tiff", "big.tiff"],
    "WebP": ["rgb.webp", "rgba.webp"],
    "BMP": ["rgb.bmp", "grey.bmp", "palette.bmp"],
    "sealed": ["lossy.webp", "photo.heic", "photo.avif"],
}
NUMBERS = [0, 1, 2, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF]

Draw = Callable[[st.SearchStrategy[Any]], Any]


def altered(draw: Draw, originals: list[bytes], places: dict[bytes, list[int]]) -> bytes:
    """One of the originals with bits flipped, parts cut, moved or repeated, and other numbers where its parts begin."""
    original = data = originals[draw(st.integers(0, len(originals) - 1))]
    joints = places[original]
    for _ in range(draw(st.integers(1, 4))):
        here, there = (joints[draw(st.integers(0, len(joints) - 1))] for _ in range(2))
        here, there = min(here, there, len(data)), min(max(here, there), len(data))
        match draw(st.sampled_from(["flip", "number", "cut", "remove", "repeat", "swap", "bytes"])):
            case "flip" if data:
                at = draw(st.integers(0, len(data) - 1))
                data = data[:at] + bytes([data[at] ^ 1 << draw(st.integers(0, 7))]) + data[at + 1 :]
            case "number":
                form = draw(st.sampled_from("BHI")) if here < 2**16 else "I"
                order, number = draw(st.sampled_from("<>")), draw(st.sampled_from(NUMBERS) | st.integers(0, 5000))
                number = struct.pack(order + form, number & (1 << 8 * struct.calcsize(form)) - 1)
                at = here + draw(st.integers(0, 8))
                data = data[:at] + number + data[at + len(number) :]
            case "cut":
                data = data[: draw(st.integers(0, len(data)))]
            case "remove":
                data = data[:here] + data[there:]
            case "repeat":
                data = data[:there] + data[here:there] * draw(st.sampled_from([1, 2, 30])) + data[there:]
            case "swap":
                more = min(2 * there - here, len(data))
                data = data[:here] + data[there:more] + data[here:there] + data[more:]
            case "bytes":
                some = draw(st.binary(max_size=8))
                data = data[:here] + some + data[here + len(some) :]
    if original.startswith(b"\x89PNG") and draw(st.booleans()):
        data = with_checksums(data)
    return data


def with_checksums(png: bytes) -> bytes:
    """Right again, or a parser would not look further."""
    data, start = bytearray(png), 8
    while start + 12 <= len(data):
        end = start + 8 + int.from_bytes(data[start : start + 4], "big")
        if end + 4 <= len(data):
            data[end : end + 4] = zlib.crc32(data[start + 4 : end]).to_bytes(4, "big")
        start = end + 4
    return bytes(data)


def face_on(width: int, height: int, channels: int) -> FaceKey:
    """Noise in the middle of a picture, mild enough for pixels that are not near black or white."""
    random = np.random.default_rng(0)
    region = (width // 4, height // 4, min(width // 2, 300), min(height // 2, 300))
    scale = 256 / max(region[2:])
    to_crop = np.array([[scale, 0, -region[0] * scale], [0, scale, -region[1] * scale]])
    blocks = np.flatnonzero(random.random(4096) < 0.3).astype(np.uint16)
    return FaceKey(
        number=1,
        box=region,
        region=region,
        transform=fixed_point(to_crop),
        blocks=blocks,
        recognizer=np.zeros(len(blocks), np.uint8),
        group=np.zeros(len(blocks), np.uint8),
        tau=np.ones(len(blocks), np.float32),
        lattice=random.integers(-9, 10, (24, 24, channels)).astype(np.int8),
        held=np.empty(0, np.uint32),
    )


def comes_back_if_it_opens(data: bytes) -> bool:
    """A file that opens can be written, protected, and restored to its last byte; whether it opened."""
    try:
        photo = open_photo(data)
        picture = photo.picture
        face = photo.admit(face_on(picture.width, picture.height, picture.colour().shape[2]))
    except UnreadablePhoto as error:
        assert "\n" not in str(error) and len(str(error)) < 250
        return False
    assert open_photo(photo.encode()).picture.digest() == picture.digest()
    try:
        protected = photo.put_on(face)
    except ValueError:  # too near to black or white for this noise, which a real face's fits
        return True
    payload = Payload(
        width=picture.width,
        height=picture.height,
        mode=picture.mode,
        kind=photo.kind,
        name="",
        modified=0,
        original_digest=photo.digest(),
        protected_digest=protected.digest(),
        secret=bytes(32),
        recognizers=("dlib",),
        faces=(face,),
        saved=b"",
        whole=True,
    )
    payload = complete(data, photo, protected, payload, exact=True, name="a", modified=0)
    restored = restore_file(open_photo(protected.encode()), [payload])
    assert restored.exact and restored.data == data
    return True


@pytest.fixture(scope="module")
def originals(written: Callable, small: np.ndarray) -> Callable[[str], list[bytes]]:
    softened = (small // 2 + 64).astype(np.uint8)
    return lambda kind: [written(softened, each) for each in FORMATS[kind]]


@pytest.mark.parametrize("kind", FORMATS)
def test_good_files_come_back(originals: Callable[[str], list[bytes]], kind: str) -> None:
    """Without this, everything here could pass because nothing ever opens."""
    for data in originals(kind):
        assert comes_back_if_it_opens(data)


@pytest.mark.parametrize("kind", FORMATS)
def test_altered_files(
    originals: Callable[[str], list[bytes]],
    joints: Callable[[bytes], list[int]],
    bounded: Callable[[], AbstractContextManager[None]],
    kind: str,
) -> None:
    files = originals(kind)
    places = {data: joints(data) for data in files}

    @EXAMPLES
    @given(st.data())
    def examples(data: st.DataObject) -> None:
        file = altered(data.draw, files, places)
        with bounded():
            comes_back_if_it_opens(file)

    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        examples()
