"""Face recognizers: the originals judge, their differentiable ports are attacked.

To add one: a subclass of `Recognizer` in a file of its own, its model file in `store.SOURCES`, a Keras port beside it
where it is to be attacked, and a line in each table here.
"""

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from veilkey.errors import MissingModel, UsageError
from veilkey.recognizers.base import Recognizer

__all__ = ["Recognizer", "get", "installed", "kind", "names", "port_builder", "targets"]

_RECOGNIZERS = {
    "dlib": "veilkey.recognizers.dlib_resnet:DlibResNet",
    "facenet": "veilkey.recognizers.facenet:FaceNet",
    "mobilefacenet": "veilkey.recognizers.mobilefacenet:MobileFaceNet",
    "sface": "veilkey.recognizers.sface:SFace",
}
_PORTS = {
    "dlib": "veilkey.recognizers.dlib_port:build",
    "facenet": "veilkey.recognizers.facenet_port:build",
    "mobilefacenet": "veilkey.recognizers.mobilefacenet_port:build",
    "sface": "veilkey.recognizers.sface_port:build",
}
_OWN_FILE = "onnx:"


def names() -> tuple[str, ...]:
    """Names of all recognizers that veilkey knows, installed or not, in the order of their template index."""
    return tuple(_RECOGNIZERS)


def kind(name: str) -> type[Recognizer]:
    """The class of a recognizer, without loading its model.

    Raises:
        MissingModel: no recognizer has this name.
    """
    return _resolve(_RECOGNIZERS, name)


def installed() -> tuple[str, ...]:
    """Names of the recognizers whose model files are here."""
    return tuple(name for name in names() if kind(name).is_available())


def targets(wanted: str) -> tuple[str, ...]:
    """Recognizers to attack: names with commas between them, or "all" for whatever is installed and has a port.

    Raises:
        UsageError: no recognizer that can be attacked has such a name.
    """
    if wanted == "all":
        return tuple(name for name in installed() if name in _PORTS)
    chosen = tuple(dict.fromkeys(name.strip() for name in wanted.split(",")))
    unknown = [name for name in chosen if name not in _PORTS]
    if unknown:
        raise UsageError(f"{unknown[0]!r} cannot be attacked; there are {', '.join(_PORTS)}, and all")
    return chosen


def get(name: str) -> Recognizer:
    """Load a recognizer, or with "onnx:PATH" a model of the user's own (see onnx_file.py).

    Raises:
        MissingModel: no recognizer has this name, or its model file is not installed.
        BadModel: the user's model or the file that describes it cannot be used.
    """
    if name.startswith(_OWN_FILE):
        from veilkey.recognizers.onnx_file import OnnxFile

        return OnnxFile(Path(name.removeprefix(_OWN_FILE)))
    return kind(name)()


def port_builder(name: str) -> Callable:
    """The function that builds the recognizer's Keras port for a batch size; imports Keras."""
    return _resolve(_PORTS, name)


def _resolve(table: dict[str, str], name: str) -> Any:
    if name not in table:
        raise MissingModel(f"no recognizer is called {name!r}; there are {', '.join(table)}")
    module, attribute = table[name].split(":")
    return getattr(importlib.import_module(module), attribute)
