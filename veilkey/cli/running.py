"""What all commands share: errors as one line and an exit code, and one photo after the other."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import click

from keys.errors import KeyFileError
from veilkey.errors import VeilkeyError, exit_code


@contextmanager
def reporting() -> Iterator[None]:
    """Turn errors into one line and an exit code."""
    try:
        yield
    except (VeilkeyError, KeyFileError, OSError) as error:
        raise SystemExit(_complain(error)) from None


def plain(name: object) -> str:
    """A file name as one line shows it, whatever is in it."""
    return "".join(one if one.isprintable() else "?" for one in str(name))


def _complain(error: Exception, photo: Path | None = None) -> int:
    text = (
        f"{error.filename or photo}: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
    )
    if photo is not None and str(photo) not in text and photo.name not in text:
        text = f"{photo}: {text}"
    click.echo(f"veilkey: {plain(' '.join(text.split()))}", err=True)
    return exit_code(error)


def each(photos: Sequence[Path], one: Callable[[Path], tuple[dict[str, Any], str]], as_json: bool, verb: str) -> None:
    """Do `one` photo after the other, go on after a bad one, and exit with the worst code."""
    worst = 0
    shown, between = _progress(photos, verb)
    for photo in shown:
        start = time.perf_counter()
        try:
            facts, line = one(photo)
        except (VeilkeyError, KeyFileError, OSError, MemoryError) as error:
            with between():
                worst = max(worst, _complain(error, photo))
            continue
        facts["seconds"] = round(time.perf_counter() - start, 3)
        with between():
            click.echo(json.dumps(facts) if as_json else line)
    if worst:
        raise SystemExit(worst)


def _progress(photos: Sequence[Path], verb: str) -> tuple[Iterable[Path], Callable[[], AbstractContextManager[None]]]:
    """The photos, with a bar for whoever waits for several, and what clears it while a line is written."""
    if len(photos) == 1 or not sys.stderr.isatty():
        return photos, nullcontext
    from tqdm import tqdm

    bar = tqdm(photos, verb, unit="photo", leave=False)
    return bar, bar.external_write_mode
