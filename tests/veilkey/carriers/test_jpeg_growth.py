"""A protected file is not much larger than the original, and no more is left alone for that than it takes."""

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image

from keys.payload import FaceKey
from veilkey.carriers import Picture, open_photo
from veilkey.carriers.jpeg.carrier import JpegCarrier
from veilkey.carriers.jpeg.growth import GROWTH


@pytest.fixture(scope="module")
def small(close_up: np.ndarray) -> Callable[[int], bytes]:
    """A JPEG of 100 pixels a side in grey, of some quality; a soft picture, to which noise adds much."""

    def make(quality: int) -> bytes:
        buffer = io.BytesIO()
        soft = cv2.GaussianBlur(cv2.resize(close_up[60:220, 50:210], (100, 100)), (0, 0), 2.0)
        Image.fromarray(soft).convert("L").save(buffer, "JPEG", quality=quality, optimize=True)
        return buffer.getvalue()

    return make


@pytest.fixture(scope="module")
def two(faces: Callable[[Picture], list[FaceKey]]) -> Callable[[JpegCarrier], list[FaceKey]]:
    return lambda photo: faces(photo.picture)[:2]


def opened(data: bytes) -> JpegCarrier:
    photo = open_photo(data)
    assert isinstance(photo, JpegCarrier)
    return photo


def test_a_file_grows_no_more_than_it_may(small: Callable, two: Callable) -> None:
    data = small(97)
    original = opened(data)
    face, _ = two(original)
    largest = (1 + GROWTH) * len(data)
    assert len(original.put_on(face).encode()) > largest

    admitted = original.admit(face)
    protected = original.put_on(admitted).encode()
    assert len(protected) <= largest
    # Most of the noise is still there, and it comes off.
    under = [change for _, _, _, change in original.changes(face)]
    assert 0 < len(admitted.held) < 0.5 * sum(np.count_nonzero(change) for change in under)
    back = opened(protected).take_off(admitted)
    assert back.rebuild(original.saved(protected), protected) == data


def test_where_there_is_room_nothing_is_left_alone(small: Callable, two: Callable) -> None:
    original = opened(small(60))
    face = original.admit(two(original)[0])
    assert not face.held.size
    assert len(original.put_on(face).encode()) <= (1 + GROWTH) * len(original.opened)


def test_a_second_face_is_not_left_bare(small: Callable, two: Callable) -> None:
    """However much of the room the first one took."""
    original = opened(small(97))
    first, second = two(original)
    one = original.put_on(original.admit(first))
    both = one.put_on(one.admit(second))
    changed = sum(
        np.count_nonzero(after.blocks != before.blocks)
        for before, after in zip(one.coefficients.components, both.coefficients.components, strict=True)
    )
    wanted = sum(np.count_nonzero(change) for _, _, _, change in one.changes(second))
    assert changed > 0.5 * wanted
