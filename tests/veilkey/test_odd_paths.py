"""Odd names, links, devices, folders without rights and full disks, by the command: one clear line, the right exit
code, nothing written, and little time and memory (issue 5, part 4)."""

import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import veilkey
from veilkey.carriers import read_photo

Measured = Callable[..., SimpleNamespace]
SECONDS = 2.0
MEMORY = 500 * 2**20
PROTECT = ("-r", "alice.pub.pem", "--refine", "0")
LINE = re.compile(r"veilkey: [^\n]+\n")


@pytest.fixture
def photo(close_up: np.ndarray, written: Callable) -> bytes:
    """A JPEG file with a face that can be protected."""
    return written(close_up, "444.jpg")


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """All that is under a folder, and when it was changed."""
    found = {}
    for path in folder.rglob("*"):
        status = path.lstat()
        found[os.fspath(path.relative_to(folder))] = (status.st_mode, 0 if path.is_dir() else status.st_mtime_ns)
    return found


def assert_refused(measured: Measured, folder: Path, code: int, says: str, *arguments: object, **how: object) -> str:
    """The command ends with the code, one line, and nothing written; that line."""
    before = listing(folder)
    done = measured(folder, *arguments, **how)
    assert done.code == code, done.error
    assert LINE.fullmatch(done.error), done.error
    assert says in done.error
    assert done.output == ""
    assert listing(folder) == before
    assert done.seconds < SECONDS and done.memory < MEMORY, done
    return done.error


def test_a_bad_reference(measured: Measured, folder: Path, photo: bytes) -> None:
    (folder / "a.jpg").write_bytes(photo)
    (folder / "b.jpg").write_bytes(photo[:1000])
    assert_refused(measured, folder, 5, "b.jpg", "protect", "a.jpg", *PROTECT, "--only-matching", "b.jpg")


def test_a_huge_file_is_not_read(measured: Measured, folder: Path, photo: bytes) -> None:
    """2 GiB, most of which take no room on the disk: too much for any photo, which its size tells."""
    with (folder / "a.jpg").open("wb") as file:
        file.write(photo)
        file.truncate(2**31)
    assert_refused(measured, folder, 5, "a.jpg", "protect", "a.jpg", *PROTECT)


NAMES = [
    "two\nlines.jpg",
    " .jpg",
    "-x.jpg",
    "--help.jpg",
    "a b  c.jpg",
    "лицо 家族 😀.jpg",
    "*?$(id);'\".jpg",
    "\x1b[31mred.jpg",
]


def test_odd_names_that_are_refused(measured: Measured, folder: Path, photo: bytes) -> None:
    """One line each, whatever the name holds, and no control character on the terminal."""
    for name in NAMES:
        (folder / name).write_bytes(photo[:1000])
    done = measured(folder, "protect", *PROTECT, "--", *NAMES)
    assert done.code == 5, done.error
    assert len(done.error.splitlines()) == len(NAMES), done.error
    assert all(line.startswith("veilkey: ") for line in done.error.splitlines())
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", done.error), done.error


def test_odd_names_there_and_back(measured: Measured, folder: Path, photo: bytes, key_pair: SimpleNamespace) -> None:
    for name in NAMES:
        (folder / name).write_bytes(photo)
    done = measured(folder, "protect", *PROTECT, "--strength", "light", "--", *NAMES)
    assert done.code == 0, done.error
    assert all(line.startswith("veilkey: warning: ") for line in done.error.splitlines()), done.error
    for name in NAMES:
        veiled = folder / (name.removesuffix(".jpg") + ".veiled.jpg")
        assert veilkey.restore(veiled, f"{veiled}.veilkey", identity=key_pair.private) == photo
    back = measured(
        folder, "restore", "-i", "alice.pem", "--", *(n.removesuffix(".jpg") + ".veiled.jpg" for n in NAMES)
    )
    assert (back.code, back.error) == (0, "")
    for name in NAMES:
        assert (folder / (name.removesuffix(".jpg") + ".restored.jpg")).read_bytes() == photo


def test_a_name_that_is_no_text(measured: Measured, folder: Path, photo: bytes, key_pair: SimpleNamespace) -> None:
    """Linux allows any bytes; so do we, there and back."""
    name = b"caf\xe9.jpg"
    path = Path(os.fsdecode(os.fsencode(folder) + b"/" + name))
    try:
        path.write_bytes(photo)
    except OSError:
        pytest.skip("this file system takes only names that are text")
    done = measured(folder, "protect", name, *PROTECT)
    assert done.code == 0 and "Traceback" not in done.error, done.error
    veiled = path.with_name(path.stem + ".veiled.jpg")
    assert veilkey.restore(veiled, f"{veiled}.veilkey", identity=key_pair.private) == photo
    back = measured(folder, "restore", os.fsencode(veiled), "-i", "alice.pem")
    assert (back.code, back.error) == (0, "")
    assert path.with_name(path.stem + ".restored.jpg").read_bytes() == photo


