"""Photo files in and out: one file a format family, found by what the file holds, not by its name."""

from pathlib import Path

from veilkey.carriers.base import PROBED, Carrier, PhotoFile
from veilkey.carriers.bmp import BmpCarrier
from veilkey.carriers.jpeg.carrier import JpegCarrier
from veilkey.carriers.picture import Picture, encode_png, from_pil
from veilkey.carriers.pixels import Pixels
from veilkey.carriers.png.carrier import PngCarrier
from veilkey.carriers.refused import refuse
from veilkey.carriers.sealed import SealedCarrier
from veilkey.carriers.tiff.carrier import TiffCarrier
from veilkey.carriers.webp import WebpCarrier
from veilkey.errors import UnreadablePhoto
from veilkey.files import read_limited

__all__ = [
    "Carrier",
    "PhotoFile",
    "Picture",
    "Pixels",
    "encode_png",
    "format_of",
    "from_pil",
    "open_photo",
    "read_file",
    "read_photo",
]

FORMATS: tuple[type[PhotoFile], ...] = (
    JpegCarrier,
    PngCarrier,
    TiffCarrier,
    BmpCarrier,
    WebpCarrier,
    SealedCarrier,
)
MAX_FILE = 1 << 30
"""Bytes. The largest picture that is taken has no more uncompressed."""


def open_photo(source: Path | bytes) -> PhotoFile:
    """Open a photo file, or its bytes.

    Raises:
        UnreadablePhoto: no format that veilkey takes, cut short, hostile, of a variety that could not be restored
            exactly, too small or too large.
    """
    data = read_file(source) if isinstance(source, Path) else source
    name = source.name if isinstance(source, Path) else "the picture"
    return _find(data, name).read(data, name)


def read_file(path: Path) -> bytes:
    """The bytes of a photo file. Raises UnreadablePhoto where that is no regular file, or too large."""
    if path.is_file() and path.stat().st_size > MAX_FILE:
        raise UnreadablePhoto(f"{path.name}: is over {MAX_FILE >> 20} MiB: make it smaller")
    return _begin(path, MAX_FILE)


def format_of(path: Path) -> type[PhotoFile]:
    """Which format a file is of, by how it begins. Raises UnreadablePhoto as `open_photo` does."""
    return _find(_begin(path, PROBED), path.name)


def read_photo(source: Path | bytes) -> Picture:
    """What a photo file, or its bytes, shows. Raises UnreadablePhoto as `open_photo` does."""
    return open_photo(source).picture


def _begin(path: Path, limit: int) -> bytes:
    # A pipe would never end, and a device may not.
    if path.exists() and not path.is_file():
        raise UnreadablePhoto(f"{path}: is no file: name the photos one by one")
    try:
        return read_limited(path, limit)
    except OSError as error:
        raise UnreadablePhoto(f"{path}: {error.strerror}") from None


def _find(head: bytes, name: str) -> type[PhotoFile]:
    for one in FORMATS:
        if one.probe(head):
            return one
    raise refuse(head, name)
