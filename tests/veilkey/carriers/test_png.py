import contextlib
import dataclasses
import io
import struct
import zlib
from collections.abc import Callable
from types import SimpleNamespace

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from veilkey.carriers.parts import split
from veilkey.carriers.picture import Picture
from veilkey.carriers.png import chunks as png_chunks
from veilkey.carriers.png.carrier import PngCarrier
from veilkey.carriers.png.chunks import Chunk
from veilkey.errors import ForeignKey

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


def chunks_of(data: bytes) -> list[tuple[bytes, bytes]]:
    return [(kind, bytes(body)) for kind, body in png_chunks.parse(data, "photo")[0]]


def with_chunks(data: bytes, *more: tuple[bytes, bytes], before: bytes = b"IDAT") -> bytes:
    chunks = chunks_of(data)
    place = [kind for kind, _ in chunks].index(before)
    return png_chunks.write(Chunk(*chunk) for chunk in (*chunks[:place], *more, *chunks[place:]))


def interlaced(pixels: np.ndarray, depth: int, colour: int, *more: tuple[bytes, bytes]) -> bytes:
    """Adam7 by hand, without filters: seven pictures, one after another."""
    rows = []
    starts = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    for top, left, down, right in starts:
        for row in pixels[top::down, left::right]:
            bits = np.unpackbits(
                row.astype(f">u{pixels.itemsize}").view(np.uint8).reshape(-1, 8 * pixels.itemsize // 8)
                if depth > 8
                else row.reshape(-1, 1),
                axis=1,
            )
            rows.append(b"\0" + np.packbits(bits[:, -depth:] if depth < 8 else bits).tobytes())
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], depth, colour, 0, 0, 1)
    body = zlib.compress(b"".join(rows))
    return png_chunks.write(Chunk(*chunk) for chunk in [(b"IHDR", header), *more, (b"IDAT", body), (b"IEND", b"")])


@pytest.fixture(scope="module")
def files(muted: np.ndarray, encode: Callable[..., bytes]) -> dict[str, bytes]:
    image = Image.fromarray(muted)
    deep = muted.astype(np.uint16) * 256 + muted[::-1]
    small = image.convert("RGB").quantize(9)
    levels = np.array(small)
    palette = (b"PLTE", bytes(small.getpalette()[: 3 * 9]))
    return {
        **{mode: encode(image.convert(mode)) for mode in CHANNELS},
        "bitmap": encode(image.convert("1")),
        "2 bits": interlaced(muted[..., 0] >> 6, 2, 0),
        "4 bits": interlaced(muted[..., 0] >> 4, 4, 0),
        "palette": encode(small),
        "palette of 4 bits": encode(small, bits=4),
        "palette with alpha": encode(small, transparency=bytes(range(0, 180, 20))),
        "clear grey": encode(image.convert("L"), transparency=int(muted[..., 0].max())),
        "clear colour": encode(image.convert("RGB"), transparency=tuple(muted[0, 0, :3].tolist())),
        "16 bits grey": imagecodecs.png_encode(np.ascontiguousarray(deep[..., 0])),
        "16 bits grey and alpha": imagecodecs.png_encode(np.ascontiguousarray(deep[..., [0, 3]])),
        "16 bits RGB": cv2.imencode(".png", deep[..., 2::-1])[1].tobytes(),
        "16 bits RGBA": imagecodecs.png_encode(deep),
        "interlaced RGB": interlaced(muted[..., :3], 8, 2),
        "interlaced 16 bits": interlaced(deep[..., :3], 16, 2),
        "interlaced palette": interlaced(levels, 4, 3, palette),
    }


KINDS = {
    "L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA", "2 bits": "L", "4 bits": "L", "palette": "RGB",
    "palette of 4 bits": "RGB", "palette with alpha": "RGBA", "clear grey": "LA", "clear colour": "RGBA",
    "16 bits grey": "L", "16 bits grey and alpha": "LA", "16 bits RGB": "RGB", "16 bits RGBA": "RGBA",
    "interlaced RGB": "RGB", "interlaced 16 bits": "RGB", "interlaced palette": "RGB",
}  # fmt: skip


