"""The exported Perturbation Generation Network."""

from pathlib import Path

import numpy as np

from mask_template.runtime import session

WEIGHTS = Path(__file__).parent / "weights"


def is_trained(recognizer: str) -> bool:
    """Whether a generator for `recognizer` ships."""
    return (WEIGHTS / f"{recognizer}.onnx").is_file()


def generate(
    crop: np.ndarray,
    noise: np.ndarray,
    saliency: np.ndarray,
    gate: np.ndarray,
    own: np.ndarray,
    target: np.ndarray,
    recognizer: str,
) -> np.ndarray:
    """The residual (128, 128, 3) float32 in the canonical crop; arguments as in `model.build_generator`, without N."""
    inputs = (crop, noise, saliency, gate, own, target)
    feed = {f"input{i}": x[None].astype(np.float32) for i, x in enumerate(inputs)}
    return session(WEIGHTS / f"{recognizer}.onnx").run(None, feed)[0][0]
