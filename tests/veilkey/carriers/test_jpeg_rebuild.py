import io
import os
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageCms

from veilkey.carriers.jpeg.coefficients import AC_RANGE, DC_RANGE, Coefficients, read, with_size, write
from veilkey.carriers.jpeg.rebuild import rebuild, recipe_of, save
from veilkey.carriers.jpeg.segments import DQT, DRI, SOF_PROGRESSIVE, SOS, Segment, join, parse
from veilkey.errors import ForeignKey, UnreadablePhoto

# The most bytes that a key may keep beside hidden copies, by recipe.
MOST = {"tables": 600, "jxl": 1400, "whole": 20_000}

# Encoder, its options, and the recipe that gives the file back.
KINDS = {
    "quality 30": (("pillow",), {"quality": 30}, "tables"),
    "quality 100, 4:4:4": (("pillow",), {"quality": 100, "subsampling": 0}, "tables"),
    "4:2:2": (("pillow",), {"subsampling": 1}, "tables"),
    "4:2:0, optimized": (("pillow",), {"subsampling": 2, "optimize": True}, "tables"),
    "progressive": (("pillow",), {"progressive": True}, "jxl"),
    "progressive, quality 100": (("pillow",), {"progressive": True, "quality": 100, "subsampling": 0}, "jxl"),
    "grey": (("pillow",), {"grey": True}, "tables"),
    "grey, progressive": (("pillow",), {"grey": True, "progressive": True}, "jxl"),
    "restart markers": (("pillow",), {"restart_marker_blocks": 5}, "tables"),
    "RGB": (("pillow",), {"keep_rgb": True}, "tables"),
    "OpenCV": (("opencv",), {"QUALITY": 90}, "tables"),
    "OpenCV, progressive, restart": (("opencv",), {"PROGRESSIVE": 1, "RST_INTERVAL": 2, "OPTIMIZE": 1}, "jxl"),
    "OpenCV, 4:4:0": (("opencv",), {"SAMPLING_FACTOR": 0x121111}, "tables"),
    "OpenCV, 4:1:1": (("opencv",), {"SAMPLING_FACTOR": 0x411111}, "tables"),
    "cjpeg, 4:4:0, progressive": (("cjpeg", "-sample", "1x2", "-progressive"), {}, "jxl"),
    "cjpeg, 4:1:1": (("cjpeg", "-sample", "4x1"), {}, "tables"),
    "cjpeg, 4:1:1, progressive": (("cjpeg", "-sample", "4x1", "-progressive"), {}, "whole"),
    "cjpeg, 4:1:0": (("cjpeg", "-sample", "4x2", "-optimize"), {}, "tables"),
    "cjpeg, every factor": (("cjpeg", "-sample", "2x2,1x2,2x1"), {}, "tables"),
    "cjpeg, RGB, progressive": (("cjpeg", "-rgb", "-progressive"), {}, "jxl"),
    "cjpeg, restart, progressive": (("cjpeg", "-restart", "3B", "-progressive"), {}, "jxl"),
    "cjpeg, grey with factors": (("cjpeg", "-grayscale", "-sample", "2x2"), {}, "tables"),
    "libjpeg 6b": (("jpeglib", "6b", "4:2:0", 75), {}, "tables"),
    "libjpeg 7, progressive": (("jpeglib", "7", "4:2:2", 75, "+PROGRESSIVE_MODE"), {}, "jxl"),
    "libjpeg 9f, optimized": (("jpeglib", "9f", "4:4:4", 95, "+OPTIMIZE_CODING"), {}, "tables"),
    "libjpeg-turbo 2.1": (("jpeglib", "turbo210", "4:2:0", 50), {}, "tables"),
    "mozjpeg 3": (("jpeglib", "mozjpeg300", "4:2:0", 80), {}, "jxl"),
    "mozjpeg 4": (("jpeglib", "mozjpeg403", "4:2:0", 80), {}, "jxl"),
    "mozjpeg 4, quality 30": (("jpeglib", "mozjpeg403", "4:2:2", 30), {}, "jxl"),
    "mozjpeg 4, one scan": (("jpeglib", "mozjpeg403", "4:4:4", 90, "-PROGRESSIVE_MODE"), {}, "jxl"),
}


