"""Exported recognizer ports: embedding and gradient through onnxruntime, without TensorFlow."""

import os
from pathlib import Path

import numpy as np

from mask_template.runtime import session
from veilkey.models import cache_folder

# Raised whenever the port or the exporter changes what the file holds, so that old files in caches are not used.
EXPORT_VERSION = 3


class Gradient:
    """(crop, v) -> (embedding, J^T v) of one recognizer's port, J the Jacobian of its embedding."""

    def __init__(self, path: Path) -> None:
        self._session = session(path)

    def __call__(self, crop: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Embedding (D,) and gradient (S, S, 3) for a crop (S, S, 3) float32 RGB in 0..255 and v (D,); all float32."""
        embedding, gradient = self._session.run(
            None, {"crop": crop[None].astype(np.float32), "v": v[None].astype(np.float32)}
        )
        return embedding[0], gradient[0]


def load_gradient(name: str) -> Gradient:
    """The gradient of recognizer `name`; exported to the user's cache first where it is not there yet (TensorFlow)."""
    path = cache_folder() / f"{name}-gradient-{EXPORT_VERSION}.onnx"
    if not path.is_file():
        _export(name, path)
    return Gradient(path)


def _export(name: str, path: Path) -> None:
    from tqdm import tqdm

    from veilkey.recognizers import port_builder

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tqdm(total=3, desc=f"first use: exporting {name}'s gradient", bar_format="{desc} |{bar}|") as bar:
        from veilkey.export import export_gradient

        bar.update()
        port = port_builder(name)(1)
        bar.update()
        export_gradient(port, path)
        bar.update()
