#!/bin/sh
# Sets veilkey up in .venv with the test extra and runs the whole suite, its files spread over two processes.
extras="[test]" && . "$(dirname "$0")/environment.sh"
exec .venv/bin/python -m pytest -n 2 --dist loadfile "$@"
