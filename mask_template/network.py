"""The exported Mask Template Network."""

import json
from functools import cache
from pathlib import Path

import numpy as np

from mask_template.runtime import session

WEIGHTS = Path(__file__).parent / "weights"


def is_trained(recognizer: str) -> bool:
    """Whether a network for `recognizer` ships."""
    return (WEIGHTS / f"{recognizer}.onnx").is_file()


def predict(crop: np.ndarray, recognizer: str) -> np.ndarray:
    """Where `recognizer` looks in a canonical crop (256, 256, 3) uint8 RGB: distribution (4096,) float32, sum 1."""
    return session(WEIGHTS / f"{recognizer}.onnx").run(None, {"input0": crop[None].astype(np.float32)})[0][0]


@cache
def load_tau(recognizer: str) -> dict[str, float]:
    """The weight of each feature group for `recognizer`, as fitted when the network was trained."""
    return json.loads((WEIGHTS / f"{recognizer}.tau.json").read_text())
