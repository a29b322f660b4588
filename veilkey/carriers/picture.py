"""A decoded picture: its pixels, and what has to go with them so that it looks the same."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np

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
