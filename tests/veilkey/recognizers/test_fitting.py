"""`veilkey recognizers fit`: tau of a model of the user's own, here SFace's file, from photos alone."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

from mask_template.grid import GROUPS
from veilkey.recognizers import store
from veilkey.recognizers.fitting import LEAST

DESCRIPTION = """
input_size = 112
template = "arcface"
colour = "rgb"
mean = 0
std = 1
distance = "cosine"
threshold = 0.637
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "mine.onnx"
    shutil.copy(store.model_file("sface"), path)
    path.with_suffix(".toml").write_text(DESCRIPTION)
    return path


def test_fit_says_where_a_black_box_looks(
    model: Path, shared_faces: Path, tmp_path: Path, veilkey_command: Callable[..., CompletedProcess[str]]
) -> None:
    folder = tmp_path / "photos"
    for person in sorted((shared_faces / "dev").iterdir())[: LEAST + 2]:
        (folder / person.name).mkdir(parents=True)
        shutil.copy(min(person.glob("*.jpg")), folder / person.name)
    (folder / "notes.txt").write_text("no photo\n")
    done = veilkey_command("recognizers", "fit", f"onnx:{model}", folder)
    assert done.returncode == 0, done.stderr
    written = model.with_name("mine.tau.json")
    tau = json.loads(written.read_text())
    assert tuple(tau) == GROUPS and min(tau.values()) >= 0
    # SFace makes more of eyes, and less of the mouth, than the others do.
    assert tau["eyes"] > 2 * tau["mouth"]
    assert str(written) in done.stdout and "eyes" in done.stdout

    written.write_text("kept")
    again = veilkey_command("recognizers", "fit", f"onnx:{model}", folder)
    assert again.returncode == 2 and "--force" in again.stderr and again.stderr.count("\n") == 1
    assert written.read_text() == "kept"


def test_too_few_faces_fit_nothing(
    model: Path, portrait: np.ndarray, tmp_path: Path, veilkey_command: Callable[..., CompletedProcess[str]]
) -> None:
    (tmp_path / "photos").mkdir()
    Image.fromarray(portrait).save(tmp_path / "photos" / "one.png")
    done = veilkey_command("recognizers", "fit", f"onnx:{model}", tmp_path / "photos")
    assert done.returncode == 3
    assert f"1 face(s) found in {tmp_path / 'photos'}, and {LEAST} are needed" in done.stderr
    assert not model.with_name("mine.tau.json").exists()


def test_a_builtin_recognizer_is_not_fitted(
    tmp_path: Path, veilkey_command: Callable[..., CompletedProcess[str]]
) -> None:
    done = veilkey_command("recognizers", "fit", "sface", tmp_path)
    assert done.returncode == 2 and "fit takes onnx:PATH" in done.stderr
