from collections import Counter

import cv2
import numpy as np
import pytest

from perturbation_gen.journey import PURIFIED_EVERY, Linear, draw_journey, purifier_at


def kind(image: np.ndarray, arrived: np.ndarray, back: np.ndarray) -> str:
    """What befell the image, told by what a slope of noise looks like once it was carried back."""
    if np.array_equal(image, arrived):
        return "as it left"
    return "recompressed" if back.std() > 0.99 else "smoothed"


@pytest.fixture(scope="module")
def journeys(close_up: np.ndarray) -> list[tuple[np.ndarray, np.ndarray, str]]:
    random, image = np.random.default_rng(0), close_up[40:168, 60:160].astype(np.float32)
    slope = random.normal(size=image.shape).astype(np.float32)
    made = []
    for _ in range(200):
        arrived, back = draw_journey(random)(image)
        made.append((arrived, back(slope), kind(image, arrived, back(slope))))
    return made


def test_every_kind_of_journey_is_made(journeys: list) -> None:
    counts = Counter(kind for _, _, kind in journeys)
    assert set(counts) == {"as it left", "recompressed", "smoothed"}
    assert min(counts.values()) >= 20


def test_what_arrives_is_still_the_photo(journeys: list, close_up: np.ndarray) -> None:
    image = close_up[40:168, 60:160].astype(np.float32)
    for arrived, _, _ in journeys:
        assert arrived.shape == image.shape and arrived.dtype == np.float32
        assert np.abs(arrived - image).mean() < 12


def test_a_slope_is_carried_back_by_the_transpose(close_up: np.ndarray) -> None:
    """<journey(x), y> is nearly <x, back(y)>, for y what a journey takes off x: passed through it would show."""
    image = np.zeros((96, 96, 3), np.float32)
    image[24:72, 24:72] = close_up[60:108, 70:118]
    slope = image - cv2.GaussianBlur(image, (0, 0), 1.5)
    straight, seen = float((image * slope).sum()), 0
    for seed in range(60):
        arrived, back = draw_journey(np.random.default_rng(seed))(image)
        carried = back(slope)
        if carried.std() > 0.95 * slope.std():
            continue
        seen += 1
        there, here = float((arrived * slope).sum()), float((image * carried).sum())
        assert abs(there - here) < 0.1 * straight
        assert there < 0.8 * straight
    assert seen >= 10


def test_purifiers_take_turns_at_regular_steps() -> None:
    def first(image: np.ndarray) -> tuple[np.ndarray, Linear]:
        return image, np.negative

    def second(image: np.ndarray) -> tuple[np.ndarray, Linear]:
        return image, np.positive

    pair, slope = [first, second], np.ones((2, 2, 3), np.float32)
    for turn in range(4 * PURIFIED_EVERY):
        left = purifier_at(turn, pair)
        if turn % PURIFIED_EVERY == 0:
            assert left is pair[turn // PURIFIED_EVERY % 2]
        else:
            arrived, back = left(slope)
            assert np.array_equal(arrived, slope) and np.array_equal(back(slope), slope)
