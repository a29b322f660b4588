"""The command line. What it does is in the other modules; here are names, prompts, messages and exit codes."""

import json
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from keys.errors import BadIdentity, KeyFileError, PassphraseNeeded
from veilkey._version import __version__
from veilkey.errors import UsageError, VeilkeyError, exit_code

PATH = click.Path(path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="veilkey")
def main() -> None:
    """Hide faces in photos from recognizers; give the exact original back to whoever holds the key."""


@main.command()
@click.argument("photos", nargs=-1, required=True, type=PATH, metavar="PHOTO...")
@click.option("-o", "--output", type=PATH, help="Protected file, or the folder for several photos.")
@click.option("-k", "--key", "key_output", type=PATH, help="Key file, or the folder for several keys.")
@click.option("-r", "--recipient", "recipients", multiple=True, type=PATH, help="NAME.pub.pem of who may restore.")
@click.option("--passphrase-file", metavar="F|-", help="File (or - for standard input) with a passphrase.")
@click.option("--strength", type=click.Choice(["light", "standard", "strong"]), default="standard", show_default=True)
@click.option("--refine", type=click.IntRange(0, 1000), help="Gradient steps a face; 0 for the generator alone.")
@click.option("--noise", type=click.Choice(["gaussian", "feature-pixels"]), help="What the generator starts from.")
@click.option("--face", type=click.IntRange(1), help="Protect only this face, counted from 1 by size.")
@click.option("--min-size", type=click.IntRange(0), default=0, help="Leave faces under so many pixels as they are.")
@click.option("--allow-no-face", is_flag=True, help="Let a photo without a face pass, unchanged.")
@click.option("--show", is_flag=True, help="Also write a picture of the template over the protected face.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a photo on standard output.")
def protect(
    photos: tuple[Path, ...],
    output: Path | None,
    key_output: Path | None,
    recipients: tuple[Path, ...],
    passphrase_file: str | None,
    show: bool,
    force: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Change the faces in photos so that recognizers no longer match them, and issue a key for each photo."""
    from veilkey.commands import Names, protect_photo

    with _reporting():
        sealed_for = _recipients(recipients, passphrase_file)
        names = Names.protecting(photos, output, key_output, show)
        names.check(force)
        given = {name: value for name, value in settings.items() if value is not None}

        def one(photo: Path) -> tuple[dict[str, Any], str]:
            facts = protect_photo(photo, names[photo], sealed_for, given, force)
            return facts, _protected_line(facts)

        _each(photos, one, as_json, "protecting")


@main.command()
@click.argument("protected", nargs=-1, required=True, type=PATH, metavar="PROTECTED...")
@click.option("-k", "--key", "key_input", type=PATH, help="Key file, or the folder of several; else PROTECTED.veilkey.")
@click.option("-i", "--identity", type=PATH, help="NAME.pem that the key was issued to.")
@click.option("--passphrase-file", metavar="F|-", help="File (or - for standard input) with the passphrase.")
@click.option("-o", "--output", type=PATH, help="Restored file, or the folder for several.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a photo on standard output.")
def restore(
    protected: tuple[Path, ...],
    key_input: Path | None,
    identity: Path | None,
    passphrase_file: str | None,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Give the originals back, to the last bit."""
    from veilkey.commands import Names, restore_photo

    with _reporting():
        opener = _identity(identity, passphrase_file)
        names = Names.restoring(protected, output, key_input)
        names.check(force)

        def one(photo: Path) -> tuple[dict[str, Any], str]:
            facts = restore_photo(photo, names[photo], opener, force)
            return facts, f"{photo} -> {facts['restored']}: identical to the original"

        _each(protected, one, as_json, "restoring")


@main.command()
@click.argument("key_file", type=PATH)
@click.option("-i", "--identity", type=PATH, help="NAME.pem that the key was issued to.")
@click.option("--passphrase-file", metavar="F|-", help="File (or - for standard input) with the passphrase.")
def inspect(key_file: Path, identity: Path | None, passphrase_file: str | None) -> None:
    """Say what a key file tells; with an identity or passphrase everything but the secret."""
    from veilkey.commands import inspect_key

    with _reporting():
        opener = _identity(identity, passphrase_file) if identity or passphrase_file else None
        click.echo(json.dumps(inspect_key(key_file, opener), indent=2))


@main.command()
@click.argument("name", type=PATH)
@click.option("--passphrase-file", metavar="F|-", help="Encrypt the private key with this passphrase.")
def keygen(name: Path, passphrase_file: str | None) -> None:
    """Make a key pair: NAME.pem to keep, NAME.pub.pem to give to whoever protects photos for you."""
    from keys.keypair import generate

    with _reporting():
        passphrase = _read_passphrase(passphrase_file) if passphrase_file else None
        private, public = generate(name, passphrase)
        click.echo(f"{private}: keep it secret, and a copy of it safe\n{public}: give it to whoever protects for you")


@main.command()
@click.argument("photo", required=False, type=PATH)
@click.option(
    "-o", "--output", type=PATH, default=Path("veilkey-demo.png"), show_default=True, help="Picture to write."
)
def demo(photo: Path | None, output: Path) -> None:
    """Protect a photo (or a public-domain portrait), restore it, and show that both worked."""
    from veilkey.demo import run

    with _reporting():
        run(photo, output, click.echo)


@contextmanager
def _reporting() -> Iterator[None]:
    """Turn errors into one line and an exit code."""
    try:
        yield
    except (VeilkeyError, KeyFileError, OSError) as error:
        raise SystemExit(_complain(error)) from None


def _complain(error: Exception, photo: Path | None = None) -> int:
    text = (
        f"{error.filename or photo}: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
    )
    if photo is not None and str(photo) not in text and photo.name not in text:
        text = f"{photo}: {text}"
    click.echo(f"veilkey: {' '.join(text.split())}", err=True)
    return exit_code(error)


def _each(photos: Sequence[Path], one: Callable[[Path], tuple[dict[str, Any], str]], as_json: bool, verb: str) -> None:
    """Do `one` photo after the other, go on after a bad one, and exit with the worst code."""
    from tqdm import tqdm

    worst = 0
    bar = tqdm(photos, verb, unit="photo", disable=len(photos) == 1 or not sys.stderr.isatty(), leave=False)
    for photo in bar:
        start = time.perf_counter()
        try:
            facts, line = one(photo)
        except (VeilkeyError, KeyFileError, OSError, MemoryError) as error:
            with bar.external_write_mode():
                worst = max(worst, _complain(error, photo))
            continue
        facts["seconds"] = round(time.perf_counter() - start, 3)
        with bar.external_write_mode():
            click.echo(json.dumps(facts) if as_json else line)
    if worst:
        raise SystemExit(worst)


def _protected_line(facts: dict[str, Any]) -> str:
    lines = [f"{facts['photo']} -> {facts['protected']}, key {facts['key']} ({facts['key_bytes']} bytes)"]
    for number, face in enumerate(facts["faces"], 1):
        for name, seen in face["recognizers"].items():
            verdict = "STILL MATCHES" if seen["matches"] else "no match"
            lines.append(
                f"  face {number}: {name} {verdict}, distance {seen['after']:.2f} (threshold {seen['threshold']:.2f}), "
                f"similarity to the eye {face['ssim']:.3f}"
            )
            if seen["matches"]:
                warning = (
                    f"veilkey: warning: {facts['photo']}: {name} still matches face {number}: try --strength strong"
                )
                click.echo(warning, err=True)
    return "\n".join(lines)


def _recipients(files: Sequence[Path], passphrase_file: str | None) -> list[Any]:
    from keys.recipients import PassphraseRecipient, load_recipient

    found: list[Any] = [load_recipient(path) for path in files]
    if passphrase_file is not None:
        found.append(PassphraseRecipient(_read_passphrase(passphrase_file)))
    if not found:
        if not sys.stdin.isatty():
            raise UsageError("nobody could restore: pass -r NAME.pub.pem or --passphrase-file F")
        typed = click.prompt("Passphrase for the key", hide_input=True, confirmation_prompt=True, err=True)
        found.append(PassphraseRecipient(_normal(typed)))
    return found


def _identity(file: Path | None, passphrase_file: str | None) -> Any:
    """The identity to open with; an encrypted NAME.pem takes --passphrase-file as its own passphrase."""
    from keys.recipients import PassphraseIdentity, load_identity

    if file is None:
        if passphrase_file is not None:
            return PassphraseIdentity(_read_passphrase(passphrase_file))
        if not sys.stdin.isatty():
            raise UsageError("pass -i NAME.pem or --passphrase-file F")
        return PassphraseIdentity(_normal(click.prompt("Passphrase of the key", hide_input=True, err=True)))
    try:
        return load_identity(file)
    except PassphraseNeeded:
        if passphrase_file is not None:
            return load_identity(file, _read_passphrase(passphrase_file))
        if not sys.stdin.isatty():
            raise
        return load_identity(file, _normal(click.prompt(f"Passphrase of {file}", hide_input=True, err=True)))


def _read_passphrase(source: str) -> bytes:
    """First line of a file or of standard input, in the Unicode form that every keyboard's text is brought to."""
    try:
        data = sys.stdin.buffer.readline(4097) if source == "-" else Path(source).read_bytes()[:4097]
        line = data.split(b"\n")[0].rstrip(b"\r").decode()
    except UnicodeDecodeError:
        raise BadIdentity(f"{source}: the passphrase is not UTF-8 text") from None
    if not line or len(line) > 1024:
        raise BadIdentity(f"{source}: the first line must be a passphrase of 1 to 1024 characters")
    return _normal(line)


def _normal(passphrase: str) -> bytes:
    return unicodedata.normalize("NFC", passphrase).encode()


if __name__ == "__main__":
    main()
