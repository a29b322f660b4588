"""Faces to recognize, and the recognizers, loaded once."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veilkey import recognizers
from veilkey.errors import MissingModel
from veilkey.faces import Face, FaceFinder
from veilkey.recognizers import Recognizer


@pytest.fixture(scope="session")
def recognizer() -> Callable[[str], Recognizer]:
    """A recognizer by its name; the test is skipped where it could not be fetched."""

    @cache
    def load(name: str) -> Recognizer:
        try:
            return recognizers.get(name)
        except MissingModel as error:
            pytest.skip(str(error))

    return load


@pytest.fixture(scope="session")
def faces(some_faces: Callable[[int], Sequence[np.ndarray]]) -> list[tuple[np.ndarray, Face]]:
    """Photo and largest face: 50 people's, or the portrait's alone."""
    finder = FaceFinder()
    found = [(photo, finder.find(photo)) for photo in some_faces(55)]
    return [(photo, faces[0]) for photo, faces in found if faces][:50]


@pytest.fixture(scope="session")
def pairs(shared_faces: Path) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    """Of 15 people, photo and landmarks twice: from two different videos."""
    finder = FaceFinder()
    people = []
    for folder in sorted((shared_faces / "train").iterdir())[:15]:
        videos = {file.stem.rsplit("_", 1)[0]: file for file in sorted(folder.glob("*.jpg"), reverse=True)}
        photos = [np.array(Image.open(file).convert("RGB")) for file in sorted(videos.values())[:2]]
        people.append([(photo, finder.find(photo)[0].landmarks) for photo in photos])
    return people
