"""The command that measures how well methods protect."""

import json
import os
from pathlib import Path
from typing import Any

import click

from veilkey.cli.running import reporting

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("faces", type=PATH)
@click.option("--protocol", type=PATH, help="JSON file that names gallery and probes; else each folder is halved.")
@click.option("--method", "methods", multiple=True, metavar="NAME", help="Only this method; else all.")
@click.option("--against", "judges", multiple=True, metavar="NAME", help="Only this recognizer judges; else all.")
@click.option("--target", metavar="NAMES|all", help="Recognizers to attack, commas between; else as in protect.")
@click.option(
    "--transform", "transforms", multiple=True, metavar="NAME", help="Photos go through it; else jpeg75, half."
)
@click.option("--detector", "detectors", multiple=True, metavar="NAME", help="Is the face found; else all but mtcnn.")
@click.option("--ssim", "budgets", multiple=True, type=click.FloatRange(0, 1, max_open=True), help="Budget of methods.")
@click.option("--leave-one-out", is_flag=True, help="Also attack all targets but one, for each of them.")
@click.option("--superpose", is_flag=True, help="Also attack only the first 1, 2, ... targets, with veilkey.")
@click.option("--both-ways", is_flag=True, help="Protect galleries in every row; else only for veilkey.")
@click.option(
    "--attack", "attacks", multiple=True, metavar="NAME", help="Try it on the methods named, else on veilkey; or all."
)
@click.option("--attack-photos", type=PATH, metavar="FOLDER", help="Other people's; else the folder train by FACES.")
@click.option("--jobs", type=click.IntRange(1), default=lambda: os.cpu_count() or 1, help="Processes; else one a core.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--tables", is_flag=True, help="Also print tables.")
@click.option(
    "-o", "--output", type=PATH, required=True, metavar="REPORT", help="Folder for report.json and report.html."
)
def evaluate(
    faces: Path,
    protocol: Path | None,
    target: str | None,
    output: Path,
    tables: bool,
    **given: Any,
) -> None:
    """Measure how well methods protect the people in FACES, a folder that holds a folder of photos a person.

    What was computed is kept in the cache folder: a run that was stopped goes on where it was.
    """
    from veilkey import recognizers
    from veilkey.evaluation.page import render
    from veilkey.evaluation.run import Request, evaluate
    from veilkey.evaluation.tables import text
    from veilkey.files import write_new

    with reporting():
        # What was not given has its default in Request.
        given = {name: value for name, value in given.items() if value != ()}
        attacked = recognizers.targets(target) if target else ()
        report = evaluate(Request(faces, protocol, target=attacked, **given))
        output.mkdir(parents=True, exist_ok=True)
        files = {
            output / "report.json": json.dumps(report, indent=1, allow_nan=False),
            output / "report.html": render(report),
        }
        write_new([(path, content.encode()) for path, content in files.items()], force=True)
        if tables:
            click.echo(text(report))
        for each in report["left_out"]:
            click.echo(f"veilkey: left out: {each['what']}: {each['why']}", err=True)
        names = ", ".join(map(str, files))
        click.echo(f"{names}: {len(report['rows'])} rows, {len(report['left_out'])} things left out")
