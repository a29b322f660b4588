"""The command that asks a commercial recognizer about two photos."""

from pathlib import Path

import click

from veilkey import commercial
from veilkey.cli.running import reporting

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("service", type=click.Choice(commercial.names()))
@click.argument("photo", type=PATH)
@click.argument("other", type=PATH)
@click.option("--yes-send-photos", is_flag=True, help="Agree that both photos are sent to the service.")
@click.option("--max-calls", type=click.IntRange(1), metavar="N", help="Make no more than N calls, retries included.")
def ask(service: str, photo: Path, other: Path, yes_send_photos: bool, max_calls: int | None) -> None:
    """Ask a commercial recognizer whether two photos show one person. Says what it costs first."""
    from veilkey.carriers import Picture, encode_png, read_photo

    with reporting():
        quote = commercial.quote([service], 1)
        click.echo(quote, err=True)
        quote.permit(yes_send_photos, max_calls)
        judge = commercial.get(service, commercial.Meter(max_calls))
        # Pixels only: what a camera wrote beside them, place and preview picture included, stays here.
        first, second = (encode_png(Picture(read_photo(path).rgb(), "RGB")) for path in (photo, other))
        found = judge.compare(first, second)
        if found.similarity is None:
            click.echo(f"{service}: finds no face in one of the photos")
        else:
            verdict = "one person" if found.matches else "not one person"
            click.echo(f"{service}: {verdict}, similarity {found.similarity:.3f}, threshold {found.threshold:.3f}")
