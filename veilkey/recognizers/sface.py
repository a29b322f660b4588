"""SFace from its ONNX file, run by OpenCV. This judges; the port in sface_port.py is attacked."""

import cv2
import numpy as np

from veilkey.recognizers import store
from veilkey.recognizers.base import Recognizer, by_batches, normalized
from veilkey.recognizers.templates import arcface

# The file also lists its weights as inputs, so that the one input has to be called by its name.
INPUT = "data"


class SFace(Recognizer):
    """Zhong et al., "SFace: sigmoid-constrained hypersphere loss for robust face recognition", 2021.

    Threshold: what OpenCV's documentation of its FaceRecognizerSF gives, cosine 0.363.
    """

    name = "sface"
    dimension = 128
    input_size = 112
    metric = "cosine"
    threshold = 1 - 0.363

    def __init__(self) -> None:
        self._network = cv2.dnn.readNetFromONNX(str(store.model_file(self.name)))

    def transform(self, landmarks: np.ndarray) -> np.ndarray:
        return arcface(landmarks, self.input_size)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        return normalized(by_batches(self._run, crops, 1))

    def _run(self, crops: np.ndarray) -> np.ndarray:
        self._network.setInput(cv2.dnn.blobFromImages(list(crops)), INPUT)
        return self._network.forward()
