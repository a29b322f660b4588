"""Approximate restores of copies that were changed: what they bring back, and whom they refuse."""

import io
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from keys.payload import FaceKey, Payload
from perturbation_gen.budget import ssim
from veilkey import api
from veilkey.approximate import approximate, is_copy
from veilkey.carriers import Pixels, open_photo
from veilkey.carriers.jpeg.dequantize import _between
from veilkey.carriers.noise import face_residual, window
from veilkey.errors import ForeignKey
from veilkey.protector import Settings
from veilkey.thumbnail import make_thumbnail

Change = Callable[[np.ndarray], np.ndarray]


def cropped(image: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(image[13:-40, 61:-37])


def resized(image: np.ndarray, scale: float) -> np.ndarray:
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=kind)


# What is done to a copy: its pixels, then the quality of a JPEG, and how many copy pixels a photo pixel becomes.
COPIES: dict[str, tuple[Change, int | None, float]] = {
    "jpeg 90": (lambda image: image, 90, 1.0),
    "jpeg 75": (lambda image: image, 75, 1.0),
    "jpeg 50": (lambda image: image, 50, 1.0),
    "half": (lambda image: resized(image, 0.5), None, 0.5),
    "half, jpeg 75": (lambda image: resized(image, 0.5), 75, 0.5),
    "larger, jpeg 75": (lambda image: resized(image, 1.5), 75, 1.5),
    "cropped": (cropped, None, 1.0),
    "cropped, jpeg 75": (cropped, 75, 1.0),
    "cropped and smaller": (lambda image: resized(cropped(image), 0.8), None, 0.8),
    "cropped and larger, jpeg 75": (lambda image: resized(cropped(image), 1.3), 75, 1.3),
}


def file_of(image: np.ndarray, quality: int | None) -> bytes:
    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(image))
    picture.save(buffer, "JPEG", quality=quality) if quality else picture.save(buffer, "PNG")
    return buffer.getvalue()


def difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(np.int16) - second).mean())


@pytest.mark.parametrize("name", COPIES)
def test_a_changed_copy_comes_nearer_to_the_original(name: str, protected: SimpleNamespace) -> None:
    change, quality, scale = COPIES[name]
    copy = open_photo(file_of(change(protected.image), quality))
    found = approximate(copy, [protected.payload])

    original, before, after = change(protected.original), copy.picture.rgb(), found.picture.rgb()
    assert after.shape == original.shape
    assert found.faces == (1,)
    assert found.scale == pytest.approx(scale, rel=0.02)
    # Where the face is in the copy is told by what protecting changed there.
    changed = np.abs(change(protected.image).astype(np.int16) - original).max(2) > 3
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    face = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    assert difference(after[face], original[face]) < 0.85 * difference(before[face], original[face])
    assert ssim(original[face], after[face]) > ssim(original[face], before[face])


@pytest.mark.parametrize("quality", [90, 75, 50])
def test_the_error_is_told_without_the_original(quality: int, protected: SimpleNamespace) -> None:
    found = approximate(open_photo(file_of(protected.image, quality)), [protected.payload])
    area = window(protected.payload.faces[0].box)
    true = difference(found.picture.rgb()[area], protected.original[area])
    assert 0.7 < found.error / true < 1.4


def test_only_blocks_under_the_template_change(protected: SimpleNamespace) -> None:
    copy = open_photo(file_of(protected.image, 75))
    found = approximate(copy, [protected.payload])
    differs = (found.picture.rgb() != copy.picture.rgb()).any(2)
    x, y, width, height = protected.payload.faces[0].region
    near = np.zeros_like(differs)
    near[max(0, y - 32) : y + height + 32, max(0, x - 32) : x + width + 32] = True
    assert differs.any()
    assert not differs[~near].any()
    touched = (protected.image != protected.original).any(2).astype(np.uint8)
    assert not differs[cv2.dilate(touched, np.ones((65, 65), np.uint8)) == 0].any()


@pytest.mark.parametrize("name", ["half", "cropped, jpeg 75"])
def test_an_unprotected_copy_is_refused(name: str, protected: SimpleNamespace) -> None:
    change, quality, _ = COPIES[name]
    with pytest.raises(ForeignKey, match="another photo's"):
        approximate(open_photo(file_of(change(protected.original), quality)), [protected.payload])


def test_a_place_that_fits_worse_than_one_refused_is_wrong(
    protected: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).normal(0, 12, protected.image.shape)
    worse = np.clip(protected.image + noise, 0, 255).astype(np.uint8)
    both = open_photo(file_of(np.concatenate([protected.original, worse], 1), None))
    left, right = (np.array([[1.0, 0, x], [0, 1.0, 0]]) for x in (0, worse.shape[1]))
    monkeypatch.setattr("veilkey.approximate._placements", lambda *_: iter([right]))
    assert approximate(both, [protected.payload]).faces == (1,)
    # A search that led from the unprotected face to such a place would have found something in its hair or its coat.
    monkeypatch.setattr("veilkey.approximate._placements", lambda *_: iter([left, right]))
    with pytest.raises(ForeignKey):
        approximate(both, [protected.payload])


