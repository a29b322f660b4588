import io
import struct
import zlib
from collections.abc import Callable
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from veilkey.carriers.picture import Picture
from veilkey.carriers.tiff.carrier import TiffCarrier
from veilkey.errors import ForeignKey, UnreadablePhoto

PLACES = (273, 279, 324, 325)
GEO_TIFF = [
    (33550, "d", 3, (10.0, 10.0, 0.0), True),
    (33922, "d", 6, (0.0, 0.0, 0.0, 5e5, 4e6, 0.0), True),
    (34735, "H", 8, (1, 1, 0, 1, 1024, 0, 1, 1), True),
    (34737, "s", 0, "WGS 84 / UTM zone 33N|", True),
]


def written(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    if options.get("planarconfig") == "separate":
        pixels = np.moveaxis(pixels, -1, 0)
    options.setdefault("photometric", "rgb" if channels > 2 else "minisblack")
    if channels in (2, 4):
        options.setdefault("extrasamples", ["unassalpha"])
    if channels > 1:
        options.setdefault("planarconfig", "contig")
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def pages_of(data: bytes) -> list[tifffile.TiffPage]:
    return list(tifffile.TiffFile(io.BytesIO(data)).pages)


def tags_of(data: bytes) -> list[list[tuple[int, object]]]:
    return [[(tag.code, tag.value) for tag in page.tags if tag.code not in PLACES] for page in pages_of(data)]


def deep(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.uint16) * 256 + pixels[::-1]


PACKED = {
    "none": {},
    "LZW": {"compression": "lzw"},
    "LZW, predicted": {"compression": "lzw", "predictor": True},
    "deflate": {"compression": "zlib"},
    "deflate, predicted": {"compression": "zlib", "predictor": True},
    "PackBits": {"compression": "packbits"},
}
LAID_OUT = {
    "strips": {"rowsperstrip": 40},
    "one strip": {},
    "tiles": {"tile": (64, 48)},
    "planes": {"planarconfig": "separate", "rowsperstrip": 40},
    "planes in tiles": {"planarconfig": "separate", "tile": (64, 48)},
}


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("laid_out", LAID_OUT)
@pytest.mark.parametrize("packed", PACKED)
def test_every_kind_is_exact(
    muted: np.ndarray, round_trip: Callable[..., SimpleNamespace], packed: str, laid_out: str, bits: int
) -> None:
    pixels = muted[..., :3] if bits == 8 else deep(muted)
    order = ">" if packed.startswith("LZW") else "<"
    options = {**PACKED[packed], **LAID_OUT[laid_out], "byteorder": order, "extratags": GEO_TIFF}
    data = written(pixels, **options, bigtiff=laid_out == "tiles" and packed == "deflate")
    done = round_trip(TiffCarrier, data)
    assert np.array_equal(done.original.picture.pixels, pixels if bits == 8 else pixels >> 8)
    assert len(done.saved) < 1000
    assert tags_of(done.file) == tags_of(done.restored) == tags_of(data)
    (page,) = pages_of(done.file)
    shown = page.asarray() if "planes" not in laid_out else np.moveaxis(page.asarray(), 0, -1)
    assert np.array_equal(shown >> 8 if bits == 16 else shown, done.protected.picture.pixels)
    assert np.array_equal(pages_of(done.restored)[0].asarray(), pages_of(data)[0].asarray())
    if packed == "none":
        assert len(done.file) == len(data)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_every_mode_is_exact(
    muted: np.ndarray, round_trip: Callable[..., SimpleNamespace], channels: int, bits: int
) -> None:
    pixels = (muted if bits == 8 else deep(muted))[
        ..., [3] if channels == 1 else [0, 3] if channels == 2 else slice(channels)
    ]
    pixels = pixels // 2 + pixels.dtype.type(32 * 256 ** (bits == 16)) if channels == 1 else pixels
    done = round_trip(TiffCarrier, written(pixels[..., 0] if channels == 1 else pixels, compression="lzw"))
    assert done.original.picture.mode == ["L", "LA", "RGB", "RGBA"][channels - 1]


@pytest.mark.parametrize("bits", [8, 16])
def test_white_may_be_zero(muted: np.ndarray, round_trip: Callable[..., SimpleNamespace], bits: int) -> None:
    pixels = muted[..., 0] if bits == 8 else deep(muted)[..., 0]
    done = round_trip(TiffCarrier, written(pixels, photometric="miniswhite"))
    assert np.array_equal(done.original.picture.pixels, 255 - muted[..., 0])


WRITTEN = {
    "Pillow": lambda rgb: pillow(rgb),
    "Pillow, LZW": lambda rgb: pillow(rgb, compression="tiff_lzw"),
    "Pillow, LZW, predicted": lambda rgb: pillow(rgb, compression="tiff_lzw", tiffinfo={317: 2}),
    "Pillow, deflate": lambda rgb: pillow(rgb, compression="tiff_adobe_deflate"),
    "OpenCV, LZW": lambda rgb: cv2.imencode(".tiff", rgb)[1].tobytes(),
    "OpenCV, deflate": lambda rgb: cv2.imencode(".tiff", rgb, [cv2.IMWRITE_TIFF_COMPRESSION, 8])[1].tobytes(),
}


def pillow(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "TIFF", **options)
    return file.getvalue()


@pytest.mark.parametrize("writer", WRITTEN)
def test_other_programs_files_come_back(
    muted: np.ndarray, round_trip: Callable[..., SimpleNamespace], writer: str
) -> None:
    data = WRITTEN[writer](np.ascontiguousarray(muted[..., :3]))
    done = round_trip(TiffCarrier, data)
    assert len(done.saved) < 1500
    shown = np.array(Image.open(io.BytesIO(done.file)))
    assert np.array_equal(shown, done.protected.picture.pixels)


def test_only_what_is_under_a_change_is_written(muted: np.ndarray, round_trip: Callable[..., SimpleNamespace]) -> None:
    data = written(muted[..., :3], compression="lzw", predictor=True, rowsperstrip=10)
    done = round_trip(TiffCarrier, data)
    before, after = pages_of(data)[0], pages_of(done.file)[0]
    touched = (done.original.picture.pixels != done.protected.picture.pixels).any((1, 2)).reshape(15, 10).any(1)
    assert 2 < touched.sum() < 12
    for index in np.flatnonzero(~touched):
        old, new = ((page.dataoffsets[index], page.databytecounts[index]) for page in (before, after))
        assert old == new and data[old[0] : sum(old)] == done.file[old[0] : sum(old)]
    # No strip as it was is left anywhere.
    for index in np.flatnonzero(touched):
        start, length = before.dataoffsets[index], before.databytecounts[index]
        assert data[start : start + length] not in done.file


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_file_stays_turned(turned: Callable[[int, str], bytes], close_up: np.ndarray, orientation: int) -> None:
    data = turned(orientation, "TIFF")
    carrier = TiffCarrier.read(data, "photo")
    upright = close_up[:, :192]
    assert np.array_equal(carrier.picture.pixels, upright)
    assert carrier.encode() == data
    pixels = upright.copy()
    pixels[30:60, 20:90] ^= 9
    file = type(carrier)(Picture(pixels, "RGB"), None, data, carrier.tags, carrier.pages, carrier.before).encode()
    assert np.array_equal(np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(file)))), pixels)
    assert tags_of(file) == tags_of(data)


