"""The commands on photos and their keys: protect, restore, inspect, keygen, study-key, faces, demo."""

import json
from pathlib import Path
from typing import Any

import click

from veilkey.cli.passphrase import identity_of, read_passphrase, recipients_of
from veilkey.cli.running import each, plain, reporting

PATH = click.Path(path_type=Path, readable=False)  # what cannot be read is said in one line


def _numbers(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    """Faces' numbers with commas between."""
    if value is None:
        return None
    try:
        numbers = tuple(int(part) for part in value.split(","))
    except ValueError:
        numbers = (0,)
    if min(numbers) < 1:
        raise click.BadParameter(f"{value!r} is no list of numbers from 1, such as 1,3", context, parameter)
    return numbers


@click.command()
@click.argument("photos", nargs=-1, required=True, type=PATH, metavar="PHOTO...")
@click.option("-o", "--output", type=PATH, help="Protected file, or the folder for several photos.")
@click.option("-k", "--key", "key_output", type=PATH, help="Key file, or the folder for several keys.")
@click.option(
    "-r",
    "--recipient",
    "recipients",
    multiple=True,
    metavar="[N:]NAME.pub.pem",
    help="Who may restore the photo, or with N: before it only that face.",
)
@click.option("--passphrase-file", metavar="F|-", help="File (or - for standard input) with a passphrase.")
@click.option("--strength", type=click.Choice(["light", "standard", "strong"]), default="standard", show_default=True)
@click.option(
    "--target",
    envvar="VEILKEY_TARGET",
    metavar="NAMES|all",
    help="Recognizers to attack, commas between, if not all that are installed; the others judge.",
)
@click.option("--refine", type=click.IntRange(0, 1000), help="Gradient steps a face; 0 for the generator alone.")
@click.option("--noise", type=click.Choice(["gaussian", "feature-pixels"]), help="What the generator starts from.")
@click.option(
    "--face", "--faces", "faces", callback=_numbers, metavar="N,N...", help="Only these; see `veilkey faces`."
)
@click.option("--only-matching", type=PATH, metavar="REFERENCE", help="Only faces of the person in this photo.")
@click.option(
    "--except-matching", type=PATH, metavar="REFERENCE", help="All faces but those of the person in this photo."
)
@click.option("--min-size", type=click.IntRange(0), default=0, help="Leave faces under so many pixels as they are.")
@click.option("--allow-no-face", is_flag=True, help="Let a photo without a face pass, unchanged.")
@click.option(
    "--pseudonym", metavar="NAME", help="A study's code for the person: all photos under it match each other."
)
@click.option("--study-key", type=PATH, metavar="NAME.study", help="The study's key; see `veilkey study-key`.")
@click.option("--exact-file", is_flag=True, help="Have the file's bytes come back, even if that makes the key larger.")
@click.option("--keep-times", is_flag=True, help="Give the protected file the photo's time.")
@click.option("--show", is_flag=True, help="Also write a picture of the template over the protected face.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a photo on standard output.")
def protect(
    photos: tuple[Path, ...],
    output: Path | None,
    key_output: Path | None,
    recipients: tuple[str, ...],
    passphrase_file: str | None,
    target: str | None,
    only_matching: Path | None,
    except_matching: Path | None,
    pseudonym: str | None,
    study_key: Path | None,
    exact_file: bool,
    keep_times: bool,
    show: bool,
    force: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Change the faces in photos so that recognizers no longer match them, and issue a key for each photo."""
    from veilkey.commands import Names, protect_photo, references
    from veilkey.pseudonym import read_pseudonym

    with reporting():
        issued = recipients_of(recipients, passphrase_file)
        names = Names.protecting(photos, output, key_output, show)
        names.check(force)
        given = {name: value for name, value in settings.items() if value is not None}
        given |= references(only_matching, except_matching)
        given["pseudonym"] = read_pseudonym(pseudonym, study_key)

        def one(photo: Path) -> tuple[dict[str, Any], str]:
            facts = protect_photo(photo, names[photo], issued, target, given, exact_file, keep_times, force)
            return facts, _protected_line(facts)

        each(photos, one, as_json, "protecting")


@click.command()
@click.argument("protected", nargs=-1, required=True, type=PATH, metavar="PROTECTED...")
@click.option("-k", "--key", "key_input", type=PATH, help="Key file, or the folder of several; else PROTECTED.veilkey.")
@click.option("-i", "--identity", type=PATH, help="NAME.pem that the key was issued to.")
@click.option("--passphrase-file", metavar="F|-", help="File (or - for standard input) with the passphrase.")
@click.option("-o", "--output", type=PATH, help="Restored file, or the folder for several.")
@click.option(
    "--approximate", "approximately", is_flag=True, help="Of a changed copy, write an estimate of the original."
)
@click.option("--keep-times", is_flag=True, help="Give the restored file the original's time.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a photo on standard output.")
def restore(
    protected: tuple[Path, ...],
    key_input: Path | None,
    identity: Path | None,
    passphrase_file: str | None,
    output: Path | None,
    approximately: bool,
    keep_times: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Give the originals back, to the last bit; or of each only the faces that the key is for."""
    from veilkey.commands import Names, restore_photo

    with reporting():
        opener = identity_of(identity, passphrase_file)
        names = Names.restoring(protected, output, key_input, approximately)
        names.check(force)

        def one(photo: Path) -> tuple[dict[str, Any], str]:
            facts = restore_photo(photo, names[photo], opener, approximately, keep_times, force)
            return facts, _restored_line(facts)

        each(protected, one, as_json, "restoring")


@click.command()
@click.argument("key_file", type=PATH)
@click.option("-i", "--identity", type=PATH, help="NAME.pem that the key was issued to.")
@click.option("--passphrase-file", metavar="F|-", help="File (or - for standard input) with the passphrase.")
def inspect(key_file: Path, identity: Path | None, passphrase_file: str | None) -> None:
    """Say what a key file tells; with an identity or passphrase everything but the secret."""
    from veilkey.commands import inspect_key

    with reporting():
        opener = identity_of(identity, passphrase_file) if identity or passphrase_file else None
        click.echo(json.dumps(inspect_key(key_file, opener), indent=2))


@click.command()
@click.argument("name", type=PATH)
@click.option("--passphrase-file", metavar="F|-", help="Encrypt the private key with this passphrase.")
def keygen(name: Path, passphrase_file: str | None) -> None:
    """Make a key pair: NAME.pem to keep, NAME.pub.pem to give to whoever protects photos for you."""
    from keys.keypair import generate

    with reporting():
        passphrase = read_passphrase(passphrase_file) if passphrase_file else None
        private, public = generate(name, passphrase)
        click.echo(f"{private}: keep it secret, and a copy of it safe\n{public}: give it to whoever protects for you")


@click.command()
@click.argument("name", type=PATH)
def study_key(name: Path) -> None:
    """Make NAME.study, the key of a study, for `protect --pseudonym`."""
    from keys.study import generate

    with reporting():
        click.echo(f"{generate(name)}: keep it secret, and a copy of it safe: another key gives other pseudonyms")


@click.command()
@click.argument("photo", required=False, type=PATH)
@click.option(
    "-o", "--output", type=PATH, default=Path("veilkey-demo.png"), show_default=True, help="Picture to write."
)
def demo(photo: Path | None, output: Path) -> None:
    """Protect a photo (or a public-domain portrait), restore it, and show that both worked."""
    from veilkey.demo import run

    with reporting():
        run(photo, output, click.echo)


@click.command()
@click.argument("photo", type=PATH)
@click.option("--show", type=PATH, metavar="OUT.png", help="Write the photo with the faces' boxes and numbers.")
@click.option("--force", is_flag=True, help="Replace the file that is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def faces(photo: Path, show: Path | None, force: bool, as_json: bool) -> None:
    """Number the faces in a photo, as --faces and -r N: count them."""
    from veilkey.commands import find_faces

    with reporting():
        facts = find_faces(photo, show, force)
        lines = [
            f"face {face['number']}: {face['box'][2]}x{face['box'][3]} pixels at {face['box'][0]}, {face['box'][1]}"
            for face in facts["faces"]
        ]
        click.echo(json.dumps(facts) if as_json else "\n".join(lines) or f"{photo}: no face found")


def _restored_line(facts: dict[str, Any]) -> str:
    done = f"{plain(facts['photo'])} -> {plain(facts['restored'])}"
    if facts["approximate"]:
        return (
            f"{done}: APPROXIMATE, not the original: face "
            f"{', '.join(map(str, facts['faces']))} is off by about {facts['estimated_error']:.1f} of 255 grey levels"
        )
    if facts["faces"] != "all":
        some = ", ".join(map(str, facts["faces"]))
        return f"{done}: face {some} as in the original, the rest still protected"
    what = "byte for byte" if facts["identical"] == "file" else "pixel for pixel"
    return f"{done}: identical to the original, {what}"


def _protected_line(facts: dict[str, Any]) -> str:
    photo, protected, key = (plain(facts[name]) for name in ("photo", "protected", "key"))
    lines = [f"{photo} -> {protected}, key {key} ({facts['key_bytes']} bytes)"]
    for face in facts["faces"]:
        number = face["number"]
        for name, seen in face["recognizers"].items():
            verdict = "STILL MATCHES" if seen["matches"] else "no match"
            judge = name if seen["attacked"] else f"{name} (not attacked)"
            distance = f"distance {seen['after']:.2f} (threshold {seen['threshold']:.2f})"
            lines.append(f"  face {number}: {judge} {verdict}, {distance}, similarity to the eye {face['ssim']:.3f}")
            if seen["matches"]:
                advice = "try --strength strong" if seen["attacked"] else f"name {name} in --target, too"
                click.echo(f"veilkey: warning: {photo}: {name} still matches face {number}: {advice}", err=True)
    return "\n".join(lines)
