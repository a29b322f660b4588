"""What first use leaves in the cache folder."""

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
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*others, *current])
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    load_purifiers()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == written
