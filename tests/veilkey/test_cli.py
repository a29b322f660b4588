import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import veilkey
from veilkey import recognizers
from veilkey.carriers import read_photo

Command = Callable[..., "subprocess.CompletedProcess[str]"]
FAST = ("--refine", "0")


@pytest.fixture
def files(tmp_path: Path, protected: SimpleNamespace, key_pair: SimpleNamespace, file_of: Callable, faceless) -> Path:
    """A folder with what commands are given: photos, keys, a protected photo with its key."""
    (tmp_path / "photo.png").write_bytes(file_of("rgb.png"))
    (tmp_path / "photo.jpg").write_bytes(file_of("rgb.jpg"))
    (tmp_path / "grey.jpg").write_bytes(file_of("grey.jpg"))
    (tmp_path / "cut.jpg").write_bytes(file_of("cut.jpg"))
    (tmp_path / "text.jpg").write_bytes(b"not a picture\n")
    Image.fromarray(faceless).save(tmp_path / "faceless.png")
    for path in (key_pair.private, key_pair.public, key_pair.stranger):
        shutil.copy(path, tmp_path)
    (tmp_path / "done.veiled.png").write_bytes(protected.file.read_bytes())
    (tmp_path / "done.veiled.png.veilkey").write_bytes(protected.key)
    (tmp_path / "words").write_text(protected.passphrase + "\n")
    (tmp_path / "wrong").write_text("wrong\n")
    (tmp_path / "nothing").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "photo.png").write_bytes(file_of("rgb.png"))
    return tmp_path


def new(folder: Path, before: set[str]) -> set[str]:
    return {path.name for path in folder.iterdir()} - before


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


