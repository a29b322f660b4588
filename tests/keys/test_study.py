import stat
from pathlib import Path

import pytest

from keys import keypair, study
from keys.errors import BadIdentity, KeyExists
from keys.recipients import load_identity, load_recipient


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return study.generate(tmp_path / "trial.7")


def test_it_is_read_as_it_was_written(path: Path) -> None:
    assert path.name == "trial.7.study" and stat.S_IMODE(path.stat().st_mode) == 0o600
    key = study.load_study_key(path)
    assert len(key) == study.KEY_BYTES and key == study.load_study_key(path.read_bytes())
    # As a Windows editor leaves it.
    assert study.load_study_key(b"\n" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n") == key


def test_every_study_has_its_own(path: Path, tmp_path: Path) -> None:
    assert study.load_study_key(path) != study.load_study_key(study.generate(tmp_path / "other"))


@pytest.mark.parametrize("dangling", [False, True], ids=["file", "dangling link"])
def test_nothing_is_overwritten(tmp_path: Path, dangling: bool) -> None:
    path = tmp_path / "trial.study"
    if dangling:
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_text("mine")
    with pytest.raises(KeyExists, match="choose another name"):
        study.generate(tmp_path / "trial")
    assert list(tmp_path.iterdir()) == [path]
    assert dangling or path.read_text() == "mine"


def test_a_part_of_it_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    for length in range(len(whole.rstrip())):
        with pytest.raises(BadIdentity, match="give NAME.study|cut short or altered"):
            study.load_study_key(whole[:length])


def test_a_wrong_letter_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    first, last = whole.index(b"\n") + 1, whole.index(b"\n-----END")
    for place in range(first, last):
        for letter in b"Az+/=\n":
            wrong = whole[:place] + bytes([letter]) + whole[place + 1 :]
            if wrong != whole:
                with pytest.raises(BadIdentity, match="cut short or altered"):
                    study.load_study_key(wrong)


def test_other_files_are_refused(path: Path, tmp_path: Path) -> None:
    private, public = keypair.generate(tmp_path / "alice")
    (tmp_path / "large").write_bytes(path.read_bytes() + b"\n" * 65536)
    (tmp_path / "empty").touch()
    for file, says in {
        private: "is a private key; give NAME.study",
        public: "is not a study key; give NAME.study",
        tmp_path / "empty": "is not a study key",
        tmp_path / "large": "larger than 65536 bytes",
        tmp_path / "none": "No such file",
        tmp_path: "Is a directory",
    }.items():
        with pytest.raises(BadIdentity, match=says) as error:
            study.load_study_key(file)
        assert str(file) in str(error.value) and "\n" not in str(error.value)


def test_it_is_nobodys_identity(path: Path) -> None:
    with pytest.raises(BadIdentity, match="is not a public key"):
        load_recipient(path)
    with pytest.raises(BadIdentity, match="is not a private key"):
        load_identity(path)
