"""dlib's ResNet-29, as a black box through dlib itself. This is what judges; the port in dlib_port.py is attacked."""

from pathlib import Path

import numpy as np

from veilkey.recognizers import store
from veilkey.recognizers.base import Recognizer
from veilkey.recognizers.gradient import Gradient

PADDING = 0.25


def weights_file() -> Path:
    """The network's weights, as the package face_recognition_models carries them."""
    return store.model_file("dlib")


class DlibResNet(Recognizer):
    """King, "High quality face recognition with deep metric learning", 2017. Its threshold is the author's."""

    name = "dlib"
    dimension = 128
    input_size = 150
    metric = "euclidean"
    threshold = 0.6

    def __init__(self) -> None:
        import dlib

        self._dlib = dlib
        self._network = dlib.face_recognition_model_v1(str(weights_file()))

    def transform(self, landmarks: np.ndarray) -> np.ndarray:
        chip = self._dlib.get_face_chip_details(self._shape(landmarks), self.input_size, PADDING)
        # dlib maps the corners of the turned rectangle to the centres of the chip's corner pixels.
        left, top, right, bottom = chip.rect.left(), chip.rect.top(), chip.rect.right(), chip.rect.bottom()
        scale = (self.input_size - 1) / (right - left)
        cos, sin = np.cos(chip.angle), np.sin(chip.angle)
        linear = scale * np.array([[cos, sin], [-sin, cos]])
        centre = np.array([(left + right) / 2, (top + bottom) / 2])
        return np.column_stack([linear, (self.input_size - 1) / 2 - linear @ centre])

    def align(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """The chip that dlib itself cuts, which is not quite a plain warp by `transform`."""
        return self._dlib.get_face_chip(image, self._shape(landmarks), self.input_size, PADDING)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        chips = [np.ascontiguousarray(crop) for crop in crops]
        return np.array(self._network.compute_face_descriptor(chips), dtype=np.float32)

    def _shape(self, landmarks: np.ndarray) -> object:
        points = np.rint(landmarks).astype(int)
        (x0, y0), (x1, y1) = points.min(0), points.max(0)
        box = self._dlib.rectangle(int(x0), int(y0), int(x1), int(y1))
        return self._dlib.full_object_detection(box, [self._dlib.point(int(x), int(y)) for x, y in points])


class DlibByPort(DlibResNet):
    """The same recognizer with its network run as the exported port: within 1e-3 of dlib (tested), and faster.

    `protect` asks it about every face; `evaluate` asks dlib itself.
    """

    def __init__(self, port: Gradient) -> None:
        import dlib

        self._dlib = dlib
        self._port = port

    def embed(self, crops: np.ndarray) -> np.ndarray:
        return np.stack([self._port.forward(crop) for crop in crops])
