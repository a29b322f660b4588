"""`python -m veilkey.cli`, where the command itself is not on the path."""

from veilkey.cli import main

main(prog_name="veilkey")
