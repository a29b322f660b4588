from collections.abc import Callable

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from perturbation_gen.budget import STRENGTHS, flip, inside, ssim, ssim_map, ssim_with_gradient


@pytest.fixture(scope="module", params=[0.0, 1.0, 8.0, 60.0], ids="noise {}".format)
def pair(request: pytest.FixtureRequest, close_up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    noise = np.random.default_rng(0).normal(0, request.param, close_up.shape)
    return close_up, np.clip(np.rint(close_up + noise), 0, 255).astype(np.uint8)


def test_ssim_is_scikit_images(pair: tuple[np.ndarray, np.ndarray]) -> None:
    for first, second in (pair, pair[::-1], [x[60:171, 90:181] for x in pair], [x[..., :1] for x in pair]):
        expected = structural_similarity(first, second, channel_axis=2, data_range=255)
        assert abs(ssim(first, second) - expected) < 1e-4


def test_ssim_with_gradient_says_the_same(pair: tuple[np.ndarray, np.ndarray]) -> None:
    first, second = (x.astype(np.float32) for x in pair)
    assert np.array_equal(ssim_with_gradient(first, second)[0], ssim_map(first, second))


@pytest.mark.parametrize("box", [np.s_[60:171, 90:181], np.s_[0:7, 0:256], np.s_[200:256, 249:256]])
def test_the_map_of_the_whole_holds_that_of_a_box(
    pair: tuple[np.ndarray, np.ndarray], box: tuple[slice, slice]
) -> None:
    first, second = (x.astype(np.float32) for x in pair)
    windows = inside(ssim_map(first, second), box)
    assert windows.shape == ssim_map(first[box], second[box]).shape
    assert abs(windows.mean() - ssim(first[box], second[box])) < 1e-6


@pytest.mark.parametrize("where", [np.s_[100:120, 90:130], np.s_[0:2, 0:3], np.s_[250:256, 255:256], np.s_[7:7, 7:7]])
def test_of_a_change_in_one_place_the_map_is_scikit_images(close_up: np.ndarray, where: tuple[slice, slice]) -> None:
    random = np.random.default_rng(2)
    first = close_up.astype(np.float32)
    second = first.copy()
    second[where] += random.integers(1, 9, second[where].shape)
    _, expected = structural_similarity(first, second, channel_axis=2, data_range=255, full=True)
    windows, gradient = ssim_with_gradient(first, second)
    assert np.abs(windows - expected[3:-3, 3:-3]).max() < 1e-3
    assert np.array_equal(windows, ssim_map(first, second))
    # As where a change elsewhere makes it look at the whole, but for what that change's own windows say.
    far = second.copy()
    far[[0, 128, 255], [128, 0, 128]] += 1
    whole = ssim_with_gradient(first, far)[1]
    near = np.s_[13:115, 13:115]
    assert np.abs(gradient[near] - whole[near]).max() <= 1e-4 * np.abs(whole).max() + 1e-10


def fraction(function: Callable[[np.ndarray], float], at: np.ndarray, direction: np.ndarray, step: float) -> float:
    return (function(at + step * direction) - function(at - step * direction)) / (2 * step)


@pytest.mark.parametrize("noise", [3.0, 20.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_gradient_is_the_quotient_of_differences(close_up: np.ndarray, noise: float, channels: int) -> None:
    random = np.random.default_rng(1)
    first = close_up[80:120, 100:150, :channels].astype(np.float32)
    second = first + random.normal(0, noise, first.shape).astype(np.float32)
    _, gradient = ssim_with_gradient(first, second)

    def exact(changed: np.ndarray) -> float:
        return float(structural_similarity(first.astype(np.float64), changed, channel_axis=2, data_range=255))

    for _ in range(5):
        direction = random.normal(0, 1, first.shape)
        expected = fraction(exact, second.astype(np.float64), direction, 1e-3)
        assert abs((gradient * direction).sum() - expected) < 0.01 * abs(expected) + 1e-6
    # One pixel at a time, at the border too, where the windows end.
    for y, x in [(0, 0), (3, 3), (20, 25), (39, 49), (2, 30)]:
        direction = np.zeros(first.shape)
        direction[y, x, 0] = 1.0
        expected = fraction(exact, second.astype(np.float64), direction, 1e-2)
        assert abs(gradient[y, x, 0] - expected) < 0.02 * abs(expected) + 1e-7


def test_flip_grows_with_the_difference(close_up: np.ndarray) -> None:
    face = close_up.astype(np.float32)
    seen = [flip(face, np.clip(face + np.float32([step, 0, -step]), 0, 255)) for step in (0, 4, 12, 40)]
    assert seen[0] == 0
    assert seen == sorted(seen)
    assert 0.01 < seen[1] < seen[3] < 1


def test_flip_does_not_depend_on_the_type(close_up: np.ndarray) -> None:
    for kind in (np.float32, np.float64, np.int16):
        assert flip(close_up, close_up.astype(kind)) == 0


def test_strengths_are_in_order() -> None:
    light, standard, strong = (STRENGTHS[name] for name in ("light", "standard", "strong"))
    assert light.ssim > standard.ssim > strong.ssim > 0.9
    assert light.flip < standard.flip < strong.flip