# (arguments, exit code, what standard error says). Nothing is written by any of them.
REFUSED: dict[str, tuple[str, int, str]] = {
    "nobody could restore": ("protect photo.png", 2, "-r NAME.pub.pem or --passphrase-file"),
    "no photo": ("protect -r alice.pub.pem", 2, "Missing argument"),
    "unknown strength": ("protect photo.png -r alice.pub.pem --strength weak", 2, "weak"),
    "face 0": ("protect photo.png -r alice.pub.pem --face 0", 2, "--face"),
    "no such option": ("protect photo.png --quick", 2, "--quick"),
    "no folder": ("protect photo.png -r alice.pub.pem -o none/a.png", 2, "none is no folder"),
    "several into a file": ("protect photo.png grey.jpg -r alice.pub.pem -o a.png", 2, "-o must be a folder"),
    "several keys into a file": ("protect photo.png grey.jpg -r alice.pub.pem -k a.key", 2, "-k must be a folder"),
    "two photos of one name": ("protect photo.png other/photo.png -r alice.pub.pem -o folder", 2, "both be written to"),
    "one photo twice": ("protect photo.png ./photo.png -r alice.pub.pem", 2, "both be written to"),
    "one photo by two ways": ("protect photo.png folder/../photo.png -r alice.pub.pem", 2, "both be written to"),
    "picture and key in one": ("protect photo.png -r alice.pub.pem -o a -k a", 2, "both be written to"),
    "over the photo": ("protect photo.png -r alice.pub.pem -o photo.png --force", 2, "would be overwritten"),
    "output exists": ("protect photo.png -r alice.pub.pem -o grey.jpg", 2, "--force"),
    "key exists": ("protect photo.png -r alice.pub.pem -k words", 2, "--force"),
    "no face": ("protect faceless.png -r alice.pub.pem", 3, "no face"),
    "no such face": ("protect photo.png -r alice.pub.pem --face 2", 3, "no face 2"),
    "no face of that size": ("protect photo.png -r alice.pub.pem --min-size 500", 3, "500"),
    "no photo there": ("protect none.png -r alice.pub.pem", 5, "none.png"),
    "a folder": ("protect folder -r alice.pub.pem", 5, "folder"),
    "no picture": ("protect text.jpg -r alice.pub.pem", 5, "text.jpg"),
    "cut short": ("protect cut.jpg -r alice.pub.pem", 5, "cut.jpg"),
    "no recipient there": ("protect photo.png -r none.pub.pem", 4, "none.pub.pem"),
    "a private key as recipient": ("protect photo.png -r alice.pem", 4, "is a private key"),
    "an empty passphrase": ("protect photo.png --passphrase-file nothing", 4, "nothing"),
    "nothing to open with": ("restore done.veiled.png", 2, "-i NAME.pem or --passphrase-file"),
    "over the protected photo": ("restore done.veiled.png -i alice.pem -o done.veiled.png --force", 2, "overwritten"),
    "over the key": ("restore done.veiled.png -i alice.pem -o done.veiled.png.veilkey --force", 2, "overwritten"),
    "restored exists": ("restore done.veiled.png -i alice.pem -o photo.png", 2, "--force"),
    "a stranger": ("restore done.veiled.png -i mallory.pem", 4, "not sealed for"),
    "a wrong passphrase": ("restore done.veiled.png --passphrase-file wrong", 4, "does not open"),
    "no key": ("restore photo.png -i alice.pem", 4, "pass the key file with -k"),
    "a photo as key": ("restore done.veiled.png -i alice.pem -k photo.png", 4, "not a veilkey key file"),
    "another picture": ("restore photo.png -i alice.pem -k done.veiled.png.veilkey", 4, "256x256"),
    "no picture to restore": ("restore text.jpg -i alice.pem -k done.veiled.png.veilkey", 5, "text.jpg"),
    "inspect nothing": ("inspect none.veilkey", 4, "none.veilkey"),
    "inspect a photo": ("inspect photo.png", 4, "not a veilkey key file"),
    "inspect as a stranger": ("inspect done.veiled.png.veilkey -i mallory.pem", 4, "not sealed for"),
    "keygen into nowhere": ("keygen none/bob", 1, "none"),
    "no command": ("protekt photo.png", 2, "protekt"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(veilkey_command: Command, files: Path, case: str) -> None:
    arguments, code, message = REFUSED[case]
    before = {path.name: path.read_bytes() for path in files.iterdir() if path.is_file()}
    done = veilkey_command(*arguments.split())
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    if not done.stderr.startswith("Usage:"):
        assert re.fullmatch(r"veilkey: [^\n]+\n", done.stderr)
    assert done.stdout == ""
    assert {path.name: path.read_bytes() for path in files.iterdir() if path.is_file()} == before


def test_there_and_back_by_default_names(veilkey_command: Command, files: Path) -> None:
    before = names(files)
    done = veilkey_command("protect", "photo.jpg", "-r", "alice.pub.pem", *FAST)
    assert done.returncode == 0, done.stderr
    assert new(files, before) == {"photo.veiled.jpg", "photo.veiled.jpg.veilkey"}
    assert "photo.veiled.jpg" in done.stdout and "dlib" in done.stdout
    back = veilkey_command("restore", "photo.veiled.jpg", "-i", "alice.pem")
    assert back.returncode == 0, back.stderr
    assert "identical" in back.stdout and back.stderr == ""
    assert new(files, before) == {"photo.veiled.jpg", "photo.veiled.jpg.veilkey", "photo.restored.jpg"}
    original, veiled, restored = (
        (files / name).read_bytes() for name in ("photo.jpg", "photo.veiled.jpg", "photo.restored.jpg")
    )
    assert restored == original and veiled != original


def test_names_that_are_given(veilkey_command: Command, files: Path) -> None:
    before = names(files)
    options = ["--passphrase-file", "words", *FAST]
    done = veilkey_command("protect", "photo.png", "-o", "folder/a.png", "-k", "b.key", *options)
    assert done.returncode == 0, done.stderr
    back = veilkey_command(
        "restore", "folder/a.png", "-k", "b.key", "--passphrase-file", "-", "-o", "c.png", typed="correct horse battery"
        " staple\nignored\n",
    )  # fmt: skip
    assert back.returncode == 0, back.stderr
    assert new(files, before) == {"b.key", "c.png"} and names(files / "folder") == {"a.png"}
    assert np.array_equal(read_photo(files / "c.png").pixels, read_photo(files / "photo.png").pixels)


def test_several_photos_with_bad_ones_in_between(veilkey_command: Command, files: Path) -> None:
    photos = ["photo.png", "faceless.png", "text.jpg", "grey.jpg"]
    done = veilkey_command("protect", *photos, "-r", "alice.pub.pem", "-o", "folder", "--json", *FAST)
    assert done.returncode == 5, done.stderr
    complaints = [line for line in done.stderr.splitlines() if "warning" not in line]
    assert len(complaints) == 2 and "faceless.png" in complaints[0] and "text.jpg" in complaints[1]
    assert [json.loads(line)["photo"] for line in done.stdout.splitlines()] == ["photo.png", "grey.jpg"]
    assert names(files / "folder") == {
        name + ending for name in ("photo.veiled.png", "grey.veiled.jpg") for ending in ("", ".veilkey")
    }
    # And back, with a key missing in between.
    (files / "folder" / "missing.veiled.png").write_bytes((files / "photo.png").read_bytes())
    veiled = [f"folder/{name}" for name in ("photo.veiled.png", "missing.veiled.png", "grey.veiled.jpg")]
    back = veilkey_command("restore", *veiled, "-i", "alice.pem", "--json")
    assert back.returncode == 4, back.stderr
    assert back.stderr.count("\n") == 1 and "missing" in back.stderr
    facts = [json.loads(line) for line in back.stdout.splitlines()]
    assert [fact["restored"] for fact in facts] == ["folder/photo.restored.png", "folder/grey.restored.jpg"]
    assert facts[1]["identical"] == "file" and facts[0]["identical"] in ("file", "pixels")
    for stem, name in (("photo", "photo.png"), ("grey", "grey.jpg")):
        restored = read_photo(files / "folder" / f"{stem}.restored{Path(name).suffix}")
        assert restored.digest() == read_photo(files / name).digest()


def test_json(veilkey_command: Command, files: Path) -> None:
    done = veilkey_command("protect", "photo.png", "-r", "alice.pub.pem", "--json", *FAST)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert set(facts) == {"photo", "protected", "protected_bytes", "key", "key_bytes", "restores", "seconds", "faces"}
    assert facts["photo"] == "photo.png" and facts["protected"] == "photo.veiled.png"
    assert facts["key_bytes"] == (files / facts["key"]).stat().st_size <= 64 * 1024
    assert facts["seconds"] > 0
    (face,) = facts["faces"]
    assert {"box", "ssim", "psnr", "recognizers"} <= set(face)
    assert len(face["box"]) == 4 and 0.9 < face["ssim"] < 1 and 20 < face["psnr"] < 60
    seen = face["recognizers"]["dlib"]
    assert set(seen) == {"before", "after", "threshold", "matches", "attacked"} and seen["attacked"] is True
    assert 0 < seen["before"] < seen["threshold"]
    assert seen["matches"] is (seen["after"] < seen["threshold"])
    # One line for each recognizer that matches: those that are installed besides judge, too.
    for name, judged in face["recognizers"].items():
        assert (f"warning: photo.png: {name} still matches face 1" in done.stderr) == judged["matches"]


def test_target_names_who_is_attacked_and_the_rest_judge(veilkey_command: Command, files: Path) -> None:
    done = veilkey_command("protect", "photo.png", "-r", "alice.pub.pem", "--json", "--target", "sface", *FAST)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)["faces"][0]["recognizers"]
    assert set(seen) == set(recognizers.installed()) >= {"dlib", "sface"}
    assert [name for name in seen if seen[name]["attacked"]] == ["sface"]
    # How far from each: the one that was attacked moves most, and the other one is asked, too.
    for name, farther in (("sface", 3.0), ("dlib", 1.0)):
        assert seen[name]["after"] > farther * seen[name]["before"]
    assert veilkey_command("restore", "photo.veiled.png", "-i", "alice.pem").returncode == 0
    assert read_photo(files / "photo.restored.png").digest() == read_photo(files / "photo.png").digest()
    known = json.loads(veilkey_command("inspect", "photo.veiled.png.veilkey", "-i", "alice.pem").stdout)
    assert set(known["opened"][0]["faces"][0]["blocks"]) == {"sface"}


def test_an_unknown_target_is_a_wrong_usage(veilkey_command: Command, files: Path) -> None:
    done = veilkey_command("protect", "photo.png", "-r", "alice.pub.pem", "--target", "dlib,eigenfaces")
    assert done.returncode == 2 and "eigenfaces" in done.stderr and "sface" in done.stderr
    assert done.stderr.count("\n") == 1 and not (files / "photo.veiled.png").exists()


def test_json_of_a_photo_without_room_for_a_change(veilkey_command: Command, files: Path, close_up: np.ndarray) -> None:
    """A dithered photo is black and white only: nothing can change, and what is said of it is JSON all the same."""
    enlarged = Image.fromarray(close_up).resize((512, 512), Image.Resampling.BICUBIC)
    enlarged.convert("1").save(files / "dithered.png")
    done = veilkey_command("protect", "dithered.png", "-r", "alice.pub.pem", "--json", *FAST)
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert facts["faces"][0]["recognizers"]["dlib"]["matches"] is True
    assert "warning" in done.stderr


def test_a_changed_copy_is_estimated_only_where_that_is_asked_for(veilkey_command: Command, files: Path) -> None:
    Image.open(files / "done.veiled.png").save(files / "copy.jpg", quality=80)
    before = names(files)
    command = ("restore", "copy.jpg", "-k", "done.veiled.png.veilkey", "-i", "alice.pem")
    refused = veilkey_command(*command)
    assert refused.returncode == 4 and "--approximate" in refused.stderr and new(files, before) == set()
    done = veilkey_command(*command, "--approximate", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["approximate"] is True and facts["identical"] is False and 0 < facts["estimated_error"] < 20
    assert new(files, before) == {"copy.approximate.png"} == {facts["restored"]}
    assert "not the original" in Image.open(files / "copy.approximate.png").text["veilkey"]
    # What was not changed is restored, whatever is asked for; what the key is not for, never.
    exact = veilkey_command("restore", "done.veiled.png", "-i", "alice.pem", "--approximate", "--json")
    assert exact.returncode == 0 and json.loads(exact.stdout)["approximate"] is False
    other = veilkey_command("restore", "photo.jpg", *command[2:], "--approximate")
    assert other.returncode == 4 and not (files / "photo.approximate.png").exists()


def test_force_replaces_and_nothing_else_does(veilkey_command: Command, files: Path) -> None:
    command = ("protect", "photo.png", "-r", "alice.pub.pem", *FAST)
    assert veilkey_command(*command).returncode == 0
    first = [(files / name).read_bytes() for name in ("photo.veiled.png", "photo.veiled.png.veilkey")]
    done = veilkey_command(*command)
    assert done.returncode == 2 and "--force" in done.stderr
    assert first == [(files / name).read_bytes() for name in ("photo.veiled.png", "photo.veiled.png.veilkey")]
    assert veilkey_command(*command, "--force").returncode == 0
    assert first[1] != (files / "photo.veiled.png.veilkey").read_bytes()
    (files / "photo.restored.png").write_text("old")
    back = ("restore", "photo.veiled.png", "-i", "alice.pem")
    assert veilkey_command(*back).returncode == 2
    assert (files / "photo.restored.png").read_text() == "old"
    assert veilkey_command(*back, "--force").returncode == 0
    assert np.array_equal(read_photo(files / "photo.restored.png").pixels, read_photo(files / "photo.png").pixels)


def test_show(veilkey_command: Command, files: Path) -> None:
    before = names(files)
    done = veilkey_command("protect", "photo.png", "-r", "alice.pub.pem", "--show", *FAST)
    assert done.returncode == 0, done.stderr
    (shown,) = new(files, before) - {"photo.veiled.png", "photo.veiled.png.veilkey"}
    painted, veiled = (read_photo(files / name).pixels for name in (shown, "photo.veiled.png"))
    assert painted.shape == veiled.shape
    assert 0.02 < (painted != veiled).any(2).mean() < 0.6
    assert veilkey_command("restore", "photo.veiled.png", "-i", "alice.pem").returncode == 0


def test_one_face_and_small_faces(veilkey_command: Command, files: Path, close_up: np.ndarray) -> None:
    large = np.array(Image.fromarray(close_up).resize((384, 384), Image.Resampling.BICUBIC))
    both = np.zeros((384, 640, 3), np.uint8)
    both[:256, :256], both[:, 256:] = close_up, large
    Image.fromarray(both).save(files / "both.png")
    for options, changed in [
        ((), (True, True)),
        (("--face", "2"), (True, False)),
        (("--min-size", "130"), (False, True)),
    ]:
        done = veilkey_command("protect", "both.png", "-r", "alice.pub.pem", "--json", "--force", *options, *FAST)
        assert done.returncode == 0, done.stderr
        differs = (read_photo(files / "both.veiled.png").pixels != both).any(2)
        assert (differs[:256, :236].any(), differs[:, 300:].any()) == changed
        numbers = [face["number"] for face in json.loads(done.stdout)["faces"]]
        assert numbers == [number for number, is_changed in ((1, changed[1]), (2, changed[0])) if is_changed]
    assert veilkey_command("restore", "both.veiled.png", "-i", "alice.pem").returncode == 0
    assert np.array_equal(read_photo(files / "both.restored.png").pixels, both)


def test_allow_no_face(veilkey_command: Command, files: Path) -> None:
    done = veilkey_command("protect", "faceless.png", "-r", "alice.pub.pem", "--allow-no-face", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["faces"] == []
    back = veilkey_command("restore", "faceless.veiled.png", "-i", "alice.pem")
    assert back.returncode == 0, back.stderr
    pictures = [read_photo(files / f"faceless{ending}.png").pixels for ending in ("", ".veiled", ".restored")]
    assert np.array_equal(pictures[0], pictures[1]) and np.array_equal(pictures[0], pictures[2])


def test_keygen(veilkey_command: Command, files: Path) -> None:
    done = veilkey_command("keygen", "bob")
    assert done.returncode == 0 and "bob.pub.pem" in done.stdout
    private = files / "bob.pem"
    assert private.stat().st_mode & 0o777 == 0o600
    assert b"BEGIN PRIVATE KEY" in private.read_bytes()
    assert b"BEGIN PUBLIC KEY" in (files / "bob.pub.pem").read_bytes()
    first = private.read_bytes()
    again = veilkey_command("keygen", "bob")
    assert again.returncode == 2 and again.stderr.count("\n") == 1
    assert private.read_bytes() == first


def test_an_encrypted_identity(veilkey_command: Command, files: Path) -> None:
    assert veilkey_command("keygen", "carol", "--passphrase-file", "words").returncode == 0
    assert b"ENCRYPTED PRIVATE KEY" in (files / "carol.pem").read_bytes()
    recipients = ("-r", "carol.pub.pem", "-r", "alice.pub.pem", "--passphrase-file", "wrong")
    assert veilkey_command("protect", "photo.png", *recipients, *FAST).returncode == 0
    without = veilkey_command("restore", "photo.veiled.png", "-i", "carol.pem")
    assert without.returncode == 4 and "carol.pem is encrypted" in without.stderr
    wrong = veilkey_command("restore", "photo.veiled.png", "-i", "carol.pem", "--passphrase-file", "wrong")
    assert wrong.returncode == 4 and "passphrase for carol.pem is wrong" in wrong.stderr
    assert not (files / "photo.restored.png").exists()
    for opener in (
        ["-i", "carol.pem", "--passphrase-file", "words"],
        ["-i", "alice.pem"],
        ["--passphrase-file", "wrong"],
    ):
        done = veilkey_command("restore", "photo.veiled.png", *opener, "--force")
        assert done.returncode == 0, done.stderr


def test_inspect(veilkey_command: Command, files: Path, protected: SimpleNamespace) -> None:
    outside = veilkey_command("inspect", "done.veiled.png.veilkey")
    assert outside.returncode == 0, outside.stderr
    facts = json.loads(outside.stdout)
    assert [entry["alg"] for entry in facts["locks"][0]["recipients"]] == ["ECDH-ES+A256KW", "PBES2-HS512+A256KW"]
    assert facts["encryption"] == "A256GCM" and facts["bytes"] == len(protected.key)
    assert "opened" not in facts
    for opener in (["-i", "alice.pem"], ["--passphrase-file", "words"]):
        inside = veilkey_command("inspect", "done.veiled.png.veilkey", *opener)
        assert inside.returncode == 0, inside.stderr
        (opened,) = json.loads(inside.stdout)["opened"]
        assert opened["width"] == opened["height"] == 512
        assert opened["original"]["sha256"] == protected.payload.original_digest.hex()
        (face,) = opened["faces"]
        assert sum(face["blocks"]["dlib"].values()) == 500
        assert protected.payload.secret.hex() not in inside.stdout


@pytest.mark.parametrize(("arguments", "expected"), [("--version", veilkey.__version__), ("-h", "Commands:")])
def test_help(veilkey_command: Command, arguments: str, expected: str) -> None:
    done = veilkey_command(arguments)
    assert done.returncode == 0 and expected in done.stdout


@pytest.mark.parametrize("command", ["protect", "restore", "inspect", "faces", "keygen", "demo"])
def test_each_command_has_help(veilkey_command: Command, command: str) -> None:
    done = veilkey_command(command, "--help")
    assert done.returncode == 0 and "Usage:" in done.stdout


def test_demo(veilkey_command: Command, files: Path) -> None:
    before = names(files)
    done = veilkey_command("demo", "-o", "seen.png")
    assert done.returncode == 0, done.stderr
    assert "restored: identical" in done.stdout and "threshold" not in done.stderr
    assert len(re.findall(r"distance \d\.\d\d", done.stdout)) == 2 * len(recognizers.installed())
    assert new(files, before) == {"seen.png"}
    assert read_photo(files / "seen.png").width > 5 * 200


def test_demo_of_a_photo_without_a_face(veilkey_command: Command, files: Path) -> None:
    before = names(files)
    done = veilkey_command("demo", "faceless.png")
    assert done.returncode == 3 and done.stderr.count("\n") == 1
    assert new(files, before) == set()
