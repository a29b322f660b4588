import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from veilkey.carriers.orientation import orientation_of, stored_region, to_stored, to_upright

PIXELS = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)
EVERY = range(1, 9)


def exif(orientation: int, order: str = "<", kind: int = 3) -> bytes:
    value = struct.pack(order + "HH", orientation, 0)
    entries = struct.pack(order + "HHHI", 2, 0x010F, 2, 1) + b"A\0\0\0" + struct.pack(order + "HHI", 0x0112, kind, 1)
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8) + entries + value + bytes(4)


@pytest.mark.parametrize("orientation", EVERY)
@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[..., 0], PIXELS.astype(np.uint16) * 257])
def test_there_and_back(orientation: int, pixels: np.ndarray) -> None:
    upright = to_upright(pixels, orientation)
    assert upright.flags.c_contiguous
    assert np.array_equal(to_stored(upright, orientation), pixels)
    assert np.array_equal(to_upright(to_stored(pixels, orientation), orientation), pixels)


@pytest.mark.parametrize("orientation", EVERY)
def test_turns_as_pillow_does(orientation: int) -> None:
    image = Image.fromarray(PIXELS)
    image.getexif()[0x0112] = orientation
    assert np.array_equal(to_upright(PIXELS, orientation), np.array(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("orientation", EVERY)
def test_a_region_is_where_its_pixels_are(orientation: int) -> None:
    x, y, width, height = region = (1, 2, 4, 2)
    seen = np.zeros((5, 7), np.uint8)
    seen[y : y + height, x : x + width] = 1
    left, top, wide, high = stored_region(region, orientation, 7, 5)
    stored = to_stored(seen, orientation)
    assert stored[top : top + high, left : left + wide].all() and stored.sum() == wide * high


@pytest.mark.parametrize("orientation", EVERY)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("before", [b"", b"Exif\0\0"])
def test_read_from_exif(orientation: int, order: str, before: bytes) -> None:
    assert orientation_of(before + exif(orientation, order)) == orientation


def test_none_or_damaged_is_upright() -> None:
    whole = exif(6)
    assert (
        orientation_of(b"")
        == orientation_of(exif(9))
        == orientation_of(exif(0))
        == orientation_of(exif(6, kind=4))
        == 1
    )
    assert {orientation_of(whole[:length]) for length in range(len(whole) - 6)} == {1}
    assert orientation_of(b"II*\0\xff\xff\xff\xff" + whole[8:]) == 1
