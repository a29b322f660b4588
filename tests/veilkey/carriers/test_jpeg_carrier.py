"""Noise on quantized coefficients: exact, local, and seen in the file as the optimisation thinks."""

import io
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from keys.payload import FaceKey
from mask_template.template import fixed_point, mask_in_photo
from perturbation_gen.lattice import lattice_shape
from veilkey.carriers import open_photo
from veilkey.carriers.jpeg import coefficients as codec
from veilkey.carriers.jpeg.carrier import JpegCarrier
from veilkey.carriers.jpeg.quantized import Grid, to_rgb
from veilkey.carriers.noise import face_residual, window

COLOURS = {"grey": ("L", None), "4:4:4": ("RGB", 0), "4:2:2": ("RGB", 1), "4:2:0": ("RGB", 2)}


def a_face(number: int, corner: tuple[int, int], side: int, channels: int, strength: float = 12.0) -> FaceKey:
    """A face's key with a smooth random lattice over a square of `side` pixels."""
    random = np.random.default_rng(number)
    x, y = corner
    scale = 256 / side
    shape = lattice_shape(side, side)
    smooth = cv2.GaussianBlur(random.standard_normal((*shape, 3)), (0, 0), 1.5)
    lattice = np.clip(strength * smooth / smooth.std(), -120, 120).astype(np.int8)[..., :channels]
    blocks = np.sort(random.choice(4096, 900, replace=False)).astype(np.uint16)
    return FaceKey(
        number=number,
        box=(x, y, side, side),
        region=(x, y, side, side),
        transform=fixed_point(np.array([[scale, 0, -x * scale], [0, scale, -y * scale]])),
        blocks=blocks,
        recognizer=np.zeros(len(blocks), np.uint8),
        group=np.zeros(len(blocks), np.uint8),
        tau=np.ones(len(blocks), np.float32),
        lattice=lattice,
        held=np.empty(0, np.uint32),
    )


def same(one: JpegCarrier, other: JpegCarrier) -> bool:
    pairs = zip(one.coefficients.components, other.coefficients.components, strict=True)
    return all(np.array_equal(a.blocks, b.blocks) for a, b in pairs)


