"""Transforms: each does what its name says, keeps the size and is the same every time."""

import io

import numpy as np
import pytest
from PIL import Image

from veilkey.errors import UsageError
from veilkey.evaluation import transforms


@pytest.mark.parametrize("name", transforms.names())
def test_size_and_repetition(name: str, close_up: np.ndarray) -> None:
    image = np.ascontiguousarray(close_up[:201, :151])
    before = image.copy()
    first, second = transforms.get(name)(image), transforms.get(name)(image)
    assert first.shape == image.shape and first.dtype == np.uint8
    assert np.array_equal(first, second) and np.array_equal(image, before)
    changed = np.abs(first.astype(int) - image).mean()
    assert 0.2 < changed < 25, changed


def test_jpeg_is_what_pillow_writes(close_up: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(close_up).save(buffer, "JPEG", quality=75)
    assert np.array_equal(transforms.get("jpeg75")(close_up), np.array(Image.open(buffer)))
    errors = [np.mean((transforms.jpeg(close_up, q).astype(float) - close_up) ** 2) for q in (90, 75, 50, 30)]
    assert errors == sorted(errors)


def test_grey_and_noise(close_up: np.ndarray) -> None:
    grey = transforms.get("grey")(close_up)
    assert (grey[..., 0] == grey[..., 1]).all() and (grey[..., 1] == grey[..., 2]).all()
    middle = np.full((100, 100, 3), 128, np.uint8)
    moved = transforms.noise(middle, 4).astype(int) - 128
    assert set(np.unique(moved)) == {-4, 4} and abs(moved.mean()) < 0.2


def test_unknown() -> None:
    with pytest.raises(UsageError, match="no transform is called 'jpg'; there are jpeg90"):
        transforms.get("jpg")