@pytest.mark.parametrize(("kind", "mode"), KINDS.items())
def test_every_kind_is_exact(
    files: dict[str, bytes], round_trip: Callable[..., SimpleNamespace], kind: str, mode: str
) -> None:
    done = round_trip(PngCarrier, files[kind])
    assert done.original.picture.mode == done.protected.picture.mode == mode
    # Which zlib wrote those of 16 bits depends on imagecodecs' version.
    assert len(done.saved) < 600 or kind.startswith("16 bits")
    before, after = imagecodecs.png_decode(files[kind]), imagecodecs.png_decode(done.restored)
    assert before.dtype == after.dtype and np.array_equal(before, after)
    shown = imagecodecs.png_decode(done.file)
    high = (shown >> 8).astype(np.uint8) if shown.dtype == np.uint16 else shown
    assert np.array_equal(high, done.protected.picture.pixels)


def test_a_bitmap_has_room_for_more_than_two_levels(files: dict[str, bytes]) -> None:
    original = PngCarrier.read(files["bitmap"], "photo")
    pixels = original.picture.pixels.copy()
    pixels[40:90, 50:99] ^= 0x15
    changed = dataclasses.replace(original, shown=Picture(pixels, "L"))
    file = changed.encode()
    opened = PngCarrier.read(file, "photo")
    assert opened.digest() == changed.digest() and opened.encode() == file
    restored = dataclasses.replace(opened, shown=original.shown)
    assert restored.rebuild(original.saved(file), file) == files["bitmap"]
    assert PngCarrier.read(restored.encode(), "photo").digest() == original.digest()


@pytest.mark.parametrize("kind", ["bitmap", "4 bits", "palette", "palette with alpha", "clear grey", "clear colour"])
def test_shows_what_pillow_shows(files: dict[str, bytes], kind: str) -> None:
    picture = PngCarrier.read(files[kind], "photo").picture
    shown = np.array(Image.open(io.BytesIO(files[kind])).convert("RGBA"))
    assert np.array_equal(np.array(Image.fromarray(picture.pixels).convert("RGBA")), shown)


