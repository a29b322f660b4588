"""Skin tone and face size."""

import cv2
import numpy as np
import pytest
from skimage import color

from veilkey.evaluation import groups
from veilkey.faces import Face, FaceFinder


def painted(lightness: float, blue_yellow: float) -> tuple[np.ndarray, Face]:
    """A photo whose skin has one colour, given in CIELAB, and a face in it."""
    pixel = color.lab2rgb(np.array([[[lightness, 12.0, blue_yellow]]]))
    image = np.tile(np.rint(pixel * 255).astype(np.uint8), (200, 200, 1))
    jaw = [(40 + 7.5 * n, 80 + 100 * np.sin(np.pi * n / 16)) for n in range(17)]
    rest = [(100.0, 100.0)] * 51
    landmarks = np.array(jaw + rest)
    landmarks[[31, 35]], landmarks[[48, 54]] = [(90, 120), (110, 120)], [(80, 150), (120, 150)]
    return image, Face((40, 40, 120, 140), landmarks)


@pytest.mark.parametrize(
    ("lightness", "blue_yellow", "group"),
    [
        (75, 12, "very light"),
        (68, 18, "light"),
        (63, 18, "intermediate"),
        (58, 20, "tan"),
        (47, 20, "brown"),
        (30, 15, "dark"),
    ],
)
def test_angle_of_known_colours(lightness: float, blue_yellow: float, group: str) -> None:
    angle = groups.skin_tone(*painted(lightness, blue_yellow))
    expected = np.degrees(np.arctan((lightness - 50) / blue_yellow))
    assert angle == pytest.approx(expected, abs=2.5)
    assert groups.tone_group(angle) == group


def test_grey_photos_have_no_tone(portrait: np.ndarray) -> None:
    face = FaceFinder().find(portrait)[0]
    assert -90 < groups.skin_tone(portrait, face) < 90
    grey = cv2.cvtColor(cv2.cvtColor(portrait, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    assert groups.skin_tone(grey, face) is None
    assert groups.tone_group(None) == groups.GREY
    darker = (portrait * 0.4).astype(np.uint8)
    assert groups.skin_tone(darker, face) < groups.skin_tone(portrait, face)


def test_sizes() -> None:
    assert [groups.size_group((0, 0, side, side - 10)) for side in (30, 64, 127, 128, 255, 256)] == [
        "under 64 px", "64 to 127 px", "64 to 127 px", "128 to 255 px", "128 to 255 px", "256 px or more",
    ]  # fmt: skip
