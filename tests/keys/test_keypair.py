import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from keys import envelope, files, keypair
from keys.errors import KeyExists, PassphraseNeeded
from keys.recipients import load_identity, load_recipient


def test_a_pair_opens_what_it_seals(tmp_path: Path, unseal: Callable[..., bytes]) -> None:
    private, public = keypair.generate(tmp_path / "alice")
    assert (private, public) == (tmp_path / "alice.pem", tmp_path / "alice.pub.pem")
    assert private.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
    assert public.read_bytes().startswith(b"-----BEGIN PUBLIC KEY-----")
    assert unseal(envelope.seal(b"x", [load_recipient(public)]), load_identity(private)) == b"x"


def test_only_the_owner_reads_the_private_key(tmp_path: Path) -> None:
    private, _ = keypair.generate(tmp_path / "alice")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600


def test_a_passphrase_encrypts_the_private_key(tmp_path: Path, unseal: Callable[..., bytes]) -> None:
    private, public = keypair.generate(str(tmp_path / "alice"), b"secret")
    with pytest.raises(PassphraseNeeded):
        load_identity(private)
    key_file = envelope.seal(b"x", [load_recipient(public)])
    assert unseal(key_file, load_identity(private, b"secret")) == b"x"


def test_a_name_with_dots_keeps_them(tmp_path: Path) -> None:
    private, public = keypair.generate(tmp_path / "alice.2024")
    assert {private.name, public.name} == {"alice.2024.pem", "alice.2024.pub.pem"}


@pytest.mark.parametrize("existing", ["alice.pem", "alice.pub.pem"])
@pytest.mark.parametrize("dangling", [False, True], ids=["file", "dangling link"])
def test_nothing_is_overwritten_or_left(tmp_path: Path, existing: str, dangling: bool) -> None:
    path = tmp_path / existing
    if dangling:
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_text("mine")
    with pytest.raises(KeyExists, match="choose another name"):
        keypair.generate(tmp_path / "alice")
    assert list(tmp_path.iterdir()) == [path]
    assert dangling or path.read_text() == "mine"


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "open", full, raising=False)
    with pytest.raises(OSError, match="No space"):
        keypair.generate(tmp_path / "alice")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        keypair.generate(tmp_path / "none" / "alice")
