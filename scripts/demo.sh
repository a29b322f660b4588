#!/bin/sh
# Sets veilkey up in .venv and runs `veilkey demo`: protects a photo, restores it, shows that both worked.
extras="" && . "$(dirname "$0")/environment.sh"
exec .venv/bin/veilkey demo "$@"
