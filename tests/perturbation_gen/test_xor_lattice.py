import numpy as np
import pytest

from perturbation_gen.lattice import LIMIT, MAX_SIDE, expand, headroom, lattice_shape
from perturbation_gen.xor import noise_for, noise_from, xor

random = np.random.default_rng(5)
IMAGE = random.integers(0, 256, (40, 50, 3), np.uint8)
NOISE = random.integers(0, 256, (40, 50, 3), np.uint8)
MASK = random.random((40, 50)) < 0.4


def test_xor_is_its_own_inverse() -> None:
    changed = xor(IMAGE, NOISE, MASK)
    assert not np.array_equal(changed, IMAGE)
    assert np.array_equal(xor(changed, NOISE, MASK), IMAGE)


def test_xor_stays_in_the_mask_and_leaves_its_arguments() -> None:
    before = IMAGE.copy()
    changed = xor(IMAGE, NOISE, MASK)
    assert np.array_equal(changed[~MASK], IMAGE[~MASK])
    assert np.array_equal(changed[MASK], IMAGE[MASK] ^ NOISE[MASK])
    assert np.array_equal(IMAGE, before)


def test_a_residual_is_a_noise_plane_from_either_side() -> None:
    residual = random.integers(-128, 128, IMAGE.shape).astype(np.int16)
    residual = np.clip(residual, -IMAGE.astype(np.int16), 255 - IMAGE.astype(np.int16))
    noise = noise_for(IMAGE, residual)
    everywhere = np.ones(MASK.shape, bool)
    protected = xor(IMAGE, noise, everywhere)
    assert np.array_equal(protected, IMAGE + residual)
    assert np.array_equal(noise_from(protected, residual), noise)
    assert np.array_equal(xor(protected, noise_from(protected, residual), everywhere), IMAGE)


@pytest.mark.parametrize(("value", "change"), [(0, -1), (255, 1), (100, -101), (100, 156)])
def test_a_residual_may_not_saturate(value: int, change: int) -> None:
    with pytest.raises(ValueError, match="0..255"):
        noise_for(np.full((1, 1, 1), value, np.uint8), np.full((1, 1, 1), change, np.int16))


# What a lattice became when format 1 of the key was made. Were it ever something else, old keys would not open their
# photos any more.
LATTICE = np.array([[-128, 0, 127], [10, -20, 30], [5, 5, -5]], np.int8)
EXPANDED = {
    (3, 3): LATTICE.tolist(),
    (7, 5): [
        [-128, -109, -55, 0, 55, 109, 127],
        [-73, -64, -36, -8, 33, 74, 88],
        [10, 6, -7, -20, 1, 23, 30],
        [7, 5, 0, -5, 1, 7, 9],
        [5, 5, 5, 5, 1, -4, -5],
    ],
    (8, 6): [
        [-128, -120, -72, -24, 24, 71, 119, 127],
        [-93, -88, -55, -22, 15, 56, 96, 103],
        [-24, -24, -20, -17, -2, 24, 50, 54],
        [9, 7, -1, -10, -7, 6, 19, 21],
        [6, 6, 3, 0, 0, 2, 3, 4],
        [5, 5, 5, 5, 3, -1, -4, -5],
    ],
}


@pytest.mark.parametrize("size", EXPANDED)
def test_expansion_is_what_it_always_was(size: tuple[int, int]) -> None:
    full = expand(LATTICE[..., None], *size)
    assert (full.dtype, full.shape) == (np.int16, (size[1], size[0], 1))
    assert full[..., 0].tolist() == EXPANDED[size]


@pytest.mark.parametrize("channels", [1, 3])
def test_expansion_does_not_mix_channels(channels: int) -> None:
    lattice = random.integers(-128, 128, (9, 7, channels)).astype(np.int8)
    full = expand(lattice, 31, 50)
    assert full.shape == (50, 31, channels)
    for channel in range(channels):
        assert np.array_equal(full[..., channel], expand(lattice[..., channel : channel + 1], 31, 50)[..., 0])


def test_expansion_lies_between_neighbours() -> None:
    lattice = random.integers(-128, 128, (12, 15, 3)).astype(np.int8)
    full = expand(lattice, 150, 120)
    assert full.min() >= lattice.min() and full.max() <= lattice.max()
    constant = expand(np.full((5, 5, 1), -77, np.int8), 33, 44)
    assert np.all(constant == -77)


def test_the_lattice_is_never_finer_than_the_photo() -> None:
    for width, height in [(1, 1), (64, 80), (192, 192), (193, 100), (4000, 3000), (3, 9000)]:
        rows, columns = lattice_shape(width, height)
        assert 1 <= rows <= min(height, MAX_SIDE) and 1 <= columns <= min(width, MAX_SIDE)
    assert lattice_shape(100, 150) == (150, 100)


def extremes(low: np.ndarray, high: np.ndarray, generator: np.random.Generator) -> list[np.ndarray]:
    """Lattices within their room: its bounds, a mixture of both, and something between."""
    upper = generator.random(low.shape) < 0.5
    between = low + generator.random(low.shape) * (high - low)
    return [x.astype(np.int8) for x in (low, high, np.where(upper, low, high), np.rint(between))]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("scale", [1.0, 1.3, 2.7, 9.0])
def test_no_pixel_leaves_its_range_within_the_headroom(scale: float, channels: int) -> None:
    generator = np.random.default_rng(round(10 * scale))
    for _ in range(30):
        shape = (int(generator.integers(8, 24)), int(generator.integers(8, 24)))
        height, width = (max(side, round(side * scale + generator.uniform(-0.4, 0.4))) for side in shape)
        if scale == 1.0:
            height, width = shape
        pixels = generator.integers(0, 256, (height, width, channels), np.uint8)
        # Lone dark and bright pixels in a grey face are the hard case: most of the room is large.
        grey = generator.integers(60, 190, (height, width, channels), np.uint8)
        pixels = np.where(generator.random((height, width, 1)) < generator.choice([0.02, 0.3, 1]), pixels, grey)
        mask = generator.random((height, width)) < generator.choice([0.05, 0.5, 1])
        low, high = headroom(pixels, mask, shape)
        assert low.shape == (*shape, channels)
        assert low.min() >= -LIMIT and low.max() <= 0 <= high.min() and high.max() <= LIMIT
        for lattice in extremes(low, high, generator):
            residual = expand(lattice, width, height) * mask[..., None]
            protected = xor(pixels, noise_for(pixels, residual), mask)
            assert np.array_equal(xor(protected, noise_from(protected, residual), mask), pixels)


def test_the_headroom_is_not_spent_where_nothing_changes() -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    low, high = headroom(pixels, np.zeros((64, 64), bool), (16, 16))
    assert np.all(low == -LIMIT) and np.all(high == LIMIT)
    grey = np.full((64, 64, 3), 100, np.uint8)
    low, high = headroom(grey, np.ones((64, 64), bool), (16, 16))
    assert np.all(low == -100) and np.all(high == LIMIT)
