#!/bin/sh
# Sets veilkey up in .venv with the test extra and runs the whole suite.
extras="[test]" && . "$(dirname "$0")/environment.sh"
exec .venv/bin/python -m pytest "$@"