def protect(data: bytes, change: Callable[[Coefficients], Coefficients]) -> tuple[Coefficients, bytes, bytes]:
    """The original's coefficients, the protected file and what the key saves, all checked."""
    original = read(data)
    changed = change(original)
    protected = write(data, changed)
    written = read(protected)
    assert (written.width, written.height, written.colour) == (original.width, original.height, original.colour)
    assert any((a != b).any() for a, b in zip(written.blocks(), original.blocks(), strict=True))
    for one, other in zip(written.components, changed.components, strict=True):
        assert np.array_equal(one.blocks, other.blocks)
        assert np.array_equal(one.quantization, other.quantization)
        assert one.sampling == other.sampling
    saved = save(data, protected)
    assert rebuild(saved, protected, original) == data
    return original, protected, saved


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_comes_back_to_the_byte(jpeg: Callable[..., bytes], change: Callable, kind: str) -> None:
    arguments, options, by = KINDS[kind]
    data = jpeg(*arguments, **options)
    original, protected, saved = protect(data, change)
    assert recipe_of(saved) == by
    assert len(saved) <= MOST[by]
    before, after = parse(data), parse(protected)
    # One scan is smaller than many in small pictures.
    assert replace(after.frame, progressive=False) == replace(before.frame, progressive=False)
    assert before.frame.progressive or not after.frame.progressive
    assert [s.payload for s in after.segments if s.marker == DQT] == [
        s.payload for s in before.segments if s.marker == DQT
    ]
    assert np.array(Image.open(io.BytesIO(protected))).shape[:2] == (original.height, original.width)
    assert len(write(data, original)) < 1.03 * len(data) + 300  # mozjpeg has found itself shorter scans


@pytest.mark.parametrize("size", [(64, 64), (65, 64), (64, 71), (73, 65), (127, 129), (80, 200)])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"grey": True}], ids=str)
def test_odd_sizes(
    jpeg: Callable[..., bytes], change: Callable, portrait: np.ndarray, size: tuple[int, int], options: dict
):
    width, height = size
    _, _, saved = protect(jpeg(pixels=portrait[40 : 40 + height, 150 : 150 + width], **options), change)
    assert len(saved) < 1000


