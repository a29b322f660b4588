"""One photo with the face that counts."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from veilkey.carriers import Picture, read_photo
from veilkey.faces import Face


@dataclass(frozen=True)
class Sample:
    """A photo of `person`. `image` (H, W, 3) uint8 RGB; `face` its largest face; `digest` names the pixels."""

    person: str
    name: str
    digest: str
    image: np.ndarray
    face: Face


def digest_of(image: np.ndarray) -> str:
    """SHA-256 in hexadecimal over size and pixels of an image (H, W, 3) uint8 RGB."""
    return Picture(image, "RGB").digest().hex()


def read_image(path: Path) -> np.ndarray:
    """The pixels of a photo, upright, (H, W, 3) uint8 RGB.

    Raises:
        UnreadablePhoto: the file is no picture that veilkey reads.
        OSError: there is no such file.
    """
    return read_photo(path).rgb()