@pytest.mark.parametrize("kind", ["interlaced RGB", "interlaced 16 bits", "interlaced palette", "2 bits"])
def test_interlaced_files_are_read_exactly_and_silently(
    files: dict[str, bytes], muted: np.ndarray, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    carrier = PngCarrier.read(files[kind], "photo")
    assert capfd.readouterr().err == ""
    shown = imagecodecs.png_decode(files[kind])
    high = (shown >> 8).astype(np.uint8) if shown.dtype == np.uint16 else shown
    assert np.array_equal(carrier.picture.pixels, high)
    if kind == "interlaced RGB":
        assert np.array_equal(carrier.picture.pixels, muted[..., :3])


def test_low_bytes_count(files: dict[str, bytes], muted: np.ndarray) -> None:
    deep = imagecodecs.png_decode(files["16 bits RGB"])
    other = deep.copy()
    other[0, 0, 0] ^= 1
    one, two = (PngCarrier.read(imagecodecs.png_encode(pixels), "photo") for pixels in (deep, other))
    assert np.array_equal(one.picture.pixels, two.picture.pixels) and one.digest() != two.digest()


WRITTEN = {
    "Pillow": lambda rgb: pillow(rgb),
    "Pillow, level 1": lambda rgb: pillow(rgb, compress_level=1),
    "Pillow, optimized": lambda rgb: pillow(rgb, optimize=True),
    "OpenCV": lambda rgb: cv2.imencode(".png", rgb)[1].tobytes(),
    "OpenCV, level 9": lambda rgb: cv2.imencode(".png", rgb, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes(),
}


def pillow(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", **options)
    return file.getvalue()


@pytest.mark.parametrize("writer", WRITTEN)
def test_other_programs_files_come_back(
    muted: np.ndarray, round_trip: Callable[..., SimpleNamespace], writer: str
) -> None:
    done = round_trip(PngCarrier, WRITTEN[writer](np.ascontiguousarray(muted[..., :3])))
    assert len(done.saved) < 200


def test_what_no_known_program_deflated_is_kept_whole(
    files: dict[str, bytes], round_trip: Callable[..., SimpleNamespace]
) -> None:
    chunks = chunks_of(files["RGB"])
    rows = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    odd = zlib.compressobj(6, zlib.DEFLATED, 15, 1)
    stream = odd.compress(rows[:5000]) + odd.flush(zlib.Z_FULL_FLUSH) + odd.compress(rows[5000:]) + odd.flush()
    picture = [(b"IDAT", stream[:777]), (b"IDAT", b""), (b"IDAT", stream[777:])]
    data = png_chunks.write(Chunk(*chunk) for chunk in [chunks[0], *picture, chunks[-1]])
    done = round_trip(PngCarrier, data)
    assert split(done.saved, 5)[1] == stream


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_file_stays_turned(
    turned: Callable[[int, str], bytes],
    close_up: np.ndarray,
    orientation: int,
) -> None:
    data = turned(orientation, "PNG")
    carrier = PngCarrier.read(data, "photo")
    assert np.array_equal(carrier.picture.pixels, close_up[:, :192])
    changed = carrier.encode()
    assert Image.open(io.BytesIO(changed)).getexif()[0x0112] == orientation
    assert np.array_equal(np.array(Image.open(io.BytesIO(changed))), np.array(Image.open(io.BytesIO(data))))


def test_metadata_stays_in_its_place(
    muted: np.ndarray, icc_profile: bytes, encode: Callable[..., bytes], round_trip: Callable[..., SimpleNamespace]
) -> None:
    text = PngInfo()
    text.add_text("Title", "A portrait")
    text.add_text("Comment", "long " * 99, zip=True)
    text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>Ä</x:xmpmeta>", zip=True)
    data = encode(muted, icc_profile=icc_profile, dpi=(300, 300), pnginfo=text)
    time = (b"tIME", b"\x07\xea\1\2\3\4\5")
    data = with_chunks(with_chunks(data, (b"abCd", b"a private chunk"), (b"bKGD", bytes(6))), time, before=b"IEND")
    done = round_trip(PngCarrier, data)
    kept = [chunk for chunk in chunks_of(data) if chunk[0] != b"IDAT"]
    assert [chunk for chunk in chunks_of(done.file) if chunk[0] != b"IDAT"] == kept
    order = [kind for kind, _ in chunks_of(done.file)]
    assert order.index(b"abCd") < order.index(b"IDAT") < order.index(b"tIME")
    assert done.protected.picture.icc_profile == icc_profile


def test_hidden_copies_leave_the_file(
    muted: np.ndarray, encode: Callable[..., bytes], round_trip: Callable[..., SimpleNamespace]
) -> None:
    rgb = muted[..., :3]
    copy = encode(rgb[::2, ::2], "JPEG")
    exif = Image.Exif()
    exif[0x0112] = 1
    thumbnail = b"II*\0\x08\0\0\0\1\0\x0f\1\2\0\1\0\0\0A\0\0\0\x1a\0\0\0" + struct.pack(
        "<HHHIIHHIII", 2, 0x0201, 4, 1, 56, 0x0202, 4, 1, len(copy), 0
    )
    profile = b"Raw profile type exif\0\0" + zlib.compress(
        b"\nexif\n    9\n" + thumbnail.hex().encode() + copy.hex().encode()
    )
    data = with_chunks(
        encode(rgb),
        (b"eXIf", thumbnail + copy),
        (b"prVW", copy),
        (b"caBX", copy),
        (b"abcd", b"before" + copy + b"after"),
        (b"zTXt", profile),
        (b"zTXt", b"Preview\0\0" + zlib.compress(copy)),
        (b"tEXt", b"Author\0me"),
    )
    data += encode(rgb[::3, ::3])
    done = round_trip(PngCarrier, data)
    left = dict(chunks_of(done.file))
    assert not {b"prVW", b"caBX"} & set(left)
    assert left[b"tEXt"] == b"Author\0me" and left[b"abcd"].startswith(b"before") and left[b"abcd"].endswith(b"after")
    texts = [zlib.decompress(body.partition(b"\0")[2][1:]) for kind, body in chunks_of(done.file) if kind == b"zTXt"]
    assert texts == [bytes(len(copy))]
    assert copy[:20] not in done.file and copy[100:140] not in done.file and copy.hex().encode()[:60] not in done.file
    assert done.file.endswith(b"IEND" + struct.pack(">I", zlib.crc32(b"IEND")))


def test_text_bombs_are_left_out(files: dict[str, bytes]) -> None:
    bomb = (b"zTXt", b"Comment\0\0" + zlib.compress(bytes(10**8)))
    data = with_chunks(files["L"], *[bomb] * 30, (b"tEXt", b"Author\0me"))
    kinds = [kind for kind, _ in chunks_of(PngCarrier.read(data, "photo").encode())]
    assert b"zTXt" not in kinds and b"tEXt" in kinds


def claiming(data: bytes, width: int, height: int) -> bytes:
    chunks = chunks_of(data)
    chunks[0] = (b"IHDR", struct.pack(">II", width, height) + chunks[0][1][8:])
    return png_chunks.write(Chunk(*chunk) for chunk in chunks)


def test_what_is_refused(
    files: dict[str, bytes], muted: np.ndarray, encode: Callable[..., bytes], refused_quickly: Callable[..., str]
) -> None:
    rgb = files["RGB"]
    image = Image.fromarray(muted)
    animated = encode(image, save_all=True, append_images=[image.rotate(90)])
    assert "animated" in refused_quickly(PngCarrier, animated)
    assert "under 64" in refused_quickly(PngCarrier, encode(muted[:63]))
    assert "megapixels" in refused_quickly(PngCarrier, claiming(rgb, 12_001, 10_000))
    assert "megapixels" in refused_quickly(PngCarrier, claiming(rgb, 2**31 - 1, 2**31 - 1))
    assert "pixels a side" in refused_quickly(PngCarrier, claiming(rgb, 70_000, 100))
    assert "times its size" in refused_quickly(PngCarrier, claiming(rgb, 9_999, 9_999))
    assert "damaged" in refused_quickly(PngCarrier, claiming(rgb, 2_000, 1_500))
    assert "checksum" in refused_quickly(PngCarrier, rgb.replace(b"IDAT", b"IDAT\0", 1)[:-1] + rgb[-1:])
    assert "order" in refused_quickly(PngCarrier, with_chunks(rgb, chunks_of(rgb)[0]))
    twice = with_chunks(with_chunks(rgb, (b"tEXt", b"a\0b"), before=b"IEND"), chunks_of(rgb)[1], before=b"IEND")
    assert "order" in refused_quickly(PngCarrier, twice)
    for body in (b"", bytes(13), struct.pack(">IIBBBBB", 100, 100, 16, 3, 0, 0, 0), chunks_of(rgb)[0][1][:-1] + b"\2"):
        chunks = [Chunk(b"IHDR", body), *(Chunk(*chunk) for chunk in chunks_of(rgb)[1:])]
        assert "header" in refused_quickly(PngCarrier, png_chunks.write(chunks))
    assert "no picture" in refused_quickly(
        PngCarrier, png_chunks.write(Chunk(*c) for c in chunks_of(rgb) if c[0] != b"IDAT")
    )
    assert "over" in refused_quickly(PngCarrier, with_chunks(rgb, *[(b"abcd", b"")] * 300_000))
    assert refused_quickly(PngCarrier, with_chunks(rgb, (b"CgBI", b"1234"), before=b"IHDR"))


def test_cut_at_every_chunk(files: dict[str, bytes], refused_quickly: Callable[..., str]) -> None:
    data = files["palette with alpha"]
    places, start = [*range(9)], 8
    for _, body in chunks_of(data):
        places += [start, start + 4, start + 8, start + 8 + len(body) // 2, start + 11 + len(body)]
        start += 12 + len(body)
    for place in places:
        assert "get the file again" in refused_quickly(PngCarrier, data[:place]) or place < 8


def test_damaged_streams(files: dict[str, bytes], never_breaks: Callable[..., None]) -> None:
    data = files["palette"]
    never_breaks(PngCarrier, data, [*range(8, 60), *range(60, len(data), 997)])
    chunks = chunks_of(data)
    for place in range(0, len(chunks[-2][1]), 997):
        body = bytearray(chunks[-2][1])
        body[place] ^= 0x11
        never_breaks(
            PngCarrier, png_chunks.write(Chunk(*c) for c in (*chunks[:-2], (b"IDAT", bytes(body)), chunks[-1])), []
        )


def test_what_was_saved_is_checked(files: dict[str, bytes]) -> None:
    carrier = PngCarrier.read(files["palette"], "photo")
    file = carrier.encode()
    saved = carrier.saved(file)
    assert carrier.rebuild(saved, file) == files["palette"]
    for place in range(len(saved)):
        for damaged in (saved[:place], saved[:place] + bytes([saved[place] ^ 0x81]) + saved[place + 1 :]):
            with contextlib.suppress(ForeignKey):
                assert isinstance(carrier.rebuild(damaged, file), bytes)