@pytest.mark.parametrize(
    "kind", ["4:2:2", "progressive", "grey", "RGB", "OpenCV, 4:1:1", "mozjpeg 4", "restart markers"]
)
def test_other_decoders_take_the_protected_file(jpeg: Callable[..., bytes], change: Callable, kind: str) -> None:
    commands = [
        ["djpeg", "-outfile", os.devnull],
        ["ffmpeg", "-v", "error", "-f", "image2pipe", "-i", "-", "-f", "null", "-"],
    ]
    commands = [command for command in commands if shutil.which(command[0])]
    if not commands:
        pytest.skip("neither djpeg nor ffmpeg is installed")
    arguments, options, _ = KINDS[kind]
    data = jpeg(*arguments, **options)
    protected = write(data, change(read(data)))
    for command in commands:
        done = subprocess.run(command, input=protected, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("options", [{"subsampling": 0}, {"subsampling": 2, "progressive": True}], ids=str)
def test_reads_what_another_library_reads(jpeg: Callable[..., bytes], options: dict, tmp_path) -> None:
    jpeglib = pytest.importorskip("jpeglib")
    data = jpeg(**options)
    (tmp_path / "photo.jpg").write_bytes(data)
    other = jpeglib.read_dct(str(tmp_path / "photo.jpg"))
    coefficients = read(data)
    for component, blocks in zip(coefficients.components, (other.Y, other.Cb, other.Cr), strict=True):
        assert np.array_equal(component.blocks, blocks)
    assert np.array_equal(coefficients.components[0].quantization, other.qt[0])


def test_what_is_read_is_what_is_shown(jpeg: Callable[..., bytes]) -> None:
    """A flat block's DC is eight times what its samples are above 128, divided by the step."""
    grey = np.full((64, 64, 3), 200, np.uint8)
    coefficients = read(jpeg(pixels=grey, grey=True, quality=100))
    (component,) = coefficients.components
    assert (coefficients.colour, component.blocks.dtype, component.blocks.shape) == ("L", np.int16, (8, 8, 8, 8))
    assert (component.blocks[..., 0, 0] == 8 * (200 - 128)).all()
    assert np.count_nonzero(component.blocks) == 64
    rising = np.broadcast_to(np.arange(0, 256, 4, dtype=np.uint8)[None, :, None], (64, 64, 3))
    blocks = read(jpeg(pixels=np.ascontiguousarray(rising), grey=True, quality=100)).components[0].blocks
    assert blocks[..., 0, 1:].any() and not blocks[..., 1:, :].any()  # the last axis is horizontal


@pytest.mark.parametrize(("options", "colour"), [({}, "YCbCr"), ({"keep_rgb": True}, "RGB"), ({"grey": True}, "L")])
def test_colour(jpeg: Callable[..., bytes], options: dict, colour: str) -> None:
    data = jpeg(**options)
    assert read(data).colour == colour
    # JFIF says YCbCr, whatever Adobe's marker says.
    segments = parse(data).segments
    jfif = Segment(0xE0, b"JFIF\0\1\2\1\0\1\0\1\0\0")
    marked = join([segments[0], jfif, *segments[1:]])
    assert read(marked).colour == ("L" if colour == "L" else "YCbCr")


def test_a_large_progressive_file_stays_one(jpeg: Callable[..., bytes], change: Callable, portrait: np.ndarray) -> None:
    _, protected, _ = protect(jpeg("opencv", pixels=np.tile(portrait, (2, 2, 1)), PROGRESSIVE=1), change)
    assert any(segment.marker == SOF_PROGRESSIVE for segment in parse(protected).segments)


def test_restarts_stay(jpeg: Callable[..., bytes], change: Callable) -> None:
    data = jpeg("opencv", PROGRESSIVE=1, RST_INTERVAL=2)
    _, protected, _ = protect(data, change)
    intervals = [[s.payload for s in parse(file).segments if s.marker == DRI] for file in (data, protected)]
    assert intervals[0] == intervals[1] != []


def test_metadata_stays_in_place(jpeg: Callable[..., bytes], change: Callable, thumbnail: bytes) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = jpeg(exif=exif.tobytes(), xmp=b"<x:xmpmeta/>", icc_profile=profile, comment=b"a comment", dpi=(300, 300))
    jfif, jfxx = Segment(0xE0, b"JFIF\0\1\2\1\0\1\0\1\0\0"), Segment(0xE0, b"JFXX\0\x10" + thumbnail)
    segments = parse(data).segments
    data = join([segments[0], jfif, jfxx, *segments[1:-1], Segment(0xFE, b"before the end"), segments[-1]])
    _, protected, saved = protect(data, change)
    kept = [[s for s in parse(file).segments if s.marker >= 0xE0] for file in (data, protected)]
    assert [(s.marker, len(s.payload)) for s in kept[0]] == [(s.marker, len(s.payload)) for s in kept[1]]
    assert [s.payload for s in kept[0] if s != jfxx] == [s.payload for s in kept[1]][:1] + [s.payload for s in kept[1]][
        2:
    ]
    assert len(saved) < 600 + len(thumbnail)


def test_what_follows_the_end_leaves_and_comes_back(
    jpeg: Callable[..., bytes], change: Callable, face: np.ndarray, pictures_in: Callable[[bytes], int]
) -> None:
    buffer = io.BytesIO()
    first, second = Image.fromarray(face), Image.fromarray(face[:, ::-1])
    first.save(buffer, "MPO", save_all=True, append_images=[second], quality=80)
    film = os.urandom(5000)
    data = buffer.getvalue() + b"\0\0\0\x18ftypmp42" + film
    assert pictures_in(data) == 2
    _, protected, saved = protect(data, change)
    assert pictures_in(protected) == 1 and b"MPF\0" not in protected and film not in protected
    assert Image.open(io.BytesIO(protected)).format == "JPEG"
    assert len(saved) > len(film)


def test_several_sequential_scans(jpeg: Callable[..., bytes], change: Callable, tmp_path) -> None:
    (tmp_path / "scans").write_text("1;\n0;\n2;\n")
    data = jpeg("cjpeg", "-restart", "2B", "-scans", str(tmp_path / "scans"))
    assert len(parse(data).scans) == 3
    _, protected, saved = protect(data, change)
    assert len(parse(protected).scans) == 1 and recipe_of(saved) == "jxl"


# What encoders of other makers do: content in the blocks that only fill up MCUs, bits that fill up the last byte.


def cropped(data: bytes, width: int, height: int) -> bytes:
    """A file whose last blocks hold picture that is not shown."""
    return with_size(parse(data), width, height).encode()


def with_scan(data: bytes, edit: Callable[[bytes], bytes]) -> bytes:
    return join([replace(s, scan=edit(s.scan)) if s.marker == SOS else s for s in parse(data).segments])


@pytest.mark.parametrize("subsampling", [1, 2])
@pytest.mark.parametrize("optimize", [False, True])
def test_picture_in_blocks_that_fill_up_mcus(
    jpeg, change: Callable, portrait: np.ndarray, subsampling: int, optimize: bool
):
    whole = jpeg(pixels=portrait[:208, 100:340], subsampling=subsampling, optimize=optimize, quality=85)
    data = cropped(whole, 231, 199 if subsampling == 2 else 201)
    _, _, saved = protect(data, change)
    assert len(saved) < len(data) / 4
    other_fill = with_scan(data, lambda scan: scan[:-1] + bytes([scan[-1] & ~1]))
    assert other_fill != data
    _, _, saved = protect(other_fill, change)
    assert len(saved) < len(data) / 4


def test_damaged_data_come_back_too(jpeg: Callable[..., bytes], change: Callable) -> None:
    data = jpeg()
    for edit in (
        lambda scan: scan[: len(scan) // 2],
        lambda scan: scan[:1000] + bytes(100) + scan[1100:],
        lambda scan: scan + b"more than all",
    ):
        _, protected, _ = protect(with_scan(data, edit), change)
        assert Image.open(io.BytesIO(protected)).convert("RGB").size == (237, 203)


def test_fill_bytes_and_strays_come_back(jpeg: Callable[..., bytes], change: Callable) -> None:
    segments = parse(jpeg(progressive=True)).segments
    gaps = [b"", b"\xff\xff\xff", b"stray", b"\0"]
    data = join([segments[0], *(replace(s, gap=gaps[i % 4]) for i, s in enumerate(segments[1:]))])
    _, protected, _ = protect(data, change)
    assert not any(segment.gap for segment in parse(protected).segments)


def test_protected_again(jpeg: Callable[..., bytes], change: Callable) -> None:
    first = write(jpeg(progressive=True), change(read(jpeg(progressive=True))))
    protect(first, change)


def test_what_no_file_can_hold_is_not_written(jpeg: Callable[..., bytes]) -> None:
    data = jpeg()
    original = read(data)
    first = original.components[0]
    places = {(0, 0): DC_RANGE, (3, 4): AC_RANGE}
    for (row, column), (least, most) in places.items():
        for value, fine in ((least, True), (most, True), (least - 1, False), (most + 1, False)):
            blocks = first.blocks.copy()
            blocks[2, 2, row, column] = value
            changed = replace(original, components=(replace(first, blocks=blocks), *original.components[1:]))
            if fine:
                assert np.array_equal(read(write(data, changed)).components[0].blocks, blocks)
            else:
                with pytest.raises(ValueError, match="within"):
                    write(data, changed)
    cut = replace(original, components=(replace(first, blocks=first.blocks[1:]), *original.components[1:]))
    with pytest.raises(ValueError, match="shape"):
        write(data, cut)


def test_undecodable_tables_are_refused(jpeg: Callable[..., bytes]) -> None:
    segments = parse(jpeg()).segments
    data = join(
        [replace(s, payload=s.payload[:1] + b"\xff" * 16 + s.payload[17:]) if s.marker == 0xC4 else s for s in segments]
    )
    with pytest.raises(UnreadablePhoto, match=r"^photo.jpg: the JPEG cannot be decoded"):
        read(data, "photo.jpg")


def test_larger_than_the_format_allows(jpeg: Callable[..., bytes]) -> None:
    """Symbols of 10 bits (the most there may be) become symbols of 15, as no encoder would write."""
    board = np.indices((64, 64)).sum(0) % 2 * 255
    data = jpeg(pixels=np.repeat(board[..., None].astype(np.uint8), 3, 2), grey=True, quality=100, optimize=True)
    longer = bytes(symbol + 5 if symbol & 15 == 10 else symbol for symbol in range(256))
    data = join(
        replace(s, payload=s.payload[:17] + s.payload[17:].translate(longer)) if s.marker == 0xC4 else s
        for s in parse(data).segments
    )
    with pytest.raises(UnreadablePhoto, match="larger than the format allows"):
        read(data)


def test_without_files_in_memory(jpeg: Callable[..., bytes], change: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg()
    protected = write(data, change(read(data)))
    monkeypatch.delattr(os, "memfd_create", raising=False)
    assert write(data, change(read(data))) == protected


# `saved` is authenticated, but a key may be issued by anybody.


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["tables", "jxl"])
def test_hostile_saved(jpeg: Callable[..., bytes], change: Callable, options: dict) -> None:
    data = jpeg(**options)
    original, protected, saved = protect(data, change)
    for length in range(0, len(saved), 7):
        with pytest.raises(ForeignKey):
            rebuild(saved[:length], protected, original)
    rng = np.random.default_rng(0)
    for _ in range(60):
        edited = bytearray(saved)
        edited[rng.integers(len(edited))] ^= 1 << rng.integers(8)
        try:
            assert rebuild(bytes(edited), protected, original) != b""
        except ForeignKey as error:
            assert "\n" not in str(error)


def test_a_saved_that_inflates_without_end(jpeg: Callable[..., bytes], change: Callable) -> None:
    original, protected, saved = protect(jpeg(), change)
    bomb = zlib.compress(bytes(1 << 28), 9)
    with pytest.raises(ForeignKey):
        rebuild(saved[:1] + struct.pack("<BI", 1, len(bomb)) + bomb, protected, original)


def test_saved_of_another_file(jpeg: Callable[..., bytes], change: Callable, portrait: np.ndarray) -> None:
    _, _, saved = protect(jpeg(), change)
    other = jpeg(pixels=portrait[:100, :100], grey=True)
    with pytest.raises(ForeignKey):
        rebuild(saved, other, read(other))
