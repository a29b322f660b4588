"""Each face its own lock, at the command line: who may open what, and what of the photo comes back then."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from keys.keypair import generate
from veilkey.carriers import open_photo, read_photo
from veilkey.cli import main

Command = Callable[..., SimpleNamespace]
FAST = ("--refine", "0")
PEOPLE = ("alice", "bob", "carol", "dora")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    for name in PEOPLE:
        generate(folder / name)
    return folder


@pytest.fixture
def folder(tmp_path: Path, pairs: Path) -> Path:
    for path in pairs.iterdir():
        shutil.copy(path, tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def locked(
    pairs: Path,
    written: Callable[[np.ndarray, str], bytes],
    crowd: np.ndarray,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A folder with two.jpg protected: face 1 for Alice, face 2 for Bob, all for Carol, and each for Dora."""
    folder = tmp_path_factory.mktemp("locked")
    (folder / "two.jpg").write_bytes(written(crowd, "camera.jpg"))
    recipients = ["1:alice", "2:bob", "all:carol", "1:dora", "2:dora"]
    arguments = [part for name in recipients for part in ("-r", name.replace(":", f":{pairs}/") + ".pub.pem")]
    done = CliRunner().invoke(main, ["protect", f"{folder}/two.jpg", *arguments, *FAST])
    assert done.exit_code == 0, done.stderr
    return folder


@pytest.fixture
def group(folder: Path, locked: Path) -> Path:
    """The folder of `locked` with everybody's keys in it, for one test."""
    for path in locked.iterdir():
        shutil.copy(path, folder)
    return folder


def assert_says(done: SimpleNamespace, code: int, says: str) -> None:
    assert done.code == code, done.error
    assert re.fullmatch(r"veilkey: [^\n]+\n", done.error) and says in done.error, done.error
    assert done.output == ""


def test_faces_are_numbered(veilkey_here: Command, group: Path) -> None:
    plain = veilkey_here("faces", "two.jpg")
    assert (plain.code, plain.error) == (0, "")
    lines = plain.output.splitlines()
    found = [re.fullmatch(r"face (\d): (\d+)x(\d+) pixels at (-?\d+), (-?\d+)", line) for line in lines]
    assert len(found) == 2 and all(found) and [line[1] for line in found] == ["1", "2"]
    facts = json.loads(veilkey_here("faces", "two.jpg", "--json").output)
    assert facts["photo"] == "two.jpg" and [face["number"] for face in facts["faces"]] == [1, 2]
    for line, face in zip(found, facts["faces"], strict=True):
        x, y, width, height = face["box"]
        assert (line[2], line[3], line[4], line[5]) == tuple(map(str, (width, height, x, y)))
    # By size, the largest first; one to each half of the picture.
    areas = [face["box"][2] * face["box"][3] for face in facts["faces"]]
    assert areas[0] >= areas[1]
    assert {face["box"][0] + face["box"][2] // 2 > 104 for face in facts["faces"]} == {True, False}


def test_faces_are_shown(veilkey_here: Command, group: Path) -> None:
    before = (group / "two.jpg").read_bytes()
    done = veilkey_here("faces", "two.jpg", "--show", "shown.png", "--json")
    assert (done.code, done.error) == (0, "")
    shown, plain = read_photo(group / "shown.png").pixels, read_photo(group / "two.jpg").pixels
    differs = (shown != plain).any(2)
    for x, y, width, height in (face["box"] for face in json.loads(done.output)["faces"]):
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + width, 208), min(y + height, 256)
        assert differs[y0:y1, x0:x1].mean() > 0.05
        assert differs[y1 - 1, x0:x1].mean() > 0.9
        assert not differs[y0 + 60 : y1 - 5, x0 + 5 : x1 - 5].all()
    assert differs.mean() < 0.2 and (group / "two.jpg").read_bytes() == before
    assert_says(veilkey_here("faces", "two.jpg", "--show", "shown.png"), 2, "--force")
    assert veilkey_here("faces", "two.jpg", "--show", "shown.png", "--force").code == 0
    assert_says(veilkey_here("faces", "two.jpg", "--show", "two.jpg", "--force"), 2, "overwritten")
    assert (group / "two.jpg").read_bytes() == before


def test_no_face_is_an_answer(veilkey_here: Command, folder: Path, faceless: np.ndarray) -> None:
    Image.fromarray(faceless).save(folder / "faceless.png")
    done = veilkey_here("faces", "faceless.png")
    assert (done.code, done.error) == (0, "") and "no face" in done.output
    assert json.loads(veilkey_here("faces", "faceless.png", "--json").output)["faces"] == []


