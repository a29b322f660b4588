"""PNG, JPEG, WebP, TIFF and BMP of 8 bits a channel, through Pillow. What is written is PNG."""

import io
import re
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from veilkey.carriers.picture import MODES, Picture
from veilkey.errors import UnreadablePhoto

# JPEG takes MPO files, too; Pillow knows no reader of that name.
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP")
MAX_PIXELS = 100_000_000
MIN_SIDE = 64
_TO_MODE = {"1": "L", "P": None, "PA": "RGBA"}
# Pillow opens colour of 16 bits a channel as if it had 8, and only its name for the raw data tells ("RGB;16B").
_SIXTEEN_BITS = re.compile(r";16[BLN]")


def read_photo(source: Path | bytes) -> Picture:
    """Decode a file (or its bytes) to an upright picture.

    Palette pictures become RGB or RGBA, and bitmaps grey, which changes no visible pixel.

    Raises:
        UnreadablePhoto: not one of the formats, cut short, of other depth or colour space, several frames, too small
            or too large.
    """
    name = source.name if isinstance(source, Path) else "the picture"
    try:
        with warnings.catch_warnings():
            # Of pictures that are under twice its limit Pillow only warns; ours is checked below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(source if isinstance(source, Path) else io.BytesIO(source), formats=FORMATS)
        with image:
            _check(image, name)
            image.load()
            return from_pil(image, name)
    except UnreadablePhoto:
        raise
    except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError, EOFError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UnreadablePhoto(f"{name}: not a picture that can be read ({reason})") from None


def from_pil(image: Image.Image, name: str = "the picture") -> Picture:
    """An upright picture of a Pillow image."""
    _check(image, name)
    icc_profile = image.info.get("icc_profile")
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "P":
        upright = upright.convert("RGBA" if "transparency" in upright.info else "RGB")
    elif upright.mode in ("L", "RGB") and "transparency" in upright.info:
        upright = upright.convert("LA" if upright.mode == "L" else "RGBA")
    elif upright.mode in _TO_MODE:
        upright = upright.convert(_TO_MODE[upright.mode])
    return Picture(np.array(upright), upright.mode, icc_profile)


def encode_png(picture: Picture) -> bytes:
    """The picture as a PNG file, with its ICC profile and nothing else of the original file."""
    buffer = io.BytesIO()
    # Level 1: noise hardly compresses further, and level 6 takes three times as long.
    Image.fromarray(picture.pixels, picture.mode).save(buffer, "PNG", icc_profile=picture.icc_profile, compress_level=1)
    return buffer.getvalue()


def _check(image: Image.Image, name: str) -> None:
    if image.mode not in MODES and image.mode not in _TO_MODE:
        raise UnreadablePhoto(f"{name}: {image.mode} pixels are not supported: save it as 8-bit RGB or grey first")
    if any(_SIXTEEN_BITS.search(str(tile[3])) for tile in getattr(image, "tile", ())):
        raise UnreadablePhoto(f"{name}: 16 bits a channel are not supported: save it as 8-bit RGB or grey first")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise UnreadablePhoto(f"{name}: holds {frames} pictures: save the one you want as its own file")
    if image.width * image.height > MAX_PIXELS:
        raise UnreadablePhoto(f"{name}: {image.width}x{image.height} is over {MAX_PIXELS // 10**6} megapixels")
    if min(image.size) < MIN_SIDE:
        raise UnreadablePhoto(f"{name}: {image.width}x{image.height} is under {MIN_SIDE} pixels a side")
