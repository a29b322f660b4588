"""The ports are the recognizers that they stand for, and their exported gradients are derivatives of those."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from mask_template.runtime import session
from veilkey import recognizers
from veilkey.export import export_gradient
from veilkey.faces import Face
from veilkey.recognizers import Recognizer, port_layers
from veilkey.recognizers.base import normalized
from veilkey.recognizers.gradient import load_gradient

# Ports and the number of their weights; dlib's is tested in test_dlib.py, value for value.
PORTS = {"facenet": 23_467_824, "mobilefacenet": 1_285_440, "sface": 9_618_688}


class Subject:
    """A recognizer, its port as Keras has it, and aligned crops (50, S, S, 3) uint8 RGB."""

    def __init__(self, judge: Recognizer, faces: list[tuple[np.ndarray, Face]]) -> None:
        self.judge = judge
        self.port: keras.Model = recognizers.port_builder(judge.name)()
        self.crops = np.stack([self.judge.align(photo, face.landmarks) for photo, face in faces])
        self._gradient = tf.function(self._differentiate)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """The port's embeddings (N, D)."""
        batches = (crops[start : start + 10].astype(np.float32) for start in range(0, len(crops), 10))
        return np.concatenate([np.asarray(self.port(batch)) for batch in batches])

    def gradient(self, crop: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What `load_gradient` has, as TensorFlow computes it."""
        embedding, slope = self._gradient(tf.constant(crop[None], tf.float32), tf.constant(v[None], tf.float32))
        return embedding[0].numpy(), slope[0].numpy()

    def _differentiate(self, crop: tf.Tensor, v: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(crop)
            embedding = self.port(crop, training=False)
        return embedding, tape.gradient(embedding, crop, output_gradients=v)


@pytest.fixture(scope="module", params=list(PORTS))
def subject(
    request: pytest.FixtureRequest, recognizer: Callable[[str], Recognizer], faces: list[tuple[np.ndarray, Face]]
) -> Subject:
    return Subject(recognizer(request.param), faces)


def apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cosine distances, whatever the lengths."""
    return 1 - (normalized(first) * normalized(second)).sum(-1)


def test_the_port_has_all_weights(subject: Subject) -> None:
    assert subject.port.count_params() == PORTS[subject.judge.name]
    assert subject.port.output_shape == (None, subject.judge.dimension)


def test_the_port_is_the_recognizer(subject: Subject) -> None:
    """On 50 people's faces, within 1e-3 (issue 3, section 1); in fact to the last digits of float32."""
    assert apart(subject.embed(subject.crops), subject.judge.embed(subject.crops)).max() < 1e-5


def test_the_port_is_the_recognizer_away_from_faces(subject: Subject) -> None:
    size = subject.judge.input_size
    noise = np.random.default_rng(0).integers(0, 256, (size, size, 3))
    crops = np.stack([np.zeros((size, size, 3)), np.full((size, size, 3), 255), noise]).astype(np.uint8)
    assert apart(subject.embed(crops), subject.judge.embed(crops)).max() < 1e-5


def test_the_exported_gradient_is_the_ports(subject: Subject) -> None:
    """To the last digits of float32, as far as no ReLU whose sum is zero but for rounding switches differently."""
    gradient = load_gradient(subject.judge.name)
    random = np.random.default_rng(1)
    errors = []
    for number in range(5):
        crop = subject.crops[number % len(subject.crops)]
        crop = crop + random.normal(0, 2, crop.shape).astype(np.float32)
        v = random.normal(0, 1, subject.judge.dimension).astype(np.float32)
        expected, slope = subject.gradient(crop, v)
        embedding, found = gradient(crop, v)
        assert np.abs(embedding - expected).max() < 1e-5 * np.abs(expected).max()
        assert np.array_equal(gradient.forward(crop), embedding)
        errors.append(np.abs(found - slope).max() / np.abs(slope).max())
    assert min(errors) < 1e-5
    assert max(errors) < 0.02


def test_the_gradient_is_a_derivative_of_the_recognizer(subject: Subject) -> None:
    """A small step along J^T v moves the recognizer's own embedding along v as far as the gradient says.

    It divides embeddings by their length, whose derivative vanishes where v is at a right angle to the embedding.
    """
    gradient = load_gradient(subject.judge.name)
    random = np.random.default_rng(2)
    for face in subject.crops[:3]:
        crop = face.clip(1, 254)
        v = random.normal(0, 1, subject.judge.dimension).astype(np.float32)
        embedding = gradient.forward(crop)
        v -= embedding * (v @ embedding) / (embedding @ embedding)
        _, slope = gradient(crop, v)
        # One grey level, on the few values on which v depends most.
        step = np.rint(slope / np.abs(slope).max()).astype(int)
        before, after = subject.judge.embed(np.stack([crop - step, crop + step]).astype(np.uint8))
        expected = 2 * float((slope * step).sum()) / np.linalg.norm(embedding)
        assert float((after - before) @ v) == pytest.approx(expected, rel=0.2)


def with_gradient(
    x: np.ndarray, v: np.ndarray, function: Callable[[tf.Tensor], tf.Tensor]
) -> tuple[np.ndarray, np.ndarray]:
    at = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(at)
        y = function(at)
    return y.numpy(), tape.gradient(y, at, output_gradients=tf.constant(v)).numpy()


@pytest.mark.parametrize("size", [(9, 9), (8, 8), (7, 10), (3, 4)])
def test_max_pooling(size: tuple[int, int]) -> None:
    """Keras' own, values and gradient, whether or not the stride reaches the last rows."""
    random = np.random.default_rng(3)
    x = random.normal(0, 1, (2, *size, 5)).astype(np.float32)
    expected = np.asarray(keras.layers.MaxPooling2D(3, 2)(x))
    v = random.normal(0, 1, expected.shape).astype(np.float32)
    _, slope = with_gradient(x, v, keras.layers.MaxPooling2D(3, 2))
    image = keras.Input(x.shape[1:])
    values, found = with_gradient(x, v, keras.Model(image, port_layers.max_pool_3_2(image)))
    assert np.array_equal(values, expected)
    assert np.allclose(found, slope, atol=1e-6)


def test_joining_and_prelu() -> None:
    random = np.random.default_rng(4)
    x = random.normal(0, 1, (2, 3, 4, 5)).astype(np.float32)
    slope = random.normal(0, 1, 5).astype(np.float32)
    parts = [x, 2 * x[..., :2], 3 * x[..., 1:]]
    assert np.array_equal(
        port_layers.concatenate([ops.convert_to_tensor(part) for part in parts]), np.concatenate(parts, -1)
    )
    assert np.allclose(port_layers.prelu(x, slope), np.where(x > 0, x, slope * x), atol=1e-6)


@pytest.mark.parametrize("outputs", [None, 6])
@pytest.mark.parametrize(
    ("size", "side", "stride", "padding"),
    [
        (8, 3, 1, "same"),
        (8, 3, 2, "same"),
        (9, 3, 2, "same"),
        (9, 3, 2, "valid"),
        (8, 3, 2, "valid"),
        (7, 7, 1, "valid"),
    ],
)
def test_gradients_of_convolutions_are_exported(
    size: int, side: int, stride: int, padding: str, outputs: int | None, tmp_path: Path
) -> None:
    """Depthwise ones where `outputs` is None; each with a ReLU behind it."""
    random = np.random.default_rng(5)
    image = keras.Input((size, size, 4), batch_size=1)
    if outputs:
        kernel, bias = random.normal(0, 1, (side, side, 4, outputs)), random.normal(0, 1, outputs)
        y = port_layers.convolve(image, kernel, bias, stride, padding)
    else:
        kernel, bias = random.normal(0, 1, (side, side, 4)), random.normal(0, 1, 4)
        y = port_layers.depthwise(image, kernel, bias, stride, padding)
    model = keras.Model(image, ops.relu(y))
    x, v = (random.normal(0, 1, tensor.shape).astype(np.float32) for tensor in (model.inputs[0], model.outputs[0]))
    export_gradient(model, tmp_path / "gradient.onnx")
    values, found = session(tmp_path / "gradient.onnx").run(None, {"crop": x, "v": v})
    expected, slope = with_gradient(x, v, model)
    assert np.allclose(values, expected, atol=1e-5)
    assert np.allclose(found, slope, atol=1e-5)
