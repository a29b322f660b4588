import io
import struct
from collections.abc import Callable
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from veilkey.carriers import parts
from veilkey.carriers.bmp import BmpCarrier
from veilkey.errors import ForeignKey


def top_down(data: bytes) -> bytes:
    (height,) = struct.unpack_from("<i", data, 22)
    return data[:22] + struct.pack("<i", -height) + data[26:]


def bitfields(pixels: np.ndarray, masks: tuple[int, ...]) -> bytes:
    """32 bits a pixel behind a header of 108 bytes, bottom row first; pixels (H, W, 4) in the order of the file."""
    height, width = pixels.shape[:2]
    header = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, 0, 0, 0, 0, 0) + struct.pack("<4I", *masks)
    body = pixels[::-1].tobytes()
    header = header.ljust(108, b"\0")
    return b"BM" + struct.pack("<IHHI", 122 + len(body), 0, 0, 122) + header + body


def with_palette(picture: Image.Image, bits: int, *, spare: int = 0, used: int = 0) -> tuple[bytes, np.ndarray]:
    """A file of 1, 4 or 8 bits a pixel behind a header of 40 bytes, rows filled up with `spare`; and its pixels."""
    size = 1 << bits
    colours = np.zeros((size, 3), np.uint8)
    indexed = picture.quantize(used or size)
    palette = np.array(indexed.getpalette(), np.uint8).reshape(-1, 3)
    colours[: len(palette)] = palette[:size]
    indices = np.array(indexed)
    height, width = indices.shape
    lines = np.unpackbits(indices[..., None], axis=2)[..., 8 - bits :].reshape(height, -1)
    rows = np.packbits(np.pad(lines, ((0, 0), (0, -width * bits % 32)), constant_values=spare), axis=1)
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, 0, 0, 0, used, 0)
    entries = np.pad(colours[: used or size, ::-1], ((0, 0), (0, 1))).tobytes()
    start = 54 + len(entries)
    data = b"BM" + struct.pack("<IHHI", start + rows.size, 0, 0, start) + header + entries + rows[::-1].tobytes()
    return data, colours[indices]


@pytest.fixture
def files(muted: np.ndarray, encode: Callable[..., bytes]) -> dict[str, tuple[bytes, np.ndarray]]:
    rgb, grey = muted[..., :3], muted[..., 0]
    return {
        "RGB": (encode(rgb, "BMP"), rgb),
        "RGB from the top": (top_down(encode(rgb, "BMP")), rgb[::-1]),
        "32 bits without alpha": (encode(muted, "BMP"), rgb),
        "RGBA": (cv2.imencode(".bmp", muted[..., [2, 1, 0, 3]])[1].tobytes(), muted),
        "RGBA in its own order": (bitfields(muted, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)), muted),
        "grey": (encode(grey, "BMP"), grey),
        "trailing bytes": (encode(rgb, "BMP") + b"another copy", rgb),
    }


@pytest.mark.parametrize(
    "kind",
    ["RGB", "RGB from the top", "32 bits without alpha", "RGBA", "RGBA in its own order", "grey", "trailing bytes"],
)
def test_every_kind_is_exact(
    files: dict[str, tuple[bytes, np.ndarray]], round_trip: Callable[..., SimpleNamespace], kind: str
) -> None:
    data, pixels = files[kind]
    done = round_trip(BmpCarrier, data)
    assert np.array_equal(done.original.picture.pixels, pixels)
    assert len(done.saved) < 32
    shown = np.array(Image.open(io.BytesIO(done.file)))
    if kind != "32 bits without alpha":
        assert np.array_equal(shown, done.protected.picture.pixels)
    differs = np.frombuffer(done.file, np.uint8) != np.frombuffer(data[: len(done.file)], np.uint8)
    assert not differs[: struct.unpack_from("<I", data, 10)[0]].any()


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_a_palette_is_spelled_out_and_comes_back(
    muted: np.ndarray, round_trip: Callable[..., SimpleNamespace], bits: int
) -> None:
    data, pixels = with_palette(Image.fromarray(muted[:, :169, :3]), bits)
    done = round_trip(BmpCarrier, data + b"another copy")
    assert np.array_equal(done.original.picture.pixels, pixels)
    assert np.array_equal(done.original.picture.pixels, np.array(Image.open(io.BytesIO(data)).convert("RGB")))
    shown = Image.open(io.BytesIO(done.file))
    assert shown.mode == "RGB" and np.array_equal(np.array(shown), done.protected.picture.pixels)
    assert b"another copy" not in done.file and len(done.saved) < 1100