def pages(muted: np.ndarray, *more: dict[str, object]) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(muted[..., :3], photometric="rgb", compression="lzw", rowsperstrip=16)
        writer.write(muted[:90, :101, :3], photometric="rgb", extratags=[(274, "H", 1, 6, True)])
        for options in more:
            writer.write(muted[::2, ::2, :3], photometric="rgb", **options)
    return file.getvalue()


def test_all_pages_are_one_picture(muted: np.ndarray, round_trip: Callable[..., SimpleNamespace]) -> None:
    data = pages(muted)
    done = round_trip(TiffCarrier, data)
    shown = done.original.picture.pixels
    assert shown.shape == (150 + 101, 171, 3)
    assert np.array_equal(shown[:150], muted[..., :3])
    assert np.array_equal(shown[150:, :90], np.rot90(muted[:90, :101, :3], -1))
    # The third face reaches over the narrow page's edge: beside it nothing is kept, and nothing comes.
    assert not shown[150:, 90:].any() and not done.protected.picture.pixels[150:, 90:].any()
    assert tags_of(done.file) == tags_of(data)
    assert len(pages_of(done.file)) == 2


def test_reduced_copies_are_blanked(muted: np.ndarray, round_trip: Callable[..., SimpleNamespace]) -> None:
    reduced: list[dict[str, object]] = [
        {"subfiletype": 1},
        {"subfiletype": 1, "compression": "zlib", "predictor": True},
        {"subfiletype": 1, "compression": "lzw", "tile": (32, 32)},
        {"subfiletype": 1, "compression": "jpeg"},
    ]
    data = pages(muted, *reduced)
    done = round_trip(TiffCarrier, data)
    assert done.original.picture.height == 150 + 101
    read = pages_of(done.file)
    assert len(read) == 6
    for page in read[2:5]:
        assert not page.asarray().any()
    start, length = read[5].dataoffsets[0], read[5].databytecounts[0]
    assert not any(done.file[start : start + length])


