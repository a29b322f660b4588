# Sourced by demo.sh and test.sh: finds a Python from 3.11 to 3.13 and makes .venv with veilkey and $extras in it.
set -eu
cd "$(dirname "$0")/.."

python=""
for candidate in "${PYTHON:-}" python3.12 python3.11 python3.13 python3 python; do
    [ -n "$candidate" ] || continue
    if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "veilkey needs Python 3.11, 3.12 or 3.13; this machine has $(python3 --version 2>&1 || echo none)." >&2
    echo "Install one of them, or say where it is: PYTHON=/path/to/python3.12 sh $0" >&2
    exit 1
fi

if ! .venv/bin/python -c '' 2>/dev/null; then
    rm -rf .venv
    "$python" -m venv .venv || {
        echo "could not make a virtual environment: on Debian and Ubuntu, apt-get install python3-venv" >&2
        exit 1
    }
fi
echo "installing veilkey into .venv (the first time takes some minutes: TensorFlow is large)"
.venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".$extras"
export TF_CPP_MIN_LOG_LEVEL=3
