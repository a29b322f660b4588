import io
import struct
from collections.abc import Callable
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from veilkey.carriers import riff
from veilkey.carriers.webp import WebpCarrier

LOSSLESS = {"lossless": True, "exact": True}


def chunks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    return [(kind, body) for kind, body, _ in riff.parse(data, "photo")[0]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "opaque RGBA"])
@pytest.mark.parametrize("metadata", [False, True])
def test_every_kind_is_exact(
    muted: np.ndarray,
    encode: Callable[..., bytes],
    round_trip: Callable[..., SimpleNamespace],
    mode: str,
    metadata: bool,
) -> None:
    pixels = muted.copy() if mode != "RGB" else muted[..., :3]
    if mode == "opaque RGBA":
        pixels[..., 3] = 255
    more = (
        {"icc_profile": b"profile" * 99, "xmp": b"<x:xmpmeta/>", "exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}
        if metadata
        else {}
    )
    data = encode(pixels, "WEBP", **LOSSLESS, **more)
    done = round_trip(WebpCarrier, data)
    assert len(done.saved) < 100
    assert np.array_equal(done.original.picture.pixels, pixels[..., : done.original.picture.pixels.shape[2]])
    assert np.array_equal(imagecodecs.webp_decode(done.restored), imagecodecs.webp_decode(data))
    assert np.array_equal(imagecodecs.webp_decode(done.file), done.protected.picture.pixels)
    assert [chunk for chunk in chunks_of(done.file) if chunk[0] != b"VP8L"] == [
        chunk for chunk in chunks_of(data) if chunk[0] != b"VP8L"
    ]


def test_an_opaque_alpha_channel_stays(muted: np.ndarray, encode: Callable[..., bytes]) -> None:
    """The encoder says that there is none; a file that says that there is one goes on saying so."""
    ((_, body),) = chunks_of(encode(muted[..., :3], "WEBP", **LOSSLESS))
    data = riff.write([(b"VP8L", body[:4] + bytes([body[4] | 0x10]) + body[5:])])
    carrier = WebpCarrier.read(data, "photo")
    assert carrier.picture.mode == "RGBA"
    assert WebpCarrier.read(carrier.encode(), "photo").digest() == carrier.digest()
    assert carrier.rebuild(carrier.saved(carrier.encode()), carrier.encode()) == data


def test_what_another_setting_wrote_is_kept_whole(
    muted: np.ndarray, encode: Callable[..., bytes], round_trip: Callable[..., SimpleNamespace]
) -> None:
    data = encode(muted, "WEBP", **LOSSLESS, quality=0, method=0)
    done = round_trip(WebpCarrier, data)
    assert len(done.saved) > len(data) // 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_file_stays_turned(turned: Callable[[int, str], bytes], close_up: np.ndarray, orientation: int) -> None:
    data = turned(orientation, "WEBP")
    carrier = WebpCarrier.read(data, "photo")
    assert np.array_equal(carrier.picture.pixels, close_up[:, :192])
    changed = Image.open(io.BytesIO(carrier.encode()))
    assert changed.getexif()[0x0112] == orientation
    assert np.array_equal(np.array(changed), np.array(Image.open(io.BytesIO(data))))


def test_hidden_copies_leave_the_file(
    muted: np.ndarray, encode: Callable[..., bytes], round_trip: Callable[..., SimpleNamespace]
) -> None:
    copy = encode(muted[::2, ::2, :3], "JPEG")
    data = encode(muted, "WEBP", **LOSSLESS, exif=b"II*\0\x08\0\0\0\0\0" + copy)
    data = riff.write([*chunks_of(data), (b"C2PA", copy), (b"mine", bytes(muted[:9, :9, :3].tobytes()))]) + copy
    done = round_trip(WebpCarrier, data)
    assert copy[:40] not in done.file and copy[100:140] not in done.file
    left = dict(chunks_of(done.file))
    assert left[b"C2PA"] == bytes(len(copy)) and not any(left[b"mine"])
    assert len(done.file) == 8 + struct.unpack_from("<I", done.file, 4)[0]


def test_what_is_refused(muted: np.ndarray, encode: Callable[..., bytes], refused_quickly: Callable[..., str]) -> None:
    image = Image.fromarray(muted)
    data = encode(image, "WEBP", **LOSSLESS)
    frames = encode(image, "WEBP", save_all=True, append_images=[image.rotate(90)], lossless=True)
    assert WebpCarrier.probe(frames) and "animated" in refused_quickly(WebpCarrier, frames)
    assert not WebpCarrier.probe(encode(image, "WEBP")) and not WebpCarrier.probe(encode(image.convert("RGB"), "WEBP"))
    assert "order" in refused_quickly(WebpCarrier, encode(image, "WEBP"))
    assert "order" in refused_quickly(WebpCarrier, riff.write(chunks_of(data) * 2))
    assert "under 64" in refused_quickly(WebpCarrier, encode(image.resize((63, 90)), "WEBP", **LOSSLESS))
    ((_, body),) = chunks_of(data)
    huge = riff.write([(b"VP8L", b"\x2f\xff\xff\xff\x0f" + body[5:])])
    assert "megapixels" in refused_quickly(WebpCarrier, huge)
    large = riff.write([(b"VP8L", b"\x2f" + (9_999 | 9_999 << 14).to_bytes(4, "little") + body[5:])])
    assert "times its size" in refused_quickly(WebpCarrier, large)
    assert "add up" in refused_quickly(WebpCarrier, riff.write([(b"VP8L", body), *[(b"abcd", b"")] * 9999]))


def test_cut_anywhere(muted: np.ndarray, encode: Callable[..., bytes], refused_quickly: Callable[..., str]) -> None:
    data = encode(muted, "WEBP", **LOSSLESS, icc_profile=b"profile")
    for length in [*range(70), *range(70, len(data), 999), len(data) - 1]:
        refused_quickly(WebpCarrier, data[:length])
        shorter = data[:4] + struct.pack("<I", max(length - 8, 0)) + data[8:length]
        refused_quickly(WebpCarrier, shorter)
        body = chunks_of(encode(muted, "WEBP", **LOSSLESS))[0][1] if length == 70 else b""
    assert refused_quickly(WebpCarrier, riff.write([(b"VP8L", body[: len(body) // 2])]))


def test_damaged_anywhere(muted: np.ndarray, encode: Callable[..., bytes], never_breaks: Callable[..., None]) -> None:
    data = encode(muted[:64, :64], "WEBP", **LOSSLESS, icc_profile=b"profile")
    never_breaks(WebpCarrier, data, [*range(80), *range(80, len(data), 997)])