def test_previews_in_sub_directories_and_tags_are_blanked(
    muted: np.ndarray, encode: Callable[..., bytes], round_trip: Callable[..., SimpleNamespace]
) -> None:
    copy = encode(muted[::2, ::2, :3], "JPEG")
    photoshop = b"8BIM\x04\x0c\0\0" + struct.pack(">I", 28 + len(copy)) + bytes(28) + copy
    layers = b"Adobe Photoshop Document Data Block\0" + muted[..., :3].tobytes()
    extra = [(34377, "B", len(photoshop), photoshop, True), (37724, "B", len(layers), layers, True)]
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(muted[..., :3], photometric="rgb", compression="lzw", subifds=1, extratags=extra)
        writer.write(muted[::2, ::2, :3], photometric="rgb", subfiletype=1)
    done = round_trip(TiffCarrier, file.getvalue())
    (page,) = pages_of(done.file)
    assert not page.pages[0].asarray().any()
    assert copy[100:140] not in done.file and layers[1000:1100] not in done.file
    assert done.file[:8] == file.getvalue()[:8]


def test_metadata_and_profile_stay(
    muted: np.ndarray, icc_profile: bytes, encode: Callable[..., bytes], round_trip: Callable[..., SimpleNamespace]
) -> None:
    data = encode(muted[..., :3], "TIFF", icc_profile=icc_profile, description="A portrait", dpi=(300, 300))
    done = round_trip(TiffCarrier, data)
    assert done.protected.picture.icc_profile == icc_profile
    assert tags_of(done.file) == tags_of(data)


