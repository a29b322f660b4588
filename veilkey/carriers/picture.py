"""A decoded picture: its pixels, and what has to go with them so that it looks the same."""

import hashlib
import io
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageOps

from veilkey.carriers.limits import check_size
from veilkey.errors import UnreadablePhoto

MODES = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


@dataclass(frozen=True)
class Picture:
    """`pixels` (H, W) or (H, W, C) uint8 as `mode` says, upright; `icc_profile` as the file had it."""

    pixels: np.ndarray
    mode: str
    icc_profile: bytes | None = None

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    def colour(self) -> np.ndarray:
        """The channels that show colour, without alpha: (H, W, 1 or 3) uint8, a view where that is possible."""
        channels = self.pixels.reshape(self.height, self.width, MODES[self.mode])
        return channels[:, :, : 1 if self.mode in ("L", "LA") else 3]

    def rgb(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB, grey repeated, alpha left out: what detectors and recognizers see."""
        colour = self.colour()
        return np.ascontiguousarray(np.broadcast_to(colour, (*colour.shape[:2], 3)))

    def with_colour(self, colour: np.ndarray) -> "Picture":
        """This picture with other colour channels (H, W, 1 or 3) uint8; alpha and profile stay."""
        channels = self.pixels.reshape(self.height, self.width, MODES[self.mode]).copy()
        channels[:, :, : colour.shape[2]] = colour
        return replace(self, pixels=channels.reshape(self.pixels.shape))

    def digest(self) -> bytes:
        """SHA-256 over mode, size and pixels: the same for every file that shows exactly this picture."""
        head = f"veilkey picture 1 {self.mode} {self.width} {self.height}\n".encode()
        return hashlib.sha256(head + np.ascontiguousarray(self.pixels).tobytes()).digest()


def from_pil(image: Image.Image, name: str = "the picture") -> Picture:
    """An upright picture of a Pillow image; a palette is spelled out, which changes no visible pixel.

    Raises UnreadablePhoto for other colours than grey, RGB and RGBA of 8 bits a channel, and for sizes out of range.
    """
    check_size(image.width, image.height, name)
    upright = ImageOps.exif_transpose(image)
    if upright.mode == "1":
        upright = upright.convert("L")
    elif upright.mode in ("P", "PA"):
        upright = upright.convert("RGBA" if upright.mode == "PA" or "transparency" in upright.info else "RGB")
    elif upright.mode in ("L", "RGB") and "transparency" in upright.info:
        upright = upright.convert("LA" if upright.mode == "L" else "RGBA")
    if upright.mode not in MODES:
        raise UnreadablePhoto(f"{name}: {image.mode} pixels are not supported: convert it to 8-bit RGB or grey first")
    return Picture(np.array(upright), upright.mode, image.info.get("icc_profile"))


def encode_png(picture: Picture) -> bytes:
    """The picture as a PNG file, with its ICC profile and nothing else."""
    buffer = io.BytesIO()
    # Level 1: noise hardly compresses further, and level 6 takes three times as long.
    Image.fromarray(picture.pixels, picture.mode).save(buffer, "PNG", icc_profile=picture.icc_profile, compress_level=1)
    return buffer.getvalue()
