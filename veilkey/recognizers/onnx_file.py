"""A recognizer of the user's own: an ONNX file, and beside it a TOML file of the same name that describes it.

The network takes one float32 input of crops, NCHW or NHWC, and gives one embedding a crop. For arcface.onnx, in
arcface.toml, every line needed:

    input_size = 112         # side of the network's square input, in pixels
    template = "arcface"     # eyes, nose and mouth on ArcFace's five points; or "upright", a square around the face
    colour = "rgb"           # or "bgr"
    mean = 127.5             # the network is given (pixel - mean) / std, of pixels 0..255;
    std = 127.5              # each one number, or a list of three in the order of `colour`
    distance = "cosine"      # 1 - cosine; or "euclidean", of embeddings as the network gives them
    threshold = 0.6          # two faces with a smaller distance count as one person

`veilkey recognizers fit` writes a third file, arcface.tau.json: on which features the network looks (fitting.py).
"""

import os
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from veilkey.errors import BadModel
from veilkey.files import read_limited
from veilkey.recognizers.base import Recognizer, by_batches, normalized
from veilkey.recognizers.templates import TEMPLATES

# For networks that take any number of crops at once.
BATCH = 8
DESCRIPTION_LIMIT = 1 << 16


class OnnxFile(Recognizer):
    """The network in an ONNX file that has its description beside it.

    Args:
        path: the ONNX file; `name` is "onnx:" and this path.

    Raises:
        BadModel: the file or its description is missing or cannot be used; the message says what to write.
    """

    def __init__(self, path: Path) -> None:
        self.name = f"onnx:{path}"
        path = path.expanduser()
        self.tau_file = path.with_suffix(".tau.json")
        said = _read_description(path.with_suffix(".toml"))
        self.input_size = said["input_size"]
        self.metric = said["distance"]
        self.threshold = float(said["threshold"])
        self._template = TEMPLATES[said["template"]]
        self._colours = slice(None, None, 1 if said["colour"] == "rgb" else -1)
        self._mean, self._std = (np.array(said[key], np.float32) for key in ("mean", "std"))
        self._session = _load(path)
        self._batch, self._channels_first = _layout(path, self._session.get_inputs()[0], self.input_size)
        self.dimension = self._try(path)

    @classmethod
    def is_available(cls) -> bool:
        return True

    def transform(self, landmarks: np.ndarray) -> np.ndarray:
        return self._template(landmarks, self.input_size)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        embeddings = by_batches(self._run, crops, self._batch)
        return normalized(embeddings) if self.metric == "cosine" else embeddings

    def _run(self, crops: np.ndarray) -> np.ndarray:
        values = (crops[..., self._colours].astype(np.float32) - self._mean) / self._std
        if self._channels_first:
            values = np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        output = self._session.run(None, {self._session.get_inputs()[0].name: values})[0]
        if output.shape[:1] != (len(crops),):
            raise ValueError(f"{len(crops)} crops gave an output of shape {output.shape}")
        return output.reshape(len(crops), -1)

    def _try(self, path: Path) -> int:
        """The length of the embedding of a grey crop."""
        grey = np.full((1, self.input_size, self.input_size, 3), 127, np.uint8)
        try:
            embedding = by_batches(self._run, grey, self._batch)
        except Exception as error:  # onnxruntime's errors have no class of their own
            raise BadModel(f"{path} does not run on crops of {self.input_size} pixels: {_line(error)}") from None
        if embedding.dtype != np.float32 or embedding.shape[1] < 2 or not np.isfinite(embedding).all():
            raise BadModel(f"{path} gives no embedding: its first output must be float32 numbers, some for each crop")
        return embedding.shape[1]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= 1e6  # which NaN is not


def _is_colour(value: Any) -> bool:
    return _is_number(value) or (isinstance(value, list) and len(value) == 3 and all(map(_is_number, value)))


# Key of the description -> whether a value is one, and what to write.
_KEYS = {
    "input_size": (lambda v: type(v) is int and 16 <= v <= 1024, "a whole number from 16 to 1024, in pixels"),
    "template": (lambda v: v in ("arcface", "upright"), '"arcface" or "upright"'),
    "colour": (lambda v: v in ("rgb", "bgr"), '"rgb" or "bgr"'),
    "mean": (_is_colour, "a number or a list of three, such as 127.5"),
    "std": (lambda v: _is_colour(v) and np.min(v) > 0, "a number or a list of three above 0, such as 127.5"),
    "distance": (lambda v: v in ("cosine", "euclidean"), '"cosine" or "euclidean"'),
    "threshold": (lambda v: _is_number(v) and v > 0, "a number above 0"),
}


def _read_description(path: Path) -> dict[str, Any]:
    try:
        said = tomllib.loads(read_limited(path, DESCRIPTION_LIMIT)[:DESCRIPTION_LIMIT].decode())
    except FileNotFoundError:
        raise BadModel(f"{path} is missing, which describes the model: write {_example()}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BadModel(f"{path} is no readable TOML file ({error}): write {_example()}") from None
    for key, (fits, what) in _KEYS.items():
        if key not in said or not fits(said[key]):
            raise BadModel(f"{path}: {key} must be {what}")
    if unknown := sorted(set(said) - set(_KEYS)):
        raise BadModel(f"{path}: {unknown[0]!r} means nothing here: write only {', '.join(_KEYS)}")
    return said


def _example() -> str:
    return "; ".join(f"{key} = {what}" for key, (_, what) in _KEYS.items())


def _load(path: Path) -> Any:
    """An onnxruntime session of a file with one input."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(4, os.cpu_count() or 1)
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        if len(session.get_inputs()) > 1:
            model = _without_stale_inputs(path)
            session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no class of their own
        raise BadModel(f"{path} is no ONNX file that onnxruntime can run: {_line(error)}") from None
    if (count := len(session.get_inputs())) != 1:
        raise BadModel(f"{path} takes {count} inputs: needed is a network of one input, the crops")
    return session


def _without_stale_inputs(path: Path) -> bytes:
    """The model without inputs that nothing waits for: quantizers leave the old names of weights among the inputs."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    used = {name for node in model.graph.node for name in node.input}
    made = {name for node in model.graph.node for name in node.output}
    made |= {initializer.name for initializer in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name in used - made]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    return model.SerializeToString()


def _layout(path: Path, wanted: Any, size: int) -> tuple[int, bool]:
    """How many crops the input takes at once, and whether the colours come before rows and columns."""
    shape = wanted.shape
    if wanted.type != "tensor(float)" or len(shape) != 4 or (shape[1] == 3) == (shape[3] == 3):
        raise BadModel(f"{path} takes {wanted.type} {shape}: needed are float32 crops, (N, 3, H, W) or (N, H, W, 3)")
    first = shape[1] == 3
    for side in shape[2:] if first else shape[1:3]:
        if isinstance(side, int) and side != size:
            raise BadModel(f"{path} takes crops of {side} pixels: write input_size = {side} in {path.stem}.toml")
    return (shape[0] if isinstance(shape[0], int) else BATCH), first
