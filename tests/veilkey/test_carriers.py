import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from veilkey.carriers import Picture, encode_png, from_pil, read_photo
from veilkey.errors import UnreadablePhoto

EXACT = {
    "rgb.png": "RGB",
    "rgb.tiff": "RGB",
    "lzw.tiff": "RGB",
    "rgb.bmp": "RGB",
    "icc.png": "RGB",
    "rgba.png": "RGBA",
    "rgba.webp": "RGBA",
    "grey.png": "L",
    "grey-alpha.png": "LA",
    "palette.png": "RGB",
    "palette-clear.png": "RGBA",
    "one-clear-colour.png": "RGBA",
    "bitmap.png": "L",
    "rgb.jpg": "RGB",
    "progressive.jpg": "RGB",
    "icc.jpg": "RGB",
    "two-views.mpo": "RGB",
    "grey.jpg": "L",
    "rgb.webp": "RGB",
}


@pytest.mark.parametrize(("kind", "mode"), EXACT.items())
def test_reads_what_pillow_shows(file_of: Callable[[str], bytes], kind: str, mode: str) -> None:
    data = file_of(kind)
    picture = read_photo(data)
    assert picture.mode == mode
    assert picture.pixels.dtype == np.uint8
    shown = np.array(Image.open(io.BytesIO(data)).convert("RGBA"))
    assert np.array_equal(np.array(Image.fromarray(picture.pixels).convert("RGBA")), shown)


@pytest.mark.parametrize("kind", EXACT)
def test_png_keeps_every_bit_and_the_profile(file_of: Callable[[str], bytes], icc_profile: bytes, kind: str) -> None:
    picture = read_photo(file_of(kind))
    again = read_photo(encode_png(picture))
    assert np.array_equal(again.pixels, picture.pixels)
    assert (again.mode, again.digest()) == (picture.mode, picture.digest())
    assert again.icc_profile == picture.icc_profile == (icc_profile if kind.startswith("icc") else None)


REFUSED = {
    "16-bit-grey.png": "not supported",
    "16-bit.png": "16 bits",
    "16-bit-alpha.png": "16 bits",
    "16-bit.tiff": "16 bits",
    "float.tiff": "not supported",
    "cmyk.jpg": "CMYK",
    "cmyk.tiff": "CMYK",
    "ycbcr.tiff": "YCbCr",
    "pages.tiff": "holds 2",
    "animated.png": "holds 2",
    "animated.webp": "holds 2",
    "small.png": "under 64 pixels",
    "huge.png": "megapixels",
    "bomb.png": None,
    "picture.gif": None,
    "cut.png": None,
    "cut.jpg": None,
    "cut.webp": None,
    "cut.tiff": None,
    "cut.bmp": None,
    "header.png": None,
    "empty.png": None,
    "text.jpg": None,
}


@pytest.mark.parametrize(("kind", "reason"), REFUSED.items())
def test_refuses_what_cannot_be_kept_exactly(file_of: Callable[[str], bytes], kind: str, reason: str | None) -> None:
    with pytest.raises(UnreadablePhoto, match=reason) as caught:
        read_photo(file_of(kind))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
def test_orientation_is_undone(
    turned: Callable[[int, str], bytes], close_up: np.ndarray, orientation: int, kind: str
) -> None:
    picture = read_photo(turned(orientation, kind))
    upright = close_up[:, :192]
    assert picture.pixels.shape == upright.shape
    difference = np.abs(picture.pixels.astype(int) - upright).max()
    assert difference <= (8 if kind == "JPEG" else 0)


@pytest.mark.parametrize("orientation", [3, 6])
def test_what_is_written_is_not_turned_again(turned: Callable[[int, str], bytes], orientation: int) -> None:
    picture = read_photo(turned(orientation, "PNG"))
    written = encode_png(picture)
    assert Image.open(io.BytesIO(written)).getexif().get(0x0112, 1) == 1
    assert read_photo(written).digest() == picture.digest()


def test_the_name_of_a_file_does_not_matter(file_of: Callable[[str], bytes], tmp_path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(file_of("rgb.png"))
    assert read_photo(path).digest() == read_photo(file_of("rgb.png")).digest()


def test_a_pil_image_is_checked_as_a_file_is(close_up: np.ndarray, file_of: Callable[[str], bytes]) -> None:
    assert np.array_equal(from_pil(Image.fromarray(close_up)).pixels, close_up)
    for kind in ("16-bit.png", "cmyk.jpg", "pages.tiff"):
        with pytest.raises(UnreadablePhoto):
            from_pil(Image.open(io.BytesIO(file_of(kind))))


PIXELS = np.random.default_rng(3).integers(0, 256, (70, 80, 4), np.uint8)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_colour_is_apart_from_alpha(mode: str) -> None:
    channels = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}[mode]
    pixels = PIXELS[..., 0] if mode == "L" else PIXELS[..., :channels]
    picture = Picture(pixels, mode, b"profile")
    colours = 1 if mode in ("L", "LA") else 3
    assert np.array_equal(picture.colour(), pixels.reshape(70, 80, -1)[..., :colours])
    assert picture.rgb().shape == (70, 80, 3)
    changed = picture.with_colour(255 - picture.colour())
    assert np.array_equal(changed.colour(), 255 - picture.colour())
    assert (changed.mode, changed.icc_profile, changed.pixels.shape) == (mode, b"profile", pixels.shape)
    if mode in ("LA", "RGBA"):
        assert np.array_equal(changed.pixels[..., -1], pixels[..., -1])


def test_the_digest_tells_pictures_apart() -> None:
    pixels = PIXELS[..., :3]
    edited = pixels.copy()
    edited[-1, -1, -1] ^= 1
    pictures = [
        Picture(pixels, "RGB"),
        Picture(edited, "RGB"),
        Picture(pixels.reshape(80, 70, 3), "RGB"),
        Picture(pixels.reshape(70, 240), "L"),
        Picture(PIXELS, "RGBA"),
    ]
    assert len({picture.digest() for picture in pictures}) == len(pictures)
    assert Picture(np.asfortranarray(pixels), "RGB", b"x").digest() == pictures[0].digest()
