"""A few people of `../shared`, and one evaluation of them that the tests share."""

import json
from pathlib import Path
from typing import Any

import pytest

from veilkey.evaluation import finetune, measured, show
from veilkey.evaluation.run import Request, evaluate

PEOPLE = 6


def write_protocol(shared_faces: Path, path: Path, people: int) -> Path:
    """One gallery photo and one probe of each of the first people of `dev`."""
    whole = json.loads((shared_faces / "dev.json").read_text())
    names = sorted(whole["probes"])[:people]
    path.write_text(json.dumps({side: {name: whole[side][name][:1] for name in names} for side in whole}))
    return path


@pytest.fixture(scope="session")
def report(shared_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Six people, dlib: nothing, the references, the black bar and pixelation, both ways."""
    folder = tmp_path_factory.mktemp("evaluation")
    with pytest.MonkeyPatch.context() as patch:
        # What takes long is done to two faces, or once.
        patch.setattr(measured, "SLOW_SAMPLE", 2)
        patch.setattr(show, "FACES", 2)
        patch.setattr(finetune, "EPOCHS", 1)
        return evaluate(
            Request(
                shared_faces / "dev",
                write_protocol(shared_faces, folder / "six.json", PEOPLE),
                methods=("bar", "pixelate"),
                judges=("dlib",),
                transforms=("jpeg75",),
                detectors=("yunet",),
                both_ways=True,
                store=folder,
            )
        )