def test_what_is_refused(muted: np.ndarray, encode: Callable[..., bytes], refused_quickly: Callable[..., str]) -> None:
    rgb = muted[..., :3]
    image = Image.fromarray(rgb)

    def predicted(predictor: int) -> bytes:
        data = written(rgb, compression="lzw", predictor=True)
        return patched(data, pages_of(data)[0].tags[317].offset + 8, "<H", predictor)

    for word, data in {
        "JPEG": written(rgb, compression="jpeg"),
        "CMYK": encode(image.convert("CMYK"), "TIFF"),
        "YCbCr": encode(image.convert("YCbCr"), "TIFF"),
        "palette": encode(image.quantize(16), "TIFF"),
        "whole numbers": written(rgb[..., 0].astype(np.float32)),
        "8 or 16 bits": written(rgb.astype(np.uint32)),
        "channels": written(np.dstack([rgb, rgb]), photometric="minisblack"),
        "LZW or deflate": written(rgb, compression="zstd"),
        "predictor": predicted(3),
        "under 64": written(rgb[:63]),
        "RAW": written(rgb[..., 0], photometric="cfa", extratags=[(33421, "H", 2, (2, 2), True)]),
        "camera": written(rgb, extratags=[(50706, "B", 4, (1, 4, 0, 0), True)]),
    }.items():
        assert word in refused_quickly(TiffCarrier, data), word
    mixed = io.BytesIO()
    with tifffile.TiffWriter(mixed) as writer:
        writer.write(rgb, photometric="rgb")
        writer.write(rgb[..., 0], photometric="minisblack")
    assert "differ" in refused_quickly(TiffCarrier, mixed.getvalue())