@pytest.fixture(scope="module")
def second_key(portrait: np.ndarray, protected: SimpleNamespace) -> Payload:
    """Of the same portrait, protected again: of eight such keys the one least like the first. Both lead away from the
    same face, and are alike by some 0.3; those that are more alike than most cannot be told apart in a small copy."""
    first = protected.payload.faces[0].lattice.astype(float)

    def alike(payload: Payload) -> float:
        second = payload.faces[0].lattice.astype(float)
        return float((first * second).sum() / np.linalg.norm(second))

    photo = Pixels(api.as_picture(portrait))
    return min((api.protector("dlib").protect(photo, Settings())[1] for _ in range(8)), key=alike)


def test_whether_a_copy_would_do_is_told_quickly(protected: SimpleNamespace) -> None:
    for quality in (None, 75):
        copies = [open_photo(file_of(image, quality)) for image in (protected.image, protected.original)]
        assert [is_copy(one, [protected.payload]) for one in copies] == [True, False]
    # What was cropped takes a search.
    assert not is_copy(open_photo(file_of(cropped(protected.image), None)), [protected.payload])


@pytest.mark.parametrize("name", ["half", "cropped, jpeg 75"])
def test_another_key_of_the_same_photo_is_refused(name: str, protected: SimpleNamespace, second_key: Payload) -> None:
    change, quality, _ = COPIES[name]
    with pytest.raises(ForeignKey):
        approximate(open_photo(file_of(change(protected.image), quality)), [second_key])


@pytest.mark.parametrize("quality", [None, 90, 75])
def test_a_key_that_is_alike_is_refused(quality: int | None, protected: SimpleNamespace, second_key: Payload) -> None:
    copy = open_photo(file_of(protected.image, quality))
    own, other = (key.faces[0].lattice.astype(float) for key in (protected.payload, second_key))
    apart = other - own * (own * other).sum() / (own * own).sum()
    apart *= np.linalg.norm(own) / np.linalg.norm(apart)

    def mixed(share: float) -> FaceKey:
        lattice = np.clip(share * own + np.sqrt(1 - share**2) * apart, -127, 127)
        face = replace(protected.payload.faces[0], lattice=np.rint(lattice).astype(np.int8))
        shown = np.clip(protected.original[window(face.region)] + face_residual(face)[0], 0, 255)
        return replace(face, thumbnail=make_thumbnail(shown.astype(np.uint8)))

    assert not is_copy(copy, [second_key])
    assert not any(is_copy(copy, [replace(protected.payload, faces=(mixed(share),))]) for share in (0.0, 0.3))
    assert is_copy(copy, [replace(protected.payload, faces=(mixed(0.9),))])


def test_another_photos_key_is_refused(some_faces: Callable, protected: SimpleNamespace) -> None:
    other = next((one for one in some_faces(4) if min(one.shape[:2]) >= 128), None)
    if other is None or other.shape == protected.original.shape:
        pytest.skip("no face photos beside the portrait")
    changed, payload, _ = api.protector("dlib").protect(Pixels(api.as_picture(other)), Settings(refine=0))
    assert approximate(open_photo(file_of(changed.picture.rgb(), 90)), [payload]).faces == (1,)
    with pytest.raises(ForeignKey):
        approximate(open_photo(file_of(changed.picture.rgb(), 90)), [protected.payload])
    with pytest.raises(ForeignKey):
        approximate(open_photo(file_of(protected.image, 90)), [payload])


def test_a_grey_copy_of_a_colour_photo(protected: SimpleNamespace) -> None:
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (protected.original, protected.image)]
    copy = open_photo(file_of(grey[1], 90))
    found = approximate(copy, [protected.payload])
    area = window(protected.payload.faces[0].box)
    assert found.picture.mode == "L"
    before, after = (difference(one.pixels[area], grey[0][area]) for one in (copy.picture, found.picture))
    assert after < 0.85 * before


def test_the_file_says_what_it_is(protected: SimpleNamespace) -> None:
    found = approximate(open_photo(file_of(protected.image, 75)), [protected.payload])
    data = found.encode()
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        assert image.text["veilkey"].startswith("approximate restore, not the original; estimated error ")
        assert f"{found.error:.1f} grey levels" in image.text["veilkey"]
        assert np.array_equal(np.asarray(image), found.picture.pixels)
    assert not np.array_equal(found.picture.pixels, protected.original)


def test_a_mean_between_bounds_is_that_of_drawn_numbers() -> None:
    drawn = np.random.default_rng(0).laplace(0, 2.0, 2_000_000)
    for low, high in ((-1.0, 3.0), (0.5, 4.0), (-6.0, -2.5), (-0.2, 0.1)):
        inside = drawn[(drawn > low) & (drawn < high)]
        mean, variance = _between(np.full(1, low), np.full(1, high), np.full(1, 2.0))
        assert mean[0] == pytest.approx(inside.mean(), abs=0.02)
        assert variance[0] == pytest.approx(inside.var(), rel=0.02)


def test_a_crop_alone_comes_back_but_for_rounding(protected: SimpleNamespace) -> None:
    found = approximate(open_photo(file_of(cropped(protected.image), None)), [protected.payload])
    assert difference(found.picture.rgb(), cropped(protected.original)) < 0.01
