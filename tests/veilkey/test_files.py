import os
from pathlib import Path

import pytest

from veilkey.errors import OutputExists
from veilkey.files import read_limited, write_new

DATA = os.urandom(100_000)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=["nameless", "named"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With files that have no name yet, where the system has them, and without, as on other systems."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE")
    return request.param


def test_a_new_file(way: str, tmp_path: Path) -> None:
    write_new([(tmp_path / "a", DATA)])
    assert (tmp_path / "a").read_bytes() == DATA
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").stat().st_mode & 0o777 in (0o644, 0o640, 0o600)


def test_what_is_there_stays(way: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(OutputExists, match="--force"):
        write_new([(tmp_path / "a", DATA)])
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


def test_a_dangling_link_is_something_that_is_there(way: str, tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    with pytest.raises(OutputExists):
        write_new([(tmp_path / "a", DATA)])
    assert names(tmp_path) == ["a"]


def test_force_replaces(way: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old" * 100_000)
    write_new([(tmp_path / "a", DATA)], force=True)
    assert (tmp_path / "a").read_bytes() == DATA
    assert names(tmp_path) == ["a"]


def test_force_replaces_nothing_too(tmp_path: Path) -> None:
    write_new([(tmp_path / "a", DATA)], force=True)
    assert (tmp_path / "a").read_bytes() == DATA


@pytest.mark.parametrize("force", [False, True])
def test_no_folder(way: str, force: bool, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_new([(tmp_path / "none" / "a", DATA)], force)
    assert names(tmp_path) == []


def test_both_or_none(way: str, tmp_path: Path) -> None:
    (tmp_path / "second").write_bytes(b"old")
    with pytest.raises(OutputExists, match="second"):
        write_new([(tmp_path / "first", DATA), (tmp_path / "second", DATA)])
    assert names(tmp_path) == ["second"]
    write_new([(tmp_path / "first", DATA), (tmp_path / "second", DATA)], force=True)
    assert all((tmp_path / name).read_bytes() == DATA for name in names(tmp_path))


def test_force_keeps_what_is_there_when_the_new_has_no_place(way: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    with pytest.raises(FileNotFoundError):
        write_new([(tmp_path / "a", DATA), (tmp_path / "none" / "b", DATA)], force=True)
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_is_not_replaced(way: str, force: bool, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises((OutputExists, OSError)):
        write_new([(tmp_path / "a", DATA)], force)
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").is_dir()


def test_reading_stops_at_one_over_the_limit(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(DATA)
    assert read_limited(tmp_path / "a", len(DATA)) == DATA
    assert read_limited(tmp_path / "a", 10) == DATA[:11]
    assert len(read_limited(Path("/dev/zero"), 1000)) == 1001
