"""Who a key is sealed for or opened by: files, passphrase files, and prompts where there is a terminal."""

import re
import sys
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click

from keys.errors import BadIdentity, PassphraseNeeded
from veilkey.errors import UsageError
from veilkey.files import read_limited

_FACE = re.compile(r"(?:(\d{1,3}|all):)?(.*)", re.DOTALL)


def recipients_of(named: Sequence[str], passphrase_file: str | None) -> list[Any]:
    """Who may restore what: the public keys of `named` (NAME.pub.pem, all:NAME.pub.pem or, for one face,
    N:NAME.pub.pem), and for the whole photo the passphrase in a file, or one that a terminal is asked for."""
    from keys.recipients import PassphraseRecipient, load_recipient
    from veilkey.issuing import Issued

    # One object a file: who is named for several faces is then seen to be the same.
    load = cache(load_recipient)
    found: list[Any] = []
    for text in named:
        face, path = _FACE.fullmatch(text).groups()  # type: ignore[union-attr]  # matches any text
        found.append(Issued(load(Path(path)), None if face in (None, "all") else int(face)))
    if passphrase_file is not None:
        found.append(Issued(PassphraseRecipient(read_passphrase(passphrase_file))))
    if not found:
        if not sys.stdin.isatty():
            raise UsageError("nobody could restore: pass -r NAME.pub.pem or --passphrase-file F")
        typed = click.prompt("Passphrase for the key", hide_input=True, confirmation_prompt=True, err=True)
        found.append(Issued(PassphraseRecipient(_normal(typed))))
    return found


def identity_of(file: Path | None, passphrase_file: str | None) -> Any:
    """The identity to open with; an encrypted NAME.pem takes --passphrase-file as its own passphrase."""
    from keys.recipients import PassphraseIdentity, load_identity

    if file is None:
        if passphrase_file is not None:
            return PassphraseIdentity(read_passphrase(passphrase_file))
        if not sys.stdin.isatty():
            raise UsageError("pass -i NAME.pem or --passphrase-file F")
        return PassphraseIdentity(_normal(click.prompt("Passphrase of the key", hide_input=True, err=True)))
    try:
        return load_identity(file)
    except PassphraseNeeded:
        if passphrase_file is not None:
            return load_identity(file, read_passphrase(passphrase_file))
        if not sys.stdin.isatty():
            raise
        return load_identity(file, _normal(click.prompt(f"Passphrase of {file}", hide_input=True, err=True)))


def read_passphrase(source: str) -> bytes:
    """First line of a file or of standard input, in the Unicode form that every keyboard's text is brought to."""
    try:
        data = sys.stdin.buffer.readline(4097) if source == "-" else read_limited(Path(source), 4096)
        line = data.split(b"\n")[0].rstrip(b"\r").decode()
    except UnicodeDecodeError:
        raise BadIdentity(f"{source}: the passphrase is not UTF-8 text") from None
    if not line or len(line) > 1024:
        raise BadIdentity(f"{source}: the first line must be a passphrase of 1 to 1024 characters")
    return _normal(line)


def _normal(passphrase: str) -> bytes:
    return unicodedata.normalize("NFC", passphrase).encode()
