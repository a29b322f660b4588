"""MobileFaceNet from its .tflite file, run by LiteRT. This judges; the port in mobilefacenet_port.py is attacked."""

import numpy as np

from veilkey.quiet import quiet
from veilkey.recognizers import store
from veilkey.recognizers.base import Recognizer, by_batches, normalized
from veilkey.recognizers.templates import arcface


class MobileFaceNet(Recognizer):
    """Chen, Liu, Gao, Han, "MobileFaceNets: efficient CNNs for accurate real-time face verification", 2018.

    Trained with ArcFace's loss. Threshold: the package that carries it documents 1.1 for the Euclidean distance of
    unit embeddings, whose cosine distance is half the square.
    """

    name = "mobilefacenet"
    dimension = 192
    input_size = 112
    metric = "cosine"
    threshold = 0.605

    def __init__(self) -> None:
        from ai_edge_litert.interpreter import Interpreter

        # LiteRT says that it found its own fast kernels.
        with quiet():
            # One face is too little work to share among threads.
            self._network = Interpreter(str(store.model_file(self.name)), num_threads=1)
            self._network.allocate_tensors()
        (self._input,), (self._output,) = self._network.get_input_details(), self._network.get_output_details()

    def transform(self, landmarks: np.ndarray) -> np.ndarray:
        return arcface(landmarks, self.input_size)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        return normalized(by_batches(self._run, crops, int(self._input["shape"][0])))

    def _run(self, crops: np.ndarray) -> np.ndarray:
        self._network.set_tensor(self._input["index"], (crops.astype(np.float32) - 127.5) / 128)
        self._network.invoke()
        return self._network.get_tensor(self._output["index"])
