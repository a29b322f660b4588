"""dlib: the original through dlib itself, its port, and the gradient exported from the port."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from veilkey import recognizers
from veilkey.faces import Face, FaceFinder
from veilkey.recognizers.dlib_resnet import DlibByPort, DlibResNet, weights_file
from veilkey.recognizers.dlib_weights import read_layers
from veilkey.recognizers.gradient import load_gradient


@pytest.fixture(scope="module")
def judge() -> DlibResNet:
    return DlibResNet()


@pytest.fixture(scope="module")
def chips(faces: list[tuple[np.ndarray, Face]], judge: DlibResNet) -> np.ndarray:
    return np.stack([judge.align(photo, face.landmarks) for photo, face in faces])


@pytest.fixture(scope="module")
def port():
    return recognizers.port_builder("dlib")(1)


def through(port, chips: np.ndarray) -> np.ndarray:
    return np.concatenate([np.asarray(port(chip[None].astype(np.float32))) for chip in chips])


def test_the_weights_are_all_there() -> None:
    layers = read_layers(weights_file())
    kinds = [layer.kind for layer in layers]
    assert kinds == ["con", "affine"] * 29 + ["fc"]
    assert sum(layer.values.size for layer in layers) > 5_500_000
    assert all(np.isfinite(layer.values).all() and layer.values.std() > 0 for layer in layers)
    assert layers[0].values.size == 32 * 3 * 7 * 7 + 32
    assert layers[-1].values.size == 256 * 128


def test_protect_asks_a_port_that_answers_as_dlib_does(chips: np.ndarray, judge: DlibResNet) -> None:
    asked = DlibByPort(load_gradient("dlib"))
    assert np.abs(asked.embed(chips[:10]) - judge.embed(chips[:10])).max() < 1e-3


def altered(change: Callable[[bytearray], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "weights.dat"
        path.write_bytes(change(bytearray(weights_file().read_bytes())))
        return path

    return make


@pytest.mark.parametrize(
    "make",
    [
        altered(lambda data: bytes(data[: len(data) // 2])),
        altered(lambda data: b""),
        altered(lambda data: b"not a network" * 1000),
        altered(lambda data: bytes(data) * 2),
    ],
    ids=["cut short", "empty", "something else", "two networks"],
)
def test_other_files_are_refused(make: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        read_layers(make(tmp_path))


def test_the_port_is_dlib(port, judge: DlibResNet, chips: np.ndarray) -> None:
    """On 50 people's faces, every value of the embedding within 1e-3 (issue 2, section 3)."""
    difference = np.abs(through(port, chips) - judge.embed(chips))
    assert difference.max() < 1e-3


def test_the_port_is_dlib_away_from_faces(port, judge: DlibResNet) -> None:
    random = np.random.default_rng(0)
    chips = np.stack(
        [np.zeros((150, 150, 3)), np.full((150, 150, 3), 255), random.integers(0, 256, (150, 150, 3))]
    ).astype(np.uint8)
    assert np.abs(through(port, chips) - judge.embed(chips)).max() < 1e-3


def test_the_exported_gradient_is_the_ports(port, chips: np.ndarray) -> None:
    """Within 1e-4 (issue 2, section 5), and as a rule to the last digits of float32.

    Only as a rule: where a unit's sum is zero but for rounding, Keras and onnxruntime may switch its ReLU differently.
    """
    import tensorflow as tf

    gradient = load_gradient("dlib")
    random = np.random.default_rng(1)
    errors = []
    for number in range(9):
        crop = chips[number % len(chips)].astype(np.float32)
        crop += random.normal(0, 2, crop.shape).astype(np.float32)
        v = random.normal(0, 1, DlibResNet.dimension).astype(np.float32)
        at = tf.constant(crop[None])
        with tf.GradientTape() as tape:
            tape.watch(at)
            expected = port(at)
        slope = tape.gradient(expected, at, output_gradients=tf.constant(v[None]))[0].numpy()
        embedding, found = gradient(crop, v)
        assert np.abs(embedding - expected[0].numpy()).max() < 1e-4
        assert np.array_equal(gradient.forward(crop), embedding)
        assert np.abs(found - slope).max() < 1e-4
        errors.append(np.linalg.norm(found - slope) / np.linalg.norm(slope))
    assert np.median(errors) < 1e-4
    assert max(errors) < 0.1


def test_the_gradient_is_a_derivative_of_dlib_itself(judge: DlibResNet, chips: np.ndarray) -> None:
    """A step along J^T v moves dlib's own embedding along v as far as the gradient says."""
    gradient = load_gradient("dlib")
    v = np.random.default_rng(2).normal(0, 1, DlibResNet.dimension).astype(np.float32)
    chip = np.clip(chips[0], 16, 239)
    _, slope = gradient(chip.astype(np.float32), v)
    step = np.rint(2 * slope / np.abs(slope).max() * 3).clip(-6, 6)
    before, after = judge.embed(np.stack([chip, (chip + step).astype(np.uint8)]))
    expected = float((slope * step).sum())
    assert expected > 0
    assert 0.5 < float((after - before) @ v) / expected < 1.5


def test_transform_is_where_dlib_cuts(judge: DlibResNet, portrait: np.ndarray) -> None:
    """Enlarged so that dlib does not have to shrink: its chip is then a plain bilinear warp."""
    photo = cv2.resize(portrait[:256, 96:352], (384, 384), interpolation=cv2.INTER_CUBIC)
    (face,) = FaceFinder().find(photo)
    for degrees in (0, 20, -40):
        turn = cv2.getRotationMatrix2D((192, 192), degrees, 1)
        rolled = cv2.warpAffine(photo, turn, (384, 384), borderMode=cv2.BORDER_REPLICATE)
        landmarks = face.landmarks @ turn[:, :2].T + turn[:, 2]
        chip = judge.align(rolled, landmarks).astype(int)
        transform = judge.transform(landmarks)
        ours = [
            cv2.warpAffine(rolled, transform + [[0, 0, x], [0, 0, y]], (150, 150)).astype(int)[20:-20, 20:-20]
            for x, y in [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
        ]
        errors = [np.abs(one - chip[20:-20, 20:-20]).mean() for one in ours]
        assert errors[0] < 1.5
        assert errors[0] < 0.5 * min(errors[1:])


def test_transform_is_where_dlib_cuts_whatever_the_size(
    judge: DlibResNet, faces: list[tuple[np.ndarray, Face]], chips: np.ndarray
) -> None:
    for (photo, face), chip in zip(faces[:10], chips, strict=False):
        ours = cv2.warpAffine(photo, judge.transform(face.landmarks), (150, 150), borderMode=cv2.BORDER_REPLICATE)
        assert judge.distance(*judge.embed(np.stack([chip, ours]))) < 0.2


def test_people_are_told_apart(judge: DlibResNet, chips: np.ndarray) -> None:
    embeddings = judge.embed(chips[:25])
    mirrored = judge.embed(chips[:25, :, ::-1])
    assert np.mean(judge.distance(embeddings, mirrored) < judge.threshold) >= 0.95
    if len(chips) > 1:
        strangers = judge.distance(embeddings[:, None], embeddings[None])[np.triu_indices(len(embeddings), 1)]
        assert np.mean(strangers < judge.threshold) < 0.1


def test_embed_face_is_align_and_embed(
    judge: DlibResNet, faces: list[tuple[np.ndarray, Face]], chips: np.ndarray
) -> None:
    photo, face = faces[0]
    assert np.array_equal(judge.embed_face(photo, face.landmarks), judge.embed(chips[:1])[0])
