"""`veilkey ask`, against a server that takes everybody for one person."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from veilkey.cli import main


@pytest.fixture
def server(serve: Callable, reply: type, monkeypatch: pytest.MonkeyPatch) -> Any:
    def speak(request: Any) -> Any:
        return reply(200, [{"faceId": "a"}] if request.path.endswith("detect") else {"confidence": 0.75})

    found = serve(speak)
    monkeypatch.setenv("FACE_ENDPOINT", found.endpoint)
    return found


@pytest.fixture
def ask(tmp_path: Path, file_of: Callable, turned: Callable) -> Callable[..., Result]:
    """Runs `veilkey ask azure A B OPTION...` in a folder with photos."""
    for kind in ("rgb.png", "rgb.webp", "cut.jpg", "small.png"):
        (tmp_path / kind).write_bytes(file_of(kind))
    (tmp_path / "turned.jpg").write_bytes(turned(6, "JPEG"))

    def run(first: str, second: str, *options: str) -> Result:
        return CliRunner().invoke(main, ["ask", "azure", str(tmp_path / first), str(tmp_path / second), *options])

    return run


def test_nothing_is_sent_without_consent(server: Any, ask: Callable[..., Result]) -> None:
    done = ask("rgb.png", "rgb.webp")
    assert done.exit_code == 2 and done.stdout == "" and server.requests == []
    assert "azure: 1 comparison, 3 calls to Azure Face, about 0.003 USD (Microsoft's list price" in done.stderr
    assert "add --yes-send-photos" in done.stderr


def test_nothing_is_sent_beyond_the_budget(server: Any, ask: Callable[..., Result]) -> None:
    done = ask("rgb.png", "rgb.webp", "--yes-send-photos", "--max-calls", "2")
    assert done.exit_code == 2 and server.requests == []
    assert "add --max-calls 3 or more" in done.stderr


def test_it_states_the_cost_and_then_the_answer(server: Any, ask: Callable[..., Result]) -> None:
    done = ask("rgb.png", "rgb.webp", "--yes-send-photos", "--max-calls", "3")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "azure: one person, similarity 0.750, threshold 0.500\n"
    assert "about 0.003 USD" in done.stderr
    assert len(server.requests) == 3


def test_only_pixels_leave_the_machine(server: Any, ask: Callable[..., Result], close_up: np.ndarray) -> None:
    """A photo that the camera stored turned is sent upright, and without what the camera wrote beside it."""
    assert ask("turned.jpg", "rgb.png", "--yes-send-photos").exit_code == 0
    with Image.open(io.BytesIO(server.requests[0].body)) as sent:
        assert (
            (sent.format, sent.mode, sent.size) == ("PNG", "RGB", (192, 256)) and not sent.info and not sent.getexif()
        )
        assert np.abs(np.array(sent).astype(int) - close_up[:, :192]).max() <= 12


def test_no_face_is_an_answer(server: Any, ask: Callable[..., Result], reply: type) -> None:
    server.faults = [reply(200, [])]
    done = ask("rgb.png", "rgb.webp", "--yes-send-photos")
    assert (done.exit_code, done.stdout) == (0, "azure: finds no face in one of the photos\n")


@pytest.mark.parametrize(
    ("files", "code", "says"),
    [
        (("none.png", "rgb.png"), 5, "No such file"),
        (("rgb.png", "cut.jpg"), 5, "cut.jpg: the JPEG is cut short"),
        (("small.png", "rgb.png"), 5, "small.png"),
    ],
)
def test_a_bad_photo_is_named_and_none_is_sent(
    server: Any, ask: Callable[..., Result], files: tuple[str, str], code: int, says: str
) -> None:
    done = ask(*files, "--yes-send-photos")
    assert done.exit_code == code and says in done.stderr and server.requests == []


def test_missing_keys_are_named(ask: Callable[..., Result]) -> None:
    done = ask("rgb.png", "rgb.webp", "--yes-send-photos")
    assert done.exit_code == 1 and "azure needs credentials: set FACE_ENDPOINT" in done.stderr


def test_a_service_that_is_down(server: Any, ask: Callable[..., Result], reply: type) -> None:
    server.faults = [reply(503, {})] * 2
    done = ask("rgb.png", "rgb.webp", "--yes-send-photos")
    assert (
        done.exit_code == 1 and done.stdout == "" and done.stderr.splitlines()[-1].startswith("veilkey: Azure Face is")
    )
