"""The exported Mask Template Network."""

import json
from functools import cache
from pathlib import Path

import numpy as np

from mask_template.runtime import session

WEIGHTS = Path(__file__).parent / "weights"
HEADS = ("dlib", "facenet", "mobilefacenet", "sface")
"""Recognizers that the network has a head for, in the order of its output."""


def predict(crop: np.ndarray) -> dict[str, np.ndarray]:
    """Where each recognizer of HEADS looks in a canonical crop (256, 256, 3) uint8 RGB.

    A distribution (4096,) float32 of sum 1 over the blocks for each, all from one run of the network.
    """
    looks = session(WEIGHTS / "network.onnx").run(None, {"input0": crop[None].astype(np.float32)})[0][0]
    return dict(zip(HEADS, looks, strict=True))


@cache
def load_tau(recognizer: str) -> dict[str, float]:
    """The weight of each feature group for a recognizer of HEADS, as fitted when the network was trained."""
    return json.loads((WEIGHTS / "tau.json").read_text())[recognizer]
