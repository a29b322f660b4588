"""What first use leaves in the cache folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from perturbation_gen.purifier import shipped
from veilkey.recognizers.gradient import EXPORT_VERSION, load_purifiers

NAME = shipped()[0].stem


def test_what_older_versions_exported_goes_and_what_this_one_did_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VEILKEY_HOME", str(tmp_path))
    older = [f"{NAME}-{part}-{EXPORT_VERSION - 1}.onnx" for part in ("gradient", "forward")]
    others = [f"{NAME}-gradient-{EXPORT_VERSION + 1}.onnx", f"{NAME}0-gradient-{EXPORT_VERSION - 1}.onnx", "notes.txt"]
    for name in (*older, *others):
        (tmp_path / name).write_bytes(b"")
    load_purifiers()
    current = [f"{path.stem}-{part}-{EXPORT_VERSION}.onnx" for path in shipped() for part in ("gradient", "forward")]
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock") == sorted([*others, *current])
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    load_purifiers()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written


def test_of_two_processes_that_are_the_first_one_exports(tmp_path: Path, environment: dict[str, str]) -> None:
    code = "from veilkey.recognizers.gradient import load_purifiers; print(len(load_purifiers()))"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**environment, "VEILKEY_HOME": str(tmp_path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    said = [one.communicate(timeout=300) for one in both]
    assert [out.strip() for out, _ in said] == [str(len(shipped()))] * 2, said
    assert sorted("waiting" in progress for _, progress in said) == [False, True]
    assert sorted("exporting" in progress for _, progress in said) == [False, True]
