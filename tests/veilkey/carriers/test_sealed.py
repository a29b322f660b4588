import io
import sys
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from veilkey.carriers import sealed
from veilkey.carriers.base import PROBED
from veilkey.carriers.png.carrier import PngCarrier
from veilkey.carriers.refused import refuse
from veilkey.carriers.sealed import SealedCarrier
from veilkey.errors import ForeignKey, UnreadablePhoto

KINDS = ["WEBP", "AVIF", "HEIF"]


@pytest.fixture
def file_in(muted: np.ndarray, encode: Callable[..., bytes]) -> Callable[..., bytes]:
    def make(kind: str, pixels: np.ndarray = muted[..., :3], **options: object) -> bytes:
        if kind == "HEIF":
            pytest.importorskip("pillow_heif", reason="pillow-heif is not installed").register_heif_opener()
        return encode(pixels, kind, **options)

    return make


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("channels", [3, 4])
def test_a_png_comes_out_and_the_original_back(
    file_in: Callable[..., bytes], muted: np.ndarray, faces: Callable, kind: str, channels: int
) -> None:
    data = file_in(kind, muted[..., :channels])
    assert SealedCarrier.probe(data[:PROBED])
    original = SealedCarrier.read(data, "photo")
    shown = np.array(Image.open(io.BytesIO(data)))
    assert np.array_equal(original.picture.pixels, shown)
    one, two, _ = faces(original.picture)
    protected = original.put_on(one).put_on(two)
    file = protected.encode()
    opened = PngCarrier.read(file, "photo")
    assert opened.digest() == protected.digest()
    whole = opened.take_off(one).take_off(two)
    assert whole.digest() == original.digest()
    assert SealedCarrier(whole.picture, b"").rebuild(original.saved(file), file) == data
    assert np.array_equal(np.array(Image.open(io.BytesIO(whole.encode()))), shown)


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_stands_upright(file_in: Callable[..., bytes], muted: np.ndarray, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    carrier = SealedCarrier.read(file_in(kind, exif=exif.tobytes()), "photo")
    assert (carrier.picture.width, carrier.picture.height) == muted.shape[:2]
    assert Image.open(io.BytesIO(carrier.encode())).getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_cut_or_damaged(
    file_in: Callable[..., bytes], refused_quickly: Callable[..., str], never_breaks: Callable[..., None], kind: str
) -> None:
    data = file_in(kind)
    for length in [13, 40, 100, 300, len(data) // 2]:
        refused_quickly(SealedCarrier, data[:length])
    never_breaks(SealedCarrier, data, range(0, 300, 7))


def test_the_profile_stays_and_metadata_does_not(file_in: Callable[..., bytes], icc_profile: bytes) -> None:
    data = file_in("WEBP", icc_profile=icc_profile, xmp=b"<x>Jane Doe</x>")
    file = SealedCarrier.read(data, "photo").encode()
    assert PngCarrier.read(file, "photo").picture.icc_profile == icc_profile and b"Jane" not in file


def test_what_is_refused(
    file_in: Callable[..., bytes],
    muted: np.ndarray,
    refused_quickly: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = Image.fromarray(muted[..., :3])
    for kind in ("WEBP", "AVIF"):
        frames = file_in(kind, muted[..., :3], save_all=True, append_images=[image.rotate(90)])
        assert "animated" in refused_quickly(SealedCarrier, frames)
        assert "under 64" in refused_quickly(SealedCarrier, file_in(kind, muted[:63, :, :3]))
    data = file_in("WEBP")
    assert "20.0 MiB" in refused_quickly(SealedCarrier, data + bytes(sealed.MAX_ORIGINAL + 1 - len(data)))
    with pytest.raises(ForeignKey):
        SealedCarrier.read(data, "photo").rebuild(b"something else", b"")
    heif = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert "pip install pillow-heif" in refused_quickly(SealedCarrier, heif + bytes(100))


NAMED = {
    "RAF": (b"FUJIFILMCCD-RAW 0201", "RAW"),
    "ORF": (b"IIRO\x08\0\0\0", "RAW"),
    "RW2": (b"IIU\0\x18\0\0\0", "RAW"),
    "CR3": (b"\0\0\0\x18ftypcrx \0\0\0\1crx isom", "RAW"),
    "PSD": (b"8BPS\0\1", "Photoshop"),
    "GIF": (b"GIF89a", "GIF"),
    "SVG": (b"\xef\xbb\xbf\n<svg xmlns=", "no photo"),
    "PDF": (b"%PDF-1.7", "PDF"),
    "JPEG XL": (b"\xff\x0a\xfa", "JPEG XL"),
    "JPEG XL in boxes": (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    "film": (b"\0\0\0\x18ftypmp42", "film"),
    "text": (b"not a picture", "JPEG, PNG, TIFF"),
    "nothing": (b"", "empty"),
}


@pytest.mark.parametrize("kind", NAMED)
def test_other_formats_are_named(kind: str) -> None:
    head, word = NAMED[kind]
    error = refuse(head, "photo")
    assert isinstance(error, UnreadablePhoto)
    assert word in str(error) and str(error).startswith("photo: ") and "\n" not in str(error)
    assert not SealedCarrier.probe(head)