def test_a_name_that_leaves_no_room_for_an_ending(measured: Measured, folder: Path, photo: bytes) -> None:
    name = "n" * 251 + ".jpg"
    (folder / name).write_bytes(photo)
    assert_refused(measured, folder, 1, "too long", "protect", name, *PROTECT)


def test_a_name_that_is_asked_for_is_written(
    veilkey_here: Callable, folder: Path, close_up: np.ndarray, written: Callable
) -> None:
    """Whatever its ending, and though the key knows the original's."""
    (folder / "a.jpg").write_bytes(written(close_up, "444.jpg"))
    done = veilkey_here("protect", "a.jpg", *PROTECT, "-o", "b", "-k", "c")
    assert done.code == 0, done.error
    for name in ("back", "alice.png", "d.jpeg"):
        back = veilkey_here("restore", "b", "-k", "c", "-i", "alice.pem", "-o", name, "--force")
        assert (back.code, back.error) == (0, "")
        assert (folder / name).read_bytes() == (folder / "a.jpg").read_bytes()
    assert {path.name for path in folder.iterdir()} == {
        *("a.jpg", "b", "c", "back", "alice.png", "d.jpeg", "alice.pem", "alice.pub.pem")
    }


def test_a_name_that_is_an_option(veilkey_here: Callable, there_and_back: Callable, folder: Path, photo: bytes) -> None:
    (folder / "-x.jpg").write_bytes(photo)
    done = veilkey_here("protect", "-x.jpg", *PROTECT)
    assert done.code == 2 and "Traceback" not in done.error
    there_and_back("-x.jpg", "-x.veiled.jpg")


def special(folder: Path, what: str, photo: bytes) -> str:
    """Something that is no ordinary file; its name."""
    path = folder / "a.jpg"
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "socket":
        import socket

        with socket.socket(socket.AF_UNIX) as one:
            one.bind(os.fspath(path))
    elif what == "dangling link":
        path.symlink_to("nowhere.jpg")
    elif what == "link to itself":
        path.symlink_to("a.jpg")
    elif what == "link to a pipe":
        os.mkfifo(folder / "pipe")
        path.symlink_to("pipe")
    elif what == "link to zeros":
        path.symlink_to("/dev/zero")
    elif what == "nothing":
        pass
    elif what == "file in a file":
        path.write_bytes(photo)
        return "a.jpg/b.jpg"
    return path.name


@pytest.mark.parametrize(
    "what",
    ["folder", "pipe", "socket", "dangling link", "link to itself", "link to a pipe", "link to zeros", "nothing",
     "file in a file"],
)  # fmt: skip
def test_what_is_no_file(measured: Measured, folder: Path, photo: bytes, what: str) -> None:
    name = special(folder, what, photo)
    assert_refused(measured, folder, 5, name, "protect", name, *PROTECT, "-o", "b.jpg")


@pytest.mark.parametrize("what", ["key", "identity", "passphrase", "recipient"])
@pytest.mark.parametrize("where", ["/dev/zero", "huge"])
def test_keys_that_are_no_file(
    measured: Measured, folder: Path, photo: bytes, protected: SimpleNamespace, what: str, where: str
) -> None:
    """A device or far too much in place of a key or passphrase file is not read to its end.

    A pipe may be what a shell makes of <(...), so whoever names one that nobody writes to waits.
    """
    (folder / "a.jpg").write_bytes(photo)
    shutil.copy(protected.file, folder / "a.veiled.png")
    shutil.copy(protected.key_file, folder / "key")
    if where == "huge":
        with (folder / "huge").open("wb") as file:
            file.truncate(2**31)
    arguments = {
        "key": ("restore", "a.veiled.png", "-k", where, "-i", "alice.pem"),
        "identity": ("restore", "a.veiled.png", "-k", "key", "-i", where),
        "passphrase": ("restore", "a.veiled.png", "-k", "key", "--passphrase-file", where),
        "recipient": ("protect", "a.jpg", "-r", where),
    }
    assert_refused(measured, folder, 4, "", *arguments[what])


def test_a_link_is_followed_and_stays(
    measured: Measured, veilkey_here: Callable, there_and_back: Callable, folder: Path, photo: bytes
) -> None:
    (folder / "real").mkdir()
    (folder / "real" / "photo.jpg").write_bytes(photo)
    (folder / "a.jpg").symlink_to("real/photo.jpg")
    there_and_back("a.jpg", "a.veiled.jpg")
    assert (folder / "a.jpg").is_symlink() and (folder / "real" / "photo.jpg").read_bytes() == photo
    # An output that is a link to the photo would overwrite it, and one that dangles is not written through.
    (folder / "b.jpg").symlink_to("a.jpg")
    (folder / "c.jpg").symlink_to("nowhere.jpg")
    assert_refused(measured, folder, 2, "overwritten", "protect", "a.jpg", *PROTECT, "-o", "b.jpg", "--force")
    done = veilkey_here("protect", "a.jpg", *PROTECT, "-o", "c.jpg", "-k", "c.key")
    assert done.code == 2 and not (folder / "nowhere.jpg").exists() and not (folder / "c.key").exists(), done.error


