"""The command line. What it does is in the other modules; here are names, prompts, messages and exit codes."""

import click

from veilkey._version import __version__
from veilkey.cli import ask, evaluate, photos, recognizers


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="veilkey")
def main() -> None:
    """Hide faces in photos from recognizers; give the exact original back to whoever holds the key."""


for command in (
    photos.protect,
    photos.restore,
    photos.inspect,
    photos.keygen,
    photos.study_key,
    photos.faces,
    photos.demo,
    ask.ask,
    evaluate.evaluate,
    recognizers.recognizers,
):
    main.add_command(command)
