"""Protocols: files, folders, and what is wrong with them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from veilkey.errors import UsageError
from veilkey.evaluation.protocol import read_protocol


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Path]:
    """A folder with empty files of these names."""

    def fill(*names: str) -> Path:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return fill


def names(photos: tuple) -> list[str]:
    return [photo.name for photo in photos]


def test_a_folder_a_person_is_halved(make: Callable[..., Path]) -> None:
    folder = make("bob/1.jpg", "bob/2.png", "ann/a.jpg", "ann/b.jpg", "ann/c.JPG", "ann/notes.txt")
    protocol = read_protocol(folder)
    assert names(protocol.gallery) == ["ann/a.jpg", "bob/1.jpg"]
    assert names(protocol.probes) == ["ann/b.jpg", "ann/c.JPG", "bob/2.png"]
    assert {photo.person for photo in protocol.probes} == {"ann", "bob"}
    assert not protocol.left_out


def test_a_person_with_one_photo_is_left_out_with_a_reason(make: Callable[..., Path]) -> None:
    protocol = read_protocol(make("ann/1.jpg", "ann/2.jpg", "bob/1.jpg", "bob/2.jpg", "eve/1.jpg", "nobody/x.txt"))
    assert {each.what: each.why.split(",")[0] for each in protocol.left_out} == {
        "eve": "has 1 photo",
        "nobody": "has 0 photos",
    }
    assert {photo.person for photo in protocol.gallery} == {"ann", "bob"}


def test_a_file_says_who_is_where(make: Callable[..., Path]) -> None:
    folder = make("ann/1.jpg", "ann/2.jpg", "bob/1.jpg", "bob/2.jpg", "eve/1.jpg")
    file = folder / "p.json"
    gallery = {"bob": ["bob/2.jpg"], "ann": ["ann/1.jpg"], "eve": ["eve/1.jpg"]}
    file.write_text(json.dumps({"gallery": gallery, "probes": {"ann": ["ann/2.jpg"], "bob": ["bob/1.jpg"]}}))
    protocol = read_protocol(folder, file)
    assert names(protocol.gallery) == ["ann/1.jpg", "bob/2.jpg"]
    assert names(protocol.probes) == ["ann/2.jpg", "bob/1.jpg"]
    assert [each.what for each in protocol.left_out] == ["eve"]


def test_the_shared_protocol(shared_faces: Path) -> None:
    protocol = read_protocol(shared_faces / "dev", shared_faces / "dev.json")
    assert (len(protocol.gallery), len(protocol.probes), len({p.person for p in protocol.probes})) == (180, 140, 60)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not JSON", "not a protocol"),
        ("[]", "not a protocol"),
        ('{"gallery": {"ann": ["ann/1.jpg"]}}', "not a protocol"),
        ('{"gallery": {"ann": 3}, "probes": {}}', "not a protocol"),
        (
            '{"gallery": {"ann": ["ann/1.jpg"], "bob": ["bob/7.jpg"]}, "probes": {"bob": ["bob/8.jpg"]}}',
            "names 2 photos that are not in .*bob/7.jpg, bob/8.jpg",
        ),
        (
            '{"gallery": {"ann": ["ann/1.jpg"]}, "probes": {"ann": ["ann/1.jpg"]}}',
            "two pictures of one name, ann/1.jpg",
        ),
        ('{"gallery": {"ann": ["ann/1.jpg"]}, "probes": {"ann": ["ann/2.jpg"]}}', "1 people have .* at least 2"),
    ],
)
def test_bad_files(make: Callable[..., Path], text: str, says: str) -> None:
    folder = make("ann/1.jpg", "ann/2.jpg", "bob/1.jpg")
    file = folder / "p.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=says):
        read_protocol(folder, file)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ((), "holds no folders"),
        (("1.jpg", "2.jpg"), "holds no folders"),
        (("ann/1.jpg", "ann/2.jpg", "bob/1.jpg"), "at least 2"),
        (("ann/1.jpg", "ann/1.png", "bob/1.jpg", "bob/2.jpg"), "two pictures of one name, ann/1"),
    ],
)
def test_bad_folders(make: Callable[..., Path], files: tuple[str, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_protocol(make(*files))


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        read_protocol(tmp_path / "nowhere")