def differing(first: Path, second: Path) -> np.ndarray:
    """Where two pictures differ, (H, W) bool."""
    return (read_photo(first).pixels != read_photo(second).pixels).any(2)


def restore(command: Command, photo: str, reader: str, output: str, key: str = "two.veiled.jpg.veilkey") -> dict:
    done = command("restore", photo, "-k", key, "-i", f"{reader}.pem", "-o", output, "--json")
    assert (done.code, done.error) == (0, ""), done.error
    return json.loads(done.output)


def test_each_gets_what_is_theirs(veilkey_here: Command, group: Path) -> None:
    """One face each, in both orders; everything for who may open everything, however they were named."""
    original = group / "two.jpg"
    for reader in ("carol", "dora"):
        facts = restore(veilkey_here, "two.veiled.jpg", reader, f"{reader}.jpg")
        assert (facts["faces"], facts["identical"], facts["original_name"]) == ("all", "file", "two.jpg")
        assert (group / f"{reader}.jpg").read_bytes() == original.read_bytes()
    sides = {}
    for reader, number in (("alice", 1), ("bob", 2)):
        facts = restore(veilkey_here, "two.veiled.jpg", reader, f"{reader}.jpg")
        assert facts["faces"] == [number] and facts["identical"] is False
        wrong = differing(group / f"{reader}.jpg", original)
        sides[reader] = wrong[:, :90].mean() > wrong[:, 118:].mean()
        # Nothing is left of the change in the half whose face came back, far from the other face.
        clear = wrong[:, 160:] if sides[reader] else wrong[:, :48]
        assert wrong.any() and not clear.any()
    assert sides["alice"] != sides["bob"]
    for first, second in (("alice", "bob"), ("bob", "alice")):
        facts = restore(veilkey_here, f"{first}.jpg", second, f"{first}-{second}.jpg")
        assert not differing(group / f"{first}-{second}.jpg", original).any()
    # What it says to people.
    done = veilkey_here("restore", "two.veiled.jpg", "-i", "alice.pem")
    assert "face 1 as in the original" in done.output and "still protected" in done.output


def test_what_each_is_told_when_it_fails(veilkey_here: Command, group: Path) -> None:
    key = ("-k", "two.veiled.jpg.veilkey")
    restore(veilkey_here, "two.veiled.jpg", "alice", "half.jpg")
    # The digest of the whole does not fit any more, and her face is as it was.
    assert_says(veilkey_here("restore", "half.jpg", "-i", "carol.pem", *key, "-o", "x.jpg"), 4, "")
    again = veilkey_here("restore", "half.jpg", "-i", "alice.pem", *key, "-o", "x.jpg")
    assert_says(again, 4, "face 1 is restored already")
    # A photo that was edited where the face is, and elsewhere.
    edited = read_photo(group / "two.veiled.jpg").pixels.copy()
    edited[:60] = 255 - edited[:60]
    Image.fromarray(edited).save(group / "edited.jpg", quality=95)
    assert_says(veilkey_here("restore", "edited.jpg", "-i", "bob.pem", *key, "-o", "x.jpg"), 4, "")
    assert_says(veilkey_here("restore", "two.jpg", "-i", "bob.pem", *key, "-o", "x.jpg"), 4, "restored already")
    # Of the same size and for the same people, but another photo's.
    done = veilkey_here("protect", "two.jpg", "-r", "1:alice.pub.pem", "-r", "2:dora.pub.pem", "-o", "other.jpg", *FAST)
    assert done.code == 0, done.error
    foreign = veilkey_here("restore", "two.veiled.jpg", "-i", "alice.pem", "-k", "other.jpg.veilkey", "-o", "x.jpg")
    assert_says(foreign, 4, "another photo's")
    assert_says(veilkey_here("restore", "other.jpg", "-i", "bob.pem", "-o", "x.jpg"), 4, "not sealed for")
    assert not (group / "x.jpg").exists()


def test_inspect_tells_the_locks(veilkey_here: Command, group: Path) -> None:
    facts = json.loads(veilkey_here("inspect", "two.veiled.jpg.veilkey").output)
    assert [(lock["faces"], len(lock["recipients"])) for lock in facts["locks"]] == [("all", 2), ([1], 1), ([2], 1)]
    assert "opened" not in facts
    for reader, expected in (("alice", [[1]]), ("bob", [[2]]), ("dora", ["all"])):
        facts = json.loads(veilkey_here("inspect", "two.veiled.jpg.veilkey", "-i", f"{reader}.pem").output)
        assert [opened["restores"] for opened in facts["opened"]] == expected


