"""scripts/draw_strengths.py: the face at each strength, and what really changed of it."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from veilkey.carriers import read_photo
from veilkey.pictures import GAIN

SCRIPT = Path(__file__).parents[2] / "scripts" / "draw_strengths.py"
SIDE, TITLE, GAP = 480, 34, 8


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Panels (2, 4, h, w, 3) float32: original, light, standard, strong, and under each the difference."""
    drawing = tmp_path_factory.mktemp("strengths") / "strengths.png"
    subprocess.run([sys.executable, SCRIPT, "-o", drawing, "--target", "dlib"], check=True)
    image = read_photo(drawing).rgb().astype(np.float32)
    width = (image.shape[1] - 3 * GAP) // 4
    panels = image.reshape(2, SIDE + TITLE, -1, 3)[:, TITLE:]
    return np.stack([panels[:, :, k * (width + GAP) :][:, :, :width] for k in range(4)], axis=1)


def test_stronger_changes_more(rows: np.ndarray) -> None:
    light, standard, strong = (float(np.abs(panel - 128).mean()) for panel in rows[1, 1:])
    assert 0 < light < standard < strong


@pytest.mark.parametrize("strength", [1, 2, 3])
def test_the_difference_is_that_of_the_panels(rows: np.ndarray, strength: int) -> None:
    expected = np.clip(128 + GAIN * (rows[0, strength] - rows[0, 0]), 0, 255)
    # Panels are enlarged one by one, and rounded.
    assert np.corrcoef(expected.ravel(), rows[1, strength].ravel())[0, 1] > 0.95
