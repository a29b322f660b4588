from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from veilkey.carriers import read_photo
from veilkey.faces import (
    CROP_SIZE,
    Face,
    FaceFinder,
    canonical_transform,
    compose,
    crop,
    fit_similarity,
    invert,
    map_points,
)
from veilkey.faces.geometry import CANONICAL_POINTS, five_points, scale_of, source_box


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.fixture(scope="module")
def face(finder: FaceFinder, portrait: np.ndarray) -> Face:
    return finder.find(portrait)[0]


def similarity(scale: float, degrees: float, shift: tuple[float, float]) -> np.ndarray:
    turn = np.deg2rad(degrees)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.column_stack([linear, shift])


SIMILARITIES = [
    similarity(scale, degrees, shift)
    for scale, degrees, shift in [(1, 0, (0, 0)), (0.1, 33, (5, -7)), (7.5, -140, (1e4, 3)), (1.3, 180, (-20, 900))]
]
POINTS = np.random.default_rng(0).uniform(0, 4000, (68, 2))


@pytest.mark.parametrize("transform", SIMILARITIES)
def test_there_and_back(transform: np.ndarray) -> None:
    assert np.allclose(map_points(invert(transform), map_points(transform, POINTS)), POINTS, atol=1e-6)
    assert np.allclose(compose(invert(transform), transform), np.eye(2, 3), atol=1e-6)


@pytest.mark.parametrize("transform", SIMILARITIES)
def test_fit_finds_the_similarity(transform: np.ndarray) -> None:
    assert np.allclose(fit_similarity(POINTS, map_points(transform, POINTS)), transform, rtol=1e-9, atol=1e-6)


def test_compose_does_the_first_first() -> None:
    first, second = SIMILARITIES[1], SIMILARITIES[2]
    assert np.allclose(map_points(compose(second, first), POINTS), map_points(second, map_points(first, POINTS)))
    assert np.isclose(scale_of(compose(second, first)), 0.75)


def test_fit_is_the_best_without_reflection() -> None:
    mirrored = POINTS * [-1, 1]
    fitted = fit_similarity(POINTS, mirrored)
    assert np.linalg.det(fitted[:, :2]) > 0
    best = np.square(map_points(fitted, POINTS) - mirrored).sum()
    for nudge in (similarity(1.001, 0, (0, 0)), similarity(1, 0.1, (0, 0)), similarity(1, 0, (1, 0))):
        assert np.square(map_points(compose(nudge, fitted), POINTS) - mirrored).sum() > best


def test_fit_needs_two_points() -> None:
    with pytest.raises(ValueError, match="two different points"):
        fit_similarity(np.ones((5, 2)), CANONICAL_POINTS)


def test_a_crop_has_the_face_in_its_place(portrait: np.ndarray, face: Face, finder: FaceFinder) -> None:
    inside = five_points(map_points(face.transform, face.landmarks))
    assert np.abs(inside - CANONICAL_POINTS).max() < 25
    assert np.array_equal(face.transform, canonical_transform(face.landmarks))
    found = finder.find(crop(portrait, face.transform))[0]
    expected = map_points(face.transform, face.landmarks)
    assert np.linalg.norm(found.landmarks - expected, axis=1).mean() < 0.05 * 85


@pytest.mark.parametrize("scale", [0.1, 0.3, 1.0, 1.9])
def test_crop_and_back(scale: float) -> None:
    """A smooth picture survives the way into the crop and back, whatever its size."""
    side = round(CROP_SIZE / scale)
    y, x = np.mgrid[:side, :side] / side
    image = np.dstack([255 * x, 255 * y, 127 + 100 * np.sin(6 * x * y)]).astype(np.uint8)
    transform = similarity(scale, 10, (5, -10))
    small = crop(image, transform)
    assert small.shape == (CROP_SIZE, CROP_SIZE, 3)
    x0, y0, x1, y1 = source_box(transform, CROP_SIZE, side, side)
    assert 0 <= x0 < x1 <= side and 0 <= y0 < y1 <= side
    rows, columns = np.mgrid[y0:y1:7, x0:x1:7].reshape(2, -1)
    at = map_points(transform, np.column_stack([columns, rows]).astype(float))
    inner = np.all((at > 2) & (at < CROP_SIZE - 3), axis=1)
    assert inner.sum() > 20
    seen = small[tuple(np.rint(at[inner]).astype(int).T[::-1])].astype(int)
    assert np.abs(seen - image[rows[inner], columns[inner]]).max() <= 8


def test_a_crop_over_the_edge_repeats_it() -> None:
    image = np.full((100, 100), 77, np.uint8)
    assert np.all(crop(image, similarity(1, 0, (200, 50))) == 77)