def jpeg(image: np.ndarray, colour: str, quality: int = 85, **options: object) -> bytes:
    mode, subsampling = COLOURS[colour]
    buffer = io.BytesIO()
    extra = {} if subsampling is None else {"subsampling": subsampling}
    Image.fromarray(image).convert(mode).save(buffer, "JPEG", quality=quality, **extra, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("quality", [40, 85, 100])
def test_there_and_back_to_the_byte(close_up: np.ndarray, colour: str, quality: int) -> None:
    data = jpeg(close_up[:251, :243], colour, quality)
    original = open_photo(data)
    assert isinstance(original, JpegCarrier)
    face = original.admit(a_face(1, (37, 41), 150, 1 if colour == "grey" else 3))
    protected = open_photo(original.put_on(face).encode())
    assert isinstance(protected, JpegCarrier) and not same(protected, original)
    back = protected.take_off(face)
    assert same(back, original)
    assert back.rebuild(original.saved(protected.encode()), protected.encode()) == data


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_way_up(close_up: np.ndarray, turned: Callable[[int, str], bytes], orientation: int) -> None:
    """The picture is upright, the noise lies where the face is seen, and the file stays as it was turned."""
    data = turned(orientation, "JPEG")
    original = open_photo(data)
    assert original.picture.pixels.shape == (256, 192, 3)
    face = original.admit(a_face(1, (40, 60), 100, 3))
    protected = open_photo(original.put_on(face).encode())
    change = protected.picture.pixels.astype(int) - original.picture.pixels
    wanted, mask = face_residual(face)
    assert np.corrcoef(change[window(face.region)][mask].ravel(), wanted[mask].ravel())[0, 1] > 0.95
    far = np.ones(change.shape[:2], bool)
    far[60 - 16 : 160 + 16, 40 - 16 : 140 + 16] = False
    assert not change[far].any()
    stored = Image.open(io.BytesIO(protected.encode()))
    assert stored.getexif()[0x0112] == orientation and stored.size == Image.open(io.BytesIO(data)).size
    back = protected.take_off(face)
    assert back.rebuild(original.saved(protected.encode()), protected.encode()) == data


@pytest.mark.parametrize("colour", COLOURS)
def test_nothing_changes_outside_the_blocks_under_the_template(close_up: np.ndarray, colour: str) -> None:
    original = open_photo(jpeg(close_up, colour))
    face = a_face(1, (30, 50), 120, 1 if colour == "grey" else 3)
    protected = original.put_on(face)
    mask = np.zeros(close_up.shape[:2], bool)
    mask[window(face.region)] = mask_in_photo(face.blocks, face.transform, face.region)
    for before, after in zip(original.coefficients.components, protected.coefficients.components, strict=True):
        rows, columns = before.blocks.shape[:2]
        under = mask.reshape(rows, 256 // rows, columns, 256 // columns).any((1, 3))
        changed = (before.blocks != after.blocks).any((2, 3))
        assert changed.any() and not changed[~under].any()


def test_the_change_is_the_rounded_cosine_transform() -> None:
    """Against OpenCV's transform of the residual's luma, in floating point."""
    random = np.random.default_rng(0)
    residual = random.integers(-60, 61, (32, 40, 3)).astype(np.int16)
    quantization = random.integers(1, 40, (8, 8))
    change = Grid(0, "YCbCr", (1, 1), quantization).change((0, 0, 40, 32), residual)
    luma = residual @ np.array([0.299, 0.587, 0.114])
    for row, column in np.ndindex(4, 5):
        exact = cv2.dct(luma[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]) / quantization
        assert np.abs(change[row, column] - exact).max() < 0.53


def test_a_large_face_is_changed_as_a_whole_and_in_parts_alike() -> None:
    """Work goes row of blocks by row of blocks; what comes out does not show it."""
    random = np.random.default_rng(1)
    residual = random.integers(-30, 31, (700, 90, 3)).astype(np.int16)
    grid = Grid(2, "YCbCr", (2, 2), np.full((8, 8), 3))
    whole = grid.change((5, 9, 90, 700), residual)
    assert whole.shape[0] == 45
    # The blocks of rows 320..399 see nothing of the residual above and below them.
    part = grid.change((5, 320, 90, 80), residual[320 - 9 : 400 - 9])
    assert np.array_equal(whole[20:25], part)


@pytest.mark.parametrize("quality", [50, 90])
def test_what_is_seen_is_what_a_decoder_shows(close_up: np.ndarray, quality: int) -> None:
    original = open_photo(jpeg(close_up, "4:2:0", quality))
    face = a_face(1, (50, 60), 120, 3)
    residual, _ = face_residual(face)
    seen = original.seen(face.region, residual)
    decoded = original.put_on(face).picture.pixels[window(face.region)].astype(int)
    change = decoded - original.picture.pixels[window(face.region)]
    # Decoders smooth chroma between samples and round; the rest agrees.
    assert np.corrcoef(seen.ravel(), change.ravel())[0, 1] > 0.94
    assert np.abs(seen - change).mean() < 0.25 * np.abs(change).mean() + 0.5


def test_what_a_file_cannot_hold_is_held_back(close_up: np.ndarray) -> None:
    """Coefficients at the end of their range stay as they are, and the way back is exact all the same."""
    data = jpeg(close_up, "grey", 100)
    frame = codec.read(data)
    (component,) = frame.components
    blocks = component.blocks.copy()
    random = np.random.default_rng(0)
    blocks[8:20, 8:20, 0, 1:] = random.choice([-1023, 1023], (12, 12, 7))
    extreme = codec.write(data, replace(frame, components=(replace(component, blocks=blocks),)))
    original = open_photo(extreme)
    plain = a_face(1, (50, 60), 120, 1)
    with pytest.raises(ValueError):
        original.put_on(plain).encode()
    face = original.admit(plain)
    assert len(face.held) > 10 and np.all(np.diff(face.held.astype(int)) > 0)
    protected = open_photo(original.put_on(face).encode())
    assert same(protected.take_off(face), original) and not same(protected, original)


def test_faces_come_off_in_any_order(close_up: np.ndarray) -> None:
    original = open_photo(jpeg(close_up, "4:2:0"))
    first, second = a_face(1, (30, 50), 120, 3), a_face(2, (70, 90), 110, 3)
    protected = original.put_on(first).put_on(second)
    assert same(protected.take_off(first).take_off(second), original)
    assert same(protected.take_off(second).take_off(first), original)
    assert not same(protected.take_off(first), original)


def test_colour_there_and_back() -> None:
    random = np.random.default_rng(2)
    residual = random.integers(-40, 41, (16, 16, 3)).astype(np.int16)
    fine = np.ones((8, 8), int)
    for colour in ("YCbCr", "RGB"):
        planes = [Grid(index, colour, (1, 1), fine).seen((0, 0, 16, 16), residual) for index in range(3)]
        assert np.abs(to_rgb(planes, colour) - residual).max() < 4
