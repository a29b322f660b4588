"""Lossy WebP, HEIC and AVIF, which no one writes again without loss: a PNG comes out, the key keeps the original."""

import io
import warnings
from dataclasses import dataclass
from typing import ClassVar, Self

from PIL import Image

from keys.payload import MAX_SAVED
from veilkey.carriers import parts, riff
from veilkey.carriers.limits import check_ratio, check_size
from veilkey.carriers.picture import Picture, encode_png, from_pil
from veilkey.carriers.pixels import PixelCarrier
from veilkey.errors import UnreadablePhoto

# A key keeps a digest beside the file.
MAX_ORIGINAL = MAX_SAVED - 64
_AVIF, _HEIF = ({b"avif"}, {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"miaf"})
_VP8_START = b"\x9d\x01\x2a"
_SEQUENCES = {b"avis", b"hevc", b"hevx", b"hevm", b"hevs", b"msf1"}


@dataclass(frozen=True, eq=False)
class SealedCarrier(PixelCarrier):
    """original: the whole file; empty once only the protected PNG is there.

    The protected file is a PNG without metadata but the ICC profile, so that whoever restores opens a `PngCarrier`. Its
    digest is the same as this one's. `rebuild` needs nothing of either: what was saved is the file.
    """

    original: bytes

    kind: ClassVar[str] = "sealed"
    suffixes: ClassVar[tuple[str, ...]] = (".png",)
    keeps_pixels: ClassVar[bool] = False

    @classmethod
    def probe(cls, head: bytes) -> bool:
        return riff.is_webp(head) or bool(_brands(head) & (_AVIF | _HEIF | _SEQUENCES))

    @classmethod
    def read(cls, data: bytes, name: str) -> Self:
        if len(data) > MAX_ORIGINAL:
            raise UnreadablePhoto(
                f"{name}: has {len(data) / 2**20:.1f} MiB, and a key holds 20 of a file that cannot be written again "
                "without loss: convert it to PNG first"
            )
        return cls(_decode(data, name), data)

    def _encode(self) -> bytes:
        return encode_png(self.shown)

    def saved(self, protected: bytes) -> bytes:
        return self.original

    def rebuild(self, saved: bytes, protected: bytes) -> bytes:
        if not self.probe(saved):
            raise parts.not_fitting()
        return saved


def _brands(head: bytes) -> set[bytes]:
    """What a file says it is compatible with (ISO/IEC 14496-12, 4.3); its own brand first of all."""
    if head[4:8] != b"ftyp":
        return set()
    end = min(int.from_bytes(head[:4], "big"), len(head), 256)
    return {head[8:12], *(head[start : start + 4] for start in range(16, end - 3, 4))} - {b"crx "}


def _decode(data: bytes, name: str) -> Picture:
    kind = _plugin(data, name)
    start = data.find(b"VP8 ") + 11
    if kind == "WEBP" and data[start : start + 3] == _VP8_START:
        # Pillow allocates what the frame declares when it opens the file (RFC 6386, 9.1).
        width, height = (int.from_bytes(data[start + at : start + at + 2], "little") & 0x3FFF for at in (3, 5))
        check_ratio(3 * width * height, len(data), name)
    try:
        with warnings.catch_warnings():
            # Of pictures that are under twice its limit Pillow only warns; ours is checked below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=(kind,))
        with image:
            check_size(image.width, image.height, name)
            check_ratio(3 * image.width * image.height, len(data), name)
            if kind != "HEIF" and getattr(image, "n_frames", 1) > 1:
                raise UnreadablePhoto(f"{name}: is animated: save the picture you want as its own file")
            return from_pil(image, name)
    except UnreadablePhoto:
        raise
    except (OSError, ValueError, SyntaxError, RuntimeError, EOFError, MemoryError, Image.DecompressionBombError):
        raise UnreadablePhoto(f"{name}: cut short or damaged: get the file again") from None


def _plugin(data: bytes, name: str) -> str:
    """Pillow's name for the format."""
    if riff.is_webp(data):
        riff.parse(data, name)  # Pillow shows grey for what is cut off
        return "WEBP"
    brands = _brands(data[:256])
    if brands & _SEQUENCES and not brands & (_AVIF | _HEIF):
        raise UnreadablePhoto(f"{name}: is animated: save the picture you want as its own file")
    if brands & _AVIF:
        return "AVIF"
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise UnreadablePhoto(f"{name}: is HEIC, which needs another package: pip install pillow-heif") from None
    register_heif_opener()
    return "HEIF"
