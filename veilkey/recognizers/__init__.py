"""Face recognizers: the originals judge, their differentiable ports are attacked.

To add one: a subclass of `Recognizer` in a file of its own, a Keras port beside it, and a line in each table here.
"""

import importlib
from collections.abc import Callable
from typing import Any

from veilkey.errors import MissingModel
from veilkey.recognizers.base import Recognizer

__all__ = ["Recognizer", "get", "names", "port_builder"]

_RECOGNIZERS = {"dlib": "veilkey.recognizers.dlib_resnet:DlibResNet"}
_PORTS = {"dlib": "veilkey.recognizers.dlib_port:build"}


def names() -> tuple[str, ...]:
    """Names of all recognizers, in the order of their template index."""
    return tuple(_RECOGNIZERS)


def get(name: str) -> Recognizer:
    """Load a recognizer.

    Raises:
        MissingModel: it needs a package or a file that is not here.
    """
    kind = _resolve(_RECOGNIZERS, name)
    if not kind.is_available():
        raise MissingModel(f"the recognizer {name} is not installed: {kind.install}")
    return kind()


def port_builder(name: str) -> Callable:
    """The function that builds the recognizer's Keras port for a batch size; imports Keras."""
    return _resolve(_PORTS, name)


def _resolve(table: dict[str, str], name: str) -> Any:
    if name not in table:
        raise MissingModel(f"no recognizer is called {name!r}; there are {', '.join(table)}")
    module, attribute = table[name].split(":")
    return getattr(importlib.import_module(module), attribute)