REFUSED = {
    "face that is not there": ("-r 1:alice.pub.pem --faces 1,3", 3, "no face 3"),
    "key for a face that is not protected": ("-r 2:alice.pub.pem --faces 1", 2, "face 2 is not protected"),
    "key for a face that is not there": ("-r 7:alice.pub.pem", 2, "face 7 is not protected"),
    "face 0": ("-r 0:alice.pub.pem", 2, "face 0"),
    "both references": ("-r alice.pub.pem --only-matching two.jpg --except-matching two.jpg", 2, "not both"),
    "reference that is not there": ("-r alice.pub.pem --only-matching none.jpg", 5, "none.jpg"),
    "reference without a face": ("-r alice.pub.pem --only-matching faceless.png", 3, "reference"),
    "recipient that is not there": ("-r 1:none.pub.pem", 4, "none.pub.pem"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(veilkey_here: Command, group: Path, faceless: np.ndarray, case: str) -> None:
    Image.fromarray(faceless).save(group / "faceless.png")
    arguments, code, says = REFUSED[case]
    before = sorted(path.name for path in group.iterdir())
    done = veilkey_here("protect", "two.jpg", *arguments.split(), "-o", "new.jpg", *FAST)
    assert_says(done, code, says)
    assert sorted(path.name for path in group.iterdir()) == before


@pytest.mark.parametrize("numbers", ["0", "-1", "1,", "a", "1;2", "1,,2"])
def test_numbers_that_are_none(veilkey_here: Command, group: Path, numbers: str) -> None:
    done = veilkey_here("protect", "two.jpg", "-r", "alice.pub.pem", f"--faces={numbers}")
    assert done.code == 2 and "no list of numbers" in done.error and "Traceback" not in done.error


def test_a_face_that_nobody_may_restore_alone(veilkey_here: Command, group: Path) -> None:
    """Alice may open face 1, and nobody face 2: its protection is for ever, which has to be refused or said."""
    done = veilkey_here("protect", "two.jpg", "-r", "1:alice.pub.pem", "-o", "new.jpg", *FAST)
    assert "nobody" in done.error and "face 2" in done.error


# People: two of ../shared side by side.


@pytest.fixture(scope="module")
def couple(shared_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A photo of two people, and another photo of each, in the order of their places from left to right."""
    folder = tmp_path_factory.mktemp("couple")
    people = [sorted(person.glob("*.jpg")) for person in sorted((shared_faces / "dev").iterdir())[:2]]
    photos = [Image.open(files[0]).convert("RGB").resize((200, 200)) for files in people]
    together = Image.new("RGB", (400, 200))
    for place, photo in enumerate(photos):
        together.paste(photo, (200 * place, 0))
    together.save(folder / "couple.png")
    return folder / "couple.png", [files[1] for files in people]


@pytest.mark.parametrize(
    ("option", "changed"), [("--only-matching", [True, False]), ("--except-matching", [False, True])]
)
@pytest.mark.parametrize("who", [0, 1])
def test_one_person_or_all_others(
    veilkey_here: Command, folder: Path, couple: tuple[Path, list[Path]], option: str, changed: list[bool], who: int
) -> None:
    photo, references = couple
    shutil.copy(photo, folder / "couple.png")
    done = veilkey_here("protect", "couple.png", "-r", "alice.pub.pem", option, references[who], "--json", *FAST)
    assert done.code == 0, done.error
    facts = json.loads(done.output)
    assert len(facts["faces"]) == 1
    differs = differing(folder / "couple.veiled.png", folder / "couple.png")
    assert [differs[:, :200].any(), differs[:, 200:].any()] == (changed if who == 0 else changed[::-1])
    if who:
        assert veilkey_here("restore", "couple.veiled.png", "-i", "alice.pem").code == 0
        restored, original = (open_photo(folder / f"couple{end}.png") for end in (".restored", ""))
        assert restored.picture.digest() == original.picture.digest()
        other = veilkey_here(
            "protect", "couple.png", "-r", "alice.pub.pem", option, photo, "-o", "x.png", *FAST
        )  # of the couple itself the largest face counts
        assert other.code == 0, other.error


def test_somebody_who_is_not_there(
    veilkey_here: Command, folder: Path, couple: tuple[Path, list[Path]], portrait: np.ndarray
) -> None:
    shutil.copy(couple[0], folder / "couple.png")
    Image.fromarray(portrait).save(folder / "astronaut.png")
    only = veilkey_here("protect", "couple.png", "-r", "alice.pub.pem", "--only-matching", "astronaut.png", *FAST)
    assert_says(only, 3, "matches the reference")
    alone = veilkey_here("protect", "astronaut.png", "-r", "alice.pub.pem", "--except-matching", "astronaut.png")
    assert_says(alone, 3, "every face matches")
    assert not list(folder.glob("*.veiled.*"))
