"""FaceNet from its frozen TensorFlow graph, run by OpenCV. This judges; the port in facenet_port.py is attacked."""

import cv2
import numpy as np

from veilkey.recognizers import store
from veilkey.recognizers.base import Recognizer, by_batches
from veilkey.recognizers.templates import upright


class FaceNet(Recognizer):
    """Inception-ResNet v1 trained on CASIA-WebFace (D. Sandberg's model 20180408-102900), embeddings of length 1.

    Method: Schroff, Kalenichenko, Philbin, "FaceNet: a unified embedding for face recognition and clustering", 2015.
    The paper's threshold, 1.242 for the squared distance, is of another network: with this one 59 strangers in a
    thousand stay under it. Nobody documents one for this file, so it is measured: the distance that one pair of
    strangers in a thousand stays under (221,974 pairs of clean photos of 200 people, ../shared/data/faces/train).
    """

    name = "facenet"
    dimension = 512
    input_size = 160
    metric = "euclidean"
    threshold = 0.897

    def __init__(self) -> None:
        self._network = cv2.dnn.readNetFromTensorflow(str(store.model_file(self.name)))

    def transform(self, landmarks: np.ndarray) -> np.ndarray:
        return upright(landmarks, self.input_size)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        # Two reshapes inside the graph hold a batch of 1.
        return by_batches(self._run, crops, 1)

    def _run(self, crops: np.ndarray) -> np.ndarray:
        self._network.setInput(cv2.dnn.blobFromImages(list(crops), 1 / 128, mean=(127.5, 127.5, 127.5)))
        return self._network.forward()
