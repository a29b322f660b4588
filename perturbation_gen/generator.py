"""The exported Perturbation Generation Network."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from mask_template.network import HEADS
from mask_template.runtime import session

WEIGHTS = Path(__file__).parent / "weights"


def generate(
    crop: np.ndarray, noise: np.ndarray, saliency: np.ndarray, gate: np.ndarray, attacked: Collection[str]
) -> np.ndarray:
    """The residual (128, 128, 3) float32 in the canonical crop; arguments as in `model.build_generator`, without N.

    attacked: names of the recognizers that the looks are of.
    """
    inputs = (crop, noise, saliency, gate, asked(attacked))
    feed = {f"input{i}": x[None].astype(np.float32) for i, x in enumerate(inputs)}
    return session(WEIGHTS / "generator.onnx").run(None, feed)[0][0]


def asked(attacked: Collection[str]) -> np.ndarray:
    """1 for each recognizer of HEADS that is attacked, 0 for the others, (R,) float32."""
    return np.array([name in attacked for name in HEADS], np.float32)
