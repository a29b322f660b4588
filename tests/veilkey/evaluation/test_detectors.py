"""Detectors as judges: each finds the portrait's face where it is, and none where there is none."""

from pathlib import Path

import numpy as np
import pytest

from veilkey.errors import MissingModel, UsageError
from veilkey.evaluation import detectors
from veilkey.faces import FaceFinder


@pytest.mark.parametrize("name", detectors.names())
def test_finds_the_face_and_no_other(name: str, portrait: np.ndarray, faceless: np.ndarray) -> None:
    try:
        judge = detectors.get(name)
    except MissingModel as error:
        pytest.skip(str(error))
    box = FaceFinder().find(portrait)[0].box
    # A size that no network's stride divides, and the face elsewhere.
    for image, moved in ((portrait, (0, 0)), (portrait[15:, 33:], (33, 15))):
        here = (box[0] - moved[0], box[1] - moved[1], box[2], box[3])
        found = judge.boxes(np.ascontiguousarray(image))
        assert detectors.overlaps(found, here).any(), found
    assert not detectors.overlaps(judge.boxes(faceless), (60, 60, 100, 100)).any()
    hidden = portrait.copy()
    x, y, width, height = box
    hidden[y - 20 : y + height + 20, x - 20 : x + width + 20] = 0
    assert not detectors.overlaps(judge.boxes(hidden), box).any()


def test_overlap() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 0, 10, 10], [9, 9, 10, 10], [0, 0, 5, 6], [100, 0, 1, 1]])
    assert detectors.overlaps(boxes, (0, 0, 10, 10)).tolist() == [True, True, False, True, False]
    assert detectors.overlaps(np.zeros((0, 4)), (0, 0, 10, 10)).shape == (0,)


def test_unknown_and_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no detector is called 'viola'; there are yunet"):
        detectors.get("viola")
    monkeypatch.setenv("VEILKEY_HOME", str(tmp_path))
    with pytest.raises(MissingModel, match="centerface is not installed: veilkey recognizers install centerface"):
        detectors.get("centerface")