def without_rights() -> tuple[str, ...]:
    """What to put before a command so that file modes hold for it, too, where the tests are run by root."""
    if os.geteuid():
        return ()
    capabilities = "-dac_override,-dac_read_search,-fowner"
    under = ("setpriv", "--bounding-set", capabilities, "--inh-caps", capabilities)
    if not shutil.which("setpriv") or subprocess.run([*under, "true"]).returncode:
        pytest.skip("root may read and write everything here, and setpriv cannot change that")
    return under


def test_what_may_not_be_read_or_written(measured: Measured, folder: Path, photo: bytes) -> None:
    under = without_rights()
    (folder / "a.jpg").write_bytes(photo)
    (folder / "b.jpg").write_bytes(photo)
    (folder / "b.jpg").chmod(0)
    (folder / "locked").mkdir(mode=0o500)
    assert_refused(measured, folder, 5, "b.jpg", "protect", "b.jpg", *PROTECT, under=under)
    error = complaint(measured, folder, "protect", "a.jpg", *PROTECT, "-o", "locked", under=under)
    assert "Permission denied" in error
    # The key alone has nowhere to go: no protected photo without it.
    error = complaint(measured, folder, "protect", "a.jpg", *PROTECT, "-k", "locked/key", under=under)
    assert "Permission denied" in error
    (folder / "locked").chmod(0o700)


def complaint(measured: Measured, folder: Path, *arguments: object, **how: object) -> str:
    """What a command says that fails only when it writes, with exit code 1 and nothing left."""
    before = listing(folder)
    done = measured(folder, *arguments, **how)
    lines = [line for line in done.error.splitlines() if not line.startswith("veilkey: warning: ")]
    assert done.code == 1, done.error
    assert len(lines) == 1 and lines[0].startswith("veilkey: "), done.error
    assert done.output == "" and listing(folder) == before
    return lines[0]


def test_a_full_disk(measured: Measured, folder: Path, photo: bytes) -> None:
    """In a file system of 32 KiB, where it may be mounted; a name that is left there would show as another line."""
    (folder / "a.jpg").write_bytes(photo)
    (folder / "full").mkdir()
    script = 'mount -t tmpfs -o size=32k none full && "$@"; code=$?; ls -A full >&2; exit $code'
    under = ("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh")
    if not shutil.which("unshare") or subprocess.run([*under, "true"], cwd=folder, capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    error = complaint(measured, folder, "protect", "a.jpg", *PROTECT, "-o", "full", under=under)
    assert "No space left on device" in error


def test_a_limit_on_the_size_of_files(measured: Measured, folder: Path, photo: bytes) -> None:
    """What a quota does: the key still fits, the photo does not, and neither stays."""
    big = read_photo(photo).pixels
    (folder / "a.png").write_bytes(cv2.imencode(".png", np.tile(big, (1, 2, 1))[..., ::-1])[1].tobytes())
    limit = 100 * 1024
    code = f"import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
    code += "os.execvp(sys.argv[1], sys.argv[1:])"
    error = complaint(
        measured, folder, "protect", "a.png", *PROTECT, "--faces", "1", under=(sys.executable, "-c", code)
    )
    assert "too large" in error
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_two_photos_that_lead_to_one_file(measured: Measured, folder: Path, photo: bytes, close_up, written) -> None:
    """Also where that shows only in what the files hold."""
    (folder / "a.png").write_bytes(written(close_up, "rgb.png"))
    (folder / "a.jpg").write_bytes(written(close_up, "rgb.png"))
    (folder / "b.jpg").write_bytes(photo)
    (folder / "B").symlink_to(".")
    for photos in (("a.png", "a.jpg"), ("b.jpg", "B/b.jpg"), ("b.jpg", "b.jpg")):
        assert_refused(measured, folder, 2, "both be written to", "protect", *photos, *PROTECT)
    assert_refused(
        measured, folder, 2, "both be written to", "restore", "a.veiled.png", "a.png", "-i", "alice.pem"
    )  # fmt: skip


def test_force_takes_nothing_away_before_all_is_ready(measured: Measured, folder: Path, photo: bytes) -> None:
    """A folder stands where the key belongs: the protected photo that is there stays."""
    (folder / "a.jpg").write_bytes(photo)
    (folder / "a.veiled.jpg").write_bytes(b"the only copy")
    (folder / "key").mkdir()
    (folder / "key" / "a.veiled.jpg.veilkey").mkdir()
    before = listing(folder)
    done = measured(folder, "protect", "a.jpg", *PROTECT, "-k", "key", "--force")
    assert done.code == 2 and done.error.startswith("veilkey: ") and done.error.count("\n") == 1
    assert listing(folder) == before
    assert (folder / "a.veiled.jpg").read_bytes() == b"the only copy"