def patched(data: bytes, place: int, layout: str, *values: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(layout, changed, place, *values)
    return bytes(changed)


def test_hostile_structures(muted: np.ndarray, refused_quickly: Callable[..., str]) -> None:
    data = written(muted[..., :3], rowsperstrip=75)
    (first,) = struct.unpack_from("<I", data, 4)
    count = struct.unpack_from("<H", data, first)[0]
    following = first + 2 + 12 * count
    assert "circle" in refused_quickly(TiffCarrier, patched(data, following, "<I", first))
    assert "circle" in refused_quickly(TiffCarrier, chain(data, 3000))
    assert "tags" in refused_quickly(TiffCarrier, patched(data, first, "<H", 65_535))
    assert "tags" in refused_quickly(TiffCarrier, patched(data, 4, "<I", 2**32 - 1))
    entries = {struct.unpack_from("<H", data, first + 2 + 12 * n)[0]: first + 2 + 12 * n for n in range(count)}
    assert "cut short" in refused_quickly(TiffCarrier, patched(data, entries[273] + 4, "<I", 2**32 - 1))
    assert "megapixels" in refused_quickly(TiffCarrier, patched(data, entries[256] + 2, "<HII", 4, 1, 2**31))
    assert "listed" in refused_quickly(TiffCarrier, patched(data, entries[257] + 2, "<HII", 4, 1, 200_000))
    assert "missing" in refused_quickly(TiffCarrier, patched(data, entries[257], "<H", 700))
    (offsets,) = struct.unpack_from("<I", data, entries[273] + 8)
    strips = struct.unpack_from("<II", data, offsets)
    assert "share" in refused_quickly(TiffCarrier, patched(data, offsets, "<II", strips[0], strips[0] + 1))
    assert "share" in refused_quickly(TiffCarrier, patched(data, offsets, "<I", 8))
    assert "left out" in refused_quickly(TiffCarrier, patched(data, offsets, "<I", 0))
    assert "left out" in refused_quickly(TiffCarrier, patched(data, offsets, "<I", 2**32 - 1))


def chain(data: bytes, length: int) -> bytes:
    """A file whose directory comes again and again, each at a place of its own."""
    (first,) = struct.unpack_from("<I", data, 4)
    size = 2 + 12 * struct.unpack_from("<H", data, first)[0]
    body = bytearray(data)
    place = first + size
    for _ in range(length):
        body += bytes(len(body) % 2)
        struct.pack_into("<I", body, place, len(body))
        place = len(body) + size
        body += data[first : first + size] + bytes(4)
    return bytes(body)


def test_tags_that_share_bytes(muted: np.ndarray, refused_quickly: Callable[..., str]) -> None:
    """Ten thousand tags that are each the whole file would be gone through ten thousand times."""
    entries = b"".join(struct.pack("<HHII", 40_000 + number, 7, 900_000, 8) for number in range(10_000))
    data = b"II*\0" + struct.pack("<I", 900_008) + bytes(900_000) + struct.pack("<H", 10_000) + entries + bytes(4)
    assert "share" in refused_quickly(TiffCarrier, data)


def test_a_tag_that_lies_over_the_others(muted: np.ndarray, round_trip: Callable[..., SimpleNamespace]) -> None:
    """The lengths of strips, which protecting writes anew, are among what its value takes up."""
    data = written(muted[..., :3], compression="zlib")
    (first,) = struct.unpack_from("<I", data, 4)
    size = 2 + 12 * struct.unpack_from("<H", data, first)[0]
    software = next(place for place in range(first + 2, first + size, 12) if data[place : place + 2] == b"\x31\x01")
    round_trip(TiffCarrier, patched(data, software, "<HHII", 305, 7, size, first))


def test_bombs(muted: np.ndarray, refused_quickly: Callable[..., str]) -> None:
    """A strip that inflates to more than its rows is read so far and no further."""
    huge = zlib.compress(bytes(300_000_000), 9)
    data = written(muted[..., :3], compression="zlib")  # one strip
    page = pages_of(data)[0]
    place = len(data)
    changed = bytearray(data + huge)
    for tag, value in ((273, place), (279, len(huge))):
        entry = page.tags[tag]
        struct.pack_into("<HII", changed, entry.offset + 2, 4, 1, value)
    assert not TiffCarrier.read(bytes(changed), "photo").picture.pixels.any()
    short = zlib.compress(bytes(100))
    changed = bytearray(data + short)
    for tag, value in ((273, place), (279, len(short))):
        struct.pack_into("<HII", changed, page.tags[tag].offset + 2, 4, 1, value)
    assert "damaged" in refused_quickly(TiffCarrier, bytes(changed))


@pytest.mark.parametrize("packed", PACKED)
def test_cut_or_damaged_anywhere(muted: np.ndarray, never_breaks: Callable[..., None], packed: str) -> None:
    data = written(muted[:64, :64, :3], **PACKED[packed], tile=(32, 32), bigtiff=packed == "PackBits")
    never_breaks(TiffCarrier, data, [*range(0, 600, 3), *range(600, len(data), 997)])


def test_what_was_saved_is_checked(muted: np.ndarray, faces: Callable) -> None:
    data = written(muted[..., :3], compression="lzw", rowsperstrip=20)
    original = TiffCarrier.read(data, "photo")
    face = faces(original.picture)[0]
    file = original.put_on(face).encode()
    restored = TiffCarrier.read(file, "photo").take_off(face)
    saved = original.saved(file)
    for place in range(len(saved)):
        for damaged in (saved[:place], saved[:place] + bytes([saved[place] ^ 0x81]) + saved[place + 1 :]):
            try:
                assert restored.rebuild(damaged, file) != data
            except ForeignKey as error:
                assert "\n" not in str(error)
    assert restored.rebuild(saved, file) == data


def test_damaged_codes_are_refused_or_read_as_libtiff_reads_them(close_up: np.ndarray) -> None:
    """What is read past a damaged code must not be what happens to lie in memory there."""
    good = written(np.ascontiguousarray(close_up[:75, :83]), compression="lzw", rowsperstrip=75)
    # Of the first code behind the one that empties the table.
    place, outcomes = pages_of(good)[0].dataoffsets[0] + 1, set()
    for byte in range(256):
        data = good[:place] + bytes([byte]) + good[place + 1 :]
        try:
            seen = TiffCarrier.read(data, "a").picture.rgb()
        except UnreadablePhoto:
            seen = None
        try:
            expected = np.asarray(Image.open(io.BytesIO(data)))
        except OSError:
            expected = None
        outcomes.add(seen is None)
        assert (seen is None and expected is None) or np.array_equal(seen, expected)
    assert outcomes == {True, False}
