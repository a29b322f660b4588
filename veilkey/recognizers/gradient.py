"""Exported recognizer ports and purifiers: what they make of a face, and the gradient, without TensorFlow."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from mask_template.runtime import session
from perturbation_gen.purifier import shipped
from veilkey.models import cache_folder
from veilkey.quiet import quiet

# Raised whenever the port or the exporter changes what the file holds, so that old files in caches are not used.
EXPORT_VERSION = 5


class Gradient:
    """(crop, v) -> (embedding, J^T v) of a recognizer's port, J the Jacobian; a purifier's is the cleaned crop."""

    def __init__(self, gradient: Path, forward: Path) -> None:
        self._gradient, self._forward = session(gradient), session(forward)

    def __call__(self, crop: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Embedding (D,) and gradient (S, S, 3) for a crop (S, S, 3) float32 RGB in 0..255 and v (D,); all float32."""
        embedding, gradient = self._gradient.run(
            None, {"crop": crop[None].astype(np.float32), "v": v[None].astype(np.float32)}
        )
        return embedding[0], gradient[0]

    def forward(self, crop: np.ndarray) -> np.ndarray:
        """The embedding alone."""
        return self._forward.run(None, {"crop": crop[None].astype(np.float32)})[0][0]


def load_gradient(name: str) -> Gradient:
    """The gradient of recognizer `name`; exported to the user's cache first where it is not there yet (TensorFlow)."""

    def build() -> Any:
        from veilkey.recognizers import port_builder

        return port_builder(name)(1)

    return _load(name, build)


def load_purifiers() -> list[Gradient]:
    """The purifiers that ship: crop (128, 128, 3) and v -> the same, cleaned, and J^T v; exported as gradients are."""

    def build(weights: Path) -> Any:
        from perturbation_gen.purifier_model import build_purifier
        from veilkey.weights import load_weights

        return load_weights(build_purifier(1), weights)

    return [_load(path.stem, partial(build, path)) for path in shipped()]


def _load(name: str, build: Callable[[], Any]) -> Gradient:
    gradient, forward = _files(name, EXPORT_VERSION)
    if not _are_there(gradient, forward):
        with _alone(name):
            if not _are_there(gradient, forward):
                _export(name, build, gradient, forward)
                for version in range(EXPORT_VERSION):
                    for outdated in _files(name, version):
                        outdated.unlink(missing_ok=True)
    return Gradient(gradient, forward)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Of several processes that are the first at once, one goes on and the others say that they wait for it."""
    cache_folder().mkdir(parents=True, exist_ok=True)
    lock = FileLock(cache_folder() / f"{name}.lock")
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        print(f"first use: waiting for another veilkey that exports {name}'s gradient", file=sys.stderr)
        held = lock.acquire()
    with held:
        yield


def _are_there(*files: Path) -> bool:
    return all(file.is_file() for file in files)


def _files(name: str, version: int) -> tuple[Path, Path]:
    """Where the gradient and the forward part are kept."""
    return cache_folder() / f"{name}-gradient-{version}.onnx", cache_folder() / f"{name}-forward-{version}.onnx"


def _export(name: str, build: Callable[[], Any], gradient: Path, forward: Path) -> None:
    from tqdm import tqdm

    with tqdm(total=3, desc=f"first use: exporting {name}'s gradient", bar_format="{desc} |{bar}|") as bar:
        # TensorFlow introduces itself.
        with quiet():
            from veilkey.export import export_forward, export_gradient
        bar.update()
        with quiet():
            model = build()
        bar.update()
        with quiet():
            export_gradient(model, gradient)
            export_forward(gradient, forward)
        bar.update()