def within(found: np.ndarray, expected: np.ndarray) -> float:
    """Mean distance of landmarks in parts of the eyes' distance."""
    eyes = five_points(expected)
    return np.linalg.norm(found - expected, axis=1).mean() / np.linalg.norm(eyes[0] - eyes[1])


@pytest.mark.parametrize("scale", [0.25, 0.5, 2.0, 3.3])
def test_landmarks_follow_the_scale(finder: FaceFinder, portrait: np.ndarray, face: Face, scale: float) -> None:
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    (found,) = finder.find(cv2.resize(portrait, None, fx=scale, fy=scale, interpolation=interpolation))
    assert within((found.landmarks + 0.5) / scale - 0.5, face.landmarks) < 0.05


@pytest.mark.parametrize("degrees", [-30, -15, 15, 30])
def test_landmarks_follow_the_roll(finder: FaceFinder, portrait: np.ndarray, face: Face, degrees: float) -> None:
    turn = cv2.getRotationMatrix2D((226, 118), degrees, 1)
    rolled = cv2.warpAffine(portrait, turn, (512, 512), borderMode=cv2.BORDER_REPLICATE)
    found = finder.find(rolled)[0]
    assert within(found.landmarks, map_points(turn, face.landmarks)) < 0.06


@pytest.mark.parametrize("orientation", range(1, 9))
def test_landmarks_do_not_depend_on_orientation(
    finder: FaceFinder, turned: Callable[[int, str], bytes], orientation: int
) -> None:
    (upright,) = finder.find(read_photo(turned(1, "JPEG")).rgb())
    (found,) = finder.find(read_photo(turned(orientation, "JPEG")).rgb())
    assert within(found.landmarks, upright.landmarks) < 0.03


SIDES = [64, 100, 200, 320, 640, 1500, 3464]


@pytest.mark.parametrize("side", SIDES)
def test_found_in_a_close_up_of_any_size(finder: FaceFinder, close_up: np.ndarray, side: int) -> None:
    """From 64 pixels to 12 megapixels."""
    interpolation = cv2.INTER_AREA if side < 256 else cv2.INTER_CUBIC
    (found,) = finder.find(cv2.resize(close_up, (side, side), interpolation=interpolation))
    x, y, width, height = np.array(found.box) * 256 / side
    assert abs(x + width / 2 - 130) < 10 and abs(y + height / 2 - 118) < 12
    assert 70 < width < 115 and 90 < height < 140


def test_a_small_face_in_a_large_photo_is_found(finder: FaceFinder, close_up: np.ndarray) -> None:
    photo = np.full((3000, 4000, 3), 180, np.uint8)
    photo[2000:2256, 3000:3256] = close_up
    (found,) = finder.find(photo)
    assert abs(found.box[0] - 3084) < 15 and abs(found.box[1] - 2061) < 15


def test_grey_is_enough(finder: FaceFinder, file_of: Callable[[str], bytes]) -> None:
    for kind in ("grey.png", "rgba.png", "grey-alpha.png"):
        assert len(finder.find(read_photo(file_of(kind)).rgb())) == 1


def test_largest_first_and_boxes_inside(finder: FaceFinder, close_up: np.ndarray) -> None:
    large = cv2.resize(close_up, (512, 512), interpolation=cv2.INTER_CUBIC)
    photo = np.zeros((512, 768, 3), np.uint8)
    photo[:256, :256], photo[:, 256:] = close_up, large
    faces = finder.find(photo)
    assert [face.box[0] > 256 for face in faces] == [True, False]
    for face in faces:
        x, y, width, height = face.box
        assert 0 <= x < x + width <= 768 and 0 <= y < y + height <= 512
        assert face.landmarks.shape == (68, 2)


def test_a_face_at_the_edge_is_found(finder: FaceFinder, close_up: np.ndarray) -> None:
    cut = np.ascontiguousarray(close_up[:, 110:])
    (found,) = finder.find(cut)
    assert found.box[0] == 0


def test_no_face(finder: FaceFinder, faceless: np.ndarray) -> None:
    assert finder.find(faceless) == []


def test_two_people_have_two_faces(finder: FaceFinder, shared_faces: Path) -> None:
    assert len(finder.find(read_photo(shared_faces / "photos" / "two_people.jpg").rgb())) == 2


def test_every_scene_has_a_face(finder: FaceFinder, shared_faces: Path) -> None:
    for photo in sorted((shared_faces / "photos").iterdir()):
        assert finder.find(read_photo(photo).rgb()), photo.name
