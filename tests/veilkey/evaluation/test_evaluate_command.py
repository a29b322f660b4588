"""`veilkey evaluate` as a user runs it: killed and run again, in one process or two, and with bad input."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import write_protocol


@pytest.fixture
def arguments(shared_faces: Path, tmp_path: Path) -> list[str]:
    protocol = write_protocol(shared_faces, tmp_path / "two.json", 2)
    return ["evaluate", str(shared_faces / "dev"), "--protocol", str(protocol), "--method", "bar", "--against", "dlib",
            "--transform", "half", "--detector", "yunet"]  # fmt: skip


def test_killed_and_gone_on_with_gives_the_same_report(
    arguments: list[str],
    veilkey_command: Callable[..., Any],
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def report(name: str) -> dict[str, Any]:
        return {**json.loads((tmp_path / name / "report.json").read_text()), "run": None}

    monkeypatch.setenv("VEILKEY_HOME", str(tmp_path / "killed"))
    environment = {**environment, "VEILKEY_HOME": str(tmp_path / "killed")}
    command = [sys.executable, "-m", "veilkey.cli", *arguments, "--jobs", "2", "-o", str(tmp_path / "first")]
    running = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    store = tmp_path / "killed" / "evaluation" / "store.sqlite3"
    kept = _wait(running, store, 25)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    assert not (tmp_path / "first").exists()
    assert _gone(running.pid), "workers outlived their parent"
    before = _entries(store)
    assert len(before) >= kept

    environment["PYTHONWARNINGS"] = "ignore"
    run = [sys.executable, "-m", "veilkey.cli", *arguments]
    for name, home, jobs in (("again", "killed", "2"), ("once", "whole", "1")):
        done = subprocess.run(
            [*run, "--jobs", jobs, "-o", str(tmp_path / name)],
            env={**environment, "VEILKEY_HOME": str(tmp_path / home)},
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 0, done.stderr
    after = _entries(store)
    assert all(after[key] == value for key, value in before.items())
    again, once = report("again"), report("once")
    for row in (*again["rows"], *once["rows"]):
        row.pop("seconds")
    assert again == once


def _wait(running: subprocess.Popen, store: Path, count: int) -> int:
    """Until the store holds so many entries."""
    for _ in range(2400):
        assert running.poll() is None, "the run ended before it was killed"
        if store.exists() and (found := len(_entries(store))) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError("nothing was stored")


def _entries(store: Path) -> dict[bytes, bytes]:
    try:
        return dict(sqlite3.connect(store, timeout=60).execute("SELECT key, value FROM entries").fetchall())
    except sqlite3.OperationalError:  # the table is not there yet
        return {}


def _gone(group: int) -> bool:
    """Whether all processes of the group ended."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_bad_input_is_a_sentence(veilkey_command: Callable[..., Any], shared_faces: Path, tmp_path: Path) -> None:
    protocol = tmp_path / "p.json"
    protocol.write_text('{"gallery": {"ann": ["a.jpg"]}, "probes": {"ann": ["b.jpg"]}}')
    for arguments, says in (
        (["nowhere"], "nowhere is not a folder"),
        ([shared_faces / "dev", "--protocol", protocol], "names 2 photos that are not in"),
        ([shared_faces / "dev", "--protocol", tmp_path / "no.json"], "no.json: No such file or directory"),
        ([tmp_path, "--against", "magic"], "no recognizer is called 'magic'"),
    ):
        done = veilkey_command("evaluate", *arguments, "--jobs", "1", "-o", tmp_path / "out")
        assert done.returncode != 0 and "Traceback" not in done.stderr, done.stderr
        assert says in done.stderr and done.stderr.count("\n") == 1, done.stderr
        assert not (tmp_path / "out").exists()
