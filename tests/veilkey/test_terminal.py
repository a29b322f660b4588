"""The command at a terminal: it asks, hides what is typed, and stops at Ctrl-C with whole files only."""

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import veilkey
from veilkey.carriers import read_photo

FAST = ("--refine", "0")


@pytest.fixture
def photo(folder: Path, file_of: Callable) -> Path:
    (folder / "photo.png").write_bytes(file_of("rgb.png"))
    return folder / "photo.png"


def at_a_terminal(folder: Path, environment: dict[str, str], arguments: list[str], typed: list[str]) -> tuple[int, str]:
    """Run the command with a terminal, answer each question, and return exit code and what the terminal showed."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "veilkey.cli", *arguments],
        cwd=folder,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        preexec_fn=lambda: os.login_tty(slave),
    )
    os.close(slave)
    shown, answers = "", list(typed)
    try:
        while True:
            part = os.read(master, 4096).decode(errors="replace")
            shown += part
            if answers and shown.rstrip(" ").endswith(":"):
                time.sleep(0.05)
                os.write(master, answers.pop(0).encode() + b"\n")
                shown += "\n"
    except OSError:  # the other end is closed
        pass
    finally:
        os.close(master)
    return process.wait(60), shown


def test_a_terminal_is_asked_and_shows_nothing(folder: Path, photo: Path, environment: dict[str, str]) -> None:
    words = "four random words here"
    code, shown = at_a_terminal(folder, environment, ["protect", "photo.png", *FAST], [words, words])
    assert code == 0, shown
    assert words not in shown
    assert shown.lower().count("passphrase") >= 1 and "epeat" in shown
    (folder / "photo.veiled.png.veilkey").rename(folder / "key")
    code, shown = at_a_terminal(folder, environment, ["restore", "photo.veiled.png", "-k", "key"], [words])
    assert code == 0, shown
    assert words not in shown
    assert np.array_equal(read_photo(folder / "photo.restored.png").pixels, read_photo(photo).pixels)


def test_interrupt_leaves_whole_files_only(folder: Path, photo: Path, environment: dict[str, str]) -> None:
    done, many = folder / "done", 20  # more than are done before the signal comes, on a busy machine too
    done.mkdir()
    for number in range(many):
        shutil.copy(photo, folder / f"{number}.png")
    process = subprocess.Popen(
        [sys.executable, "-m", "veilkey.cli", "protect", *(f"{number}.png" for number in range(many)), *FAST]
        + ["-r", "alice.pub.pem", "-o", "done"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        # A shell that starts the tests in the background has them ignore the signal, and what they start, too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 60
    while len(list(done.iterdir())) < 3 and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode not in (0, -signal.SIGINT)
    assert "Traceback" not in error
    pictures = list(done.glob("*.png"))
    assert 1 <= len(pictures) < many
    for path in pictures:
        restored = veilkey.restore(path, f"{path}.veilkey", identity=folder / "alice.pem")
        assert np.array_equal(read_photo(restored).pixels, read_photo(photo).pixels)
    assert len(list(done.iterdir())) == 2 * len(pictures)