def test_palettes_that_do_not_say_which_entry_was_meant(
    muted: np.ndarray, round_trip: Callable[..., SimpleNamespace]
) -> None:
    image = Image.fromarray(muted[:, :169, :3])
    odd_rows, _ = with_palette(image, 4, spare=1, used=11)
    twice, _ = with_palette(image, 4)
    twice = twice[:58] + twice[54:58] + twice[62:]  # the second colour is the first
    for data in (odd_rows, twice, top_down(odd_rows)):
        assert 100 < len(round_trip(BmpCarrier, data).saved) < len(data)


def test_a_key_for_another_palette(muted: np.ndarray) -> None:
    image = Image.fromarray(muted[:, :169, :3])
    photo, other = (BmpCarrier.read(with_palette(image, bits)[0], "photo") for bits in (8, 4))
    for saved in (other.saved(b""), parts.join([b"", b"BM", b""]), parts.join([b"", bytes(100), b""])):
        with pytest.raises(ForeignKey):
            photo.rebuild(saved, b"")
    tail, head, _ = parts.split(photo.saved(b""), 3)
    with pytest.raises(ForeignKey):
        photo.rebuild(parts.join([tail, head, b"short"]), b"")


def test_what_follows_the_pixels_leaves_the_file(
    files: dict[str, tuple[bytes, np.ndarray]], round_trip: Callable[..., SimpleNamespace]
) -> None:
    assert b"another copy" not in round_trip(BmpCarrier, files["trailing bytes"][0]).file


def test_a_profile_behind_the_pixels_stays(muted: np.ndarray, round_trip: Callable[..., SimpleNamespace]) -> None:
    plain = bitfields(muted, (0xFF, 0xFF00, 0xFF0000, 0xFF000000))
    profile, pixels = b"a profile of colours", plain[122:]
    header = struct.pack("<I", 124) + plain[18:70] + b"DEBM" + plain[74:122]
    header += struct.pack("<IIII", 0, 124 + len(pixels), len(profile), 0)
    data = b"BM" + struct.pack("<IHHI", 138 + len(pixels) + len(profile), 0, 0, 138) + header + pixels + profile
    done = round_trip(BmpCarrier, data)
    assert done.original.picture.icc_profile == done.protected.picture.icc_profile == profile


def test_what_is_refused(muted: np.ndarray, encode: Callable[..., bytes], refused_quickly: Callable[..., str]) -> None:
    image = Image.fromarray(muted[..., :3])
    data = encode(image, "BMP")
    palette, _ = with_palette(image, 8)
    assert "compressed" in refused_quickly(BmpCarrier, palette[:30] + struct.pack("<I", 1) + palette[34:])
    assert "16 bits" in refused_quickly(BmpCarrier, data[:28] + struct.pack("<H", 16) + data[30:])
    assert "under 64" in refused_quickly(BmpCarrier, encode(image.resize((63, 80)), "BMP"))
    assert "under 64" in refused_quickly(BmpCarrier, data[:18] + struct.pack("<i", -80) + data[22:])
    assert "megapixels" in refused_quickly(BmpCarrier, data[:18] + struct.pack("<ii", 2**31 - 1, -(2**31)) + data[26:])
    assert "cut short" in refused_quickly(BmpCarrier, data[:10] + struct.pack("<I", 2**32 - 1) + data[14:])
    assert "8 bits each" in refused_quickly(BmpCarrier, bitfields(muted, (0xFF, 0xFF, 0xFF0000, 0)))


def test_cut_anywhere(files: dict[str, tuple[bytes, np.ndarray]], refused_quickly: Callable[..., str]) -> None:
    data, _ = files["RGB"]
    for length in [*range(60), 1000, len(data) - 1]:
        assert refused_quickly(BmpCarrier, data[:length])


def test_damaged_headers(
    files: dict[str, tuple[bytes, np.ndarray]], muted: np.ndarray, never_breaks: Callable[..., None]
) -> None:
    never_breaks(BmpCarrier, files["RGBA in its own order"][0], range(130))
    never_breaks(BmpCarrier, with_palette(Image.fromarray(muted[..., :3]), 4)[0], range(130))
