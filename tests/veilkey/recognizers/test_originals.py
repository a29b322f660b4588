"""All local recognizers: what each promises, on real faces, and against other software that runs the same files."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from veilkey import recognizers
from veilkey.errors import MissingModel
from veilkey.faces import Face
from veilkey.faces.geometry import five_points, map_points
from veilkey.recognizers import Recognizer, store
from veilkey.recognizers.base import normalized
from veilkey.recognizers.templates import ARCFACE_POINTS, arcface, upright

ALL = recognizers.names()
Load = Callable[[str], Recognizer]
Pairs = list[list[tuple[np.ndarray, np.ndarray]]]
Faces = list[tuple[np.ndarray, Face]]


def crops_of(judge: Recognizer, faces: Faces, count: int) -> np.ndarray:
    return np.stack([judge.align(photo, face.landmarks) for photo, face in faces[:count]])


def test_the_registry() -> None:
    assert ALL == ("dlib", "facenet", "mobilefacenet", "sface")
    for name in ALL:
        assert recognizers.kind(name).name == name
        assert name in store.SOURCES
    with pytest.raises(MissingModel, match="no recognizer is called 'nobody'; there are dlib, facenet"):
        recognizers.get("nobody")


@pytest.mark.parametrize("name", ["facenet", "mobilefacenet"])
def test_a_missing_model_says_what_to_type(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VEILKEY_HOME", str(tmp_path))
    assert not recognizers.kind(name).is_available()
    with pytest.raises(
        MissingModel, match=f"^the recognizer {name} is not installed: veilkey recognizers install {name}$"
    ):
        recognizers.get(name)


@pytest.mark.parametrize("name", ALL)
def test_loading_says_nothing(name: str, recognizer: Load, capfd: pytest.CaptureFixture[str]) -> None:
    recognizer(name)
    capfd.readouterr()
    recognizers.get(name)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ALL)
def test_people_are_told_apart(name: str, recognizer: Load, pairs: Pairs) -> None:
    """15 people in two videos each: nearly all are nearest to themselves, and hardly a stranger matches."""
    judge = recognizer(name)
    first, second = (np.stack([judge.embed_face(*photos[i]) for photos in pairs]) for i in (0, 1))
    distances = judge.distance(first[:, None], second[None])
    own = np.eye(len(pairs), dtype=bool)
    assert np.mean(distances.argmin(1) == np.arange(len(pairs))) >= 0.8
    assert np.median(distances[own]) < np.quantile(distances[~own], 0.03)
    assert np.mean(distances[~own] < judge.threshold) <= 0.01


@pytest.mark.parametrize("name", ALL)
def test_embeddings_are_as_described(name: str, recognizer: Load, faces: Faces) -> None:
    judge = recognizer(name)
    crops = crops_of(judge, faces * 3, 3)
    assert crops.shape == (3, judge.input_size, judge.input_size, 3)
    assert crops.dtype == np.uint8
    embeddings = judge.embed(crops)
    assert embeddings.shape == (3, judge.dimension)
    assert embeddings.dtype == np.float32
    if name != "dlib":
        assert np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    # One at a time, in another order, and after others: the same.
    for i in (2, 0, 1):
        assert np.abs(judge.embed(crops[i : i + 1])[0] - embeddings[i]).max() < 1e-5
    photo, face = faces[0]
    assert np.abs(judge.embed_face(photo, face.landmarks) - embeddings[0]).max() < 1e-5


@pytest.mark.parametrize("name", ALL)
def test_the_crop_is_where_the_transform_says(name: str, recognizer: Load, faces: Faces) -> None:
    """A dot painted into the photo comes out where the transform puts it."""
    judge = recognizer(name)
    photo, face = faces[0]
    spot = face.landmarks[30].round()
    dark = np.zeros_like(photo)
    cv2.circle(dark, spot.astype(int).tolist(), 3, (255, 255, 255), -1)
    weights = judge.align(dark, face.landmarks)[..., 0].astype(float)
    rows, columns = np.mgrid[: judge.input_size, : judge.input_size]
    found = np.array([(columns * weights).sum(), (rows * weights).sum()]) / weights.sum()
    assert np.abs(found - map_points(judge.transform(face.landmarks), spot[None])[0]).max() < 0.6


def test_distances() -> None:
    a, b = np.array([[3.0, 0.0], [0.0, 2.0]]), np.array([[1.0, 0.0], [0.0, -1.0]])
    cosine, euclidean = (recognizers.kind(name).distance for name in ("sface", "dlib"))
    sface, dlib = (recognizers.kind(name).__new__(recognizers.kind(name)) for name in ("sface", "dlib"))
    assert np.allclose(cosine(sface, a, b), [0, 2])
    assert np.allclose(cosine(sface, a[:, None], b[None]), [[0, 1], [1, 2]])
    assert np.allclose(euclidean(dlib, a, b), [2, 3])
    assert np.array_equal(normalized(np.zeros((1, 4))), np.zeros((1, 4)))


def test_facenet_is_its_graph_in_tensorflow(recognizer: Load, faces: Faces) -> None:
    import tensorflow as tf

    judge = recognizer("facenet")
    crops = crops_of(judge, faces, 5)
    definition = tf.compat.v1.GraphDef.FromString(store.model_file("facenet").read_bytes())
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        tf.import_graph_def(definition, name="")
        expected = [
            session.run("embeddings:0", {"input:0": (crop[None].astype(np.float32) - 127.5) / 128}) for crop in crops
        ]
    assert np.abs(judge.embed(crops) - np.concatenate(expected)).max() < 1e-5


def test_mobilefacenet_is_its_file_in_onnxruntime(recognizer: Load, faces: Faces) -> None:
    import onnxruntime
    import tf2onnx

    judge = recognizer("mobilefacenet")
    crops = crops_of(judge, faces, 5)
    model, _ = tf2onnx.convert.from_tflite(str(store.model_file("mobilefacenet")), opset=17)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    values = (np.stack([crops, crops], 1).astype(np.float32) - 127.5) / 128
    expected = np.stack([session.run(None, {session.get_inputs()[0].name: pair})[0][0] for pair in values])
    assert np.abs(judge.embed(crops) - normalized(expected)).max() < 1e-5


def test_sface_is_its_file_in_onnxruntime(recognizer: Load, faces: Faces) -> None:
    import onnx
    import onnxruntime

    judge = recognizer("sface")
    crops = crops_of(judge, faces, 5)
    model = onnx.load(store.model_file("sface"))
    del model.graph.input[1:]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    values = crops.astype(np.float32).transpose(0, 3, 1, 2)
    expected = np.concatenate([session.run(None, {"data": one[None]})[0] for one in values])
    assert np.abs(judge.embed(crops) - normalized(expected)).max() < 1e-5


def test_arcface_is_the_alignment_of_opencv(faces: Faces) -> None:
    """OpenCV's FaceRecognizerSF, for whose network the template is, cuts the same crop."""
    opencv = cv2.FaceRecognizerSF.create(str(store.model_file("sface")), "")
    for photo, face in faces[:5]:
        # Enlarged, because OpenCV does not average where it shrinks.
        landmarks = face.landmarks * 1.5 + 0.25
        large = cv2.resize(photo, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC)
        row = np.concatenate([np.zeros(4), five_points(landmarks).ravel(), [1]]).astype(np.float32)
        expected = opencv.alignCrop(large, row[None]).astype(int)
        transform = arcface(landmarks, 112)
        ours = cv2.warpAffine(large, transform, (112, 112)).astype(int)
        inside = cv2.warpAffine(np.ones(large.shape[:2], np.uint8), transform, (112, 112)) == 1
        assert np.abs(ours - expected)[inside].mean() < 1


def test_templates_put_the_face_where_they_say() -> None:
    landmarks = np.random.default_rng(0).uniform(50, 250, (68, 2))
    turn = 3 * np.array([[0.8, -0.6], [0.6, 0.8]])
    landmarks[36:42] = ARCFACE_POINTS[0] @ turn + 5
    landmarks[42:48] = ARCFACE_POINTS[1] @ turn + 5
    landmarks[[30, 48, 54]] = ARCFACE_POINTS[2:] @ turn + 5
    for size in (112, 224):
        found = map_points(arcface(landmarks, size), five_points(landmarks))
        assert np.allclose(found, ARCFACE_POINTS * size / 112)
    box = map_points(upright(landmarks, 160), np.stack([landmarks.min(0), landmarks.max(0)]))
    assert np.allclose(box.mean(0), 79.5)
    assert np.isclose((box[1] - box[0]).max(), 160 / 1.35)
