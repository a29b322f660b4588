"""A model of the user's own: SFace's file judges as the built-in SFace does, and what cannot be used says why."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from veilkey import recognizers
from veilkey.errors import BadModel
from veilkey.faces import Face
from veilkey.recognizers import Recognizer, store

SFACE = {
    "input_size": "112",
    "template": '"arcface"',
    "colour": '"rgb"',
    "mean": "0",
    "std": "1",
    "distance": '"cosine"',
    "threshold": "0.637",
}


def describe(model: Path, **changed: str | None) -> None:
    lines = {**SFACE, **changed}
    text = "".join(f"{key} = {value}\n" for key, value in lines.items() if value is not None)
    model.with_suffix(".toml").write_text(text)


@pytest.fixture
def sface_copy(tmp_path: Path) -> Path:
    path = tmp_path / "mine.onnx"
    shutil.copy(store.model_file("sface"), path)
    return path


def network(
    folder: Path, shape: list[int | str], nodes: list[onnx.NodeProto], kind: int = TensorProto.FLOAT, more: bool = False
) -> Path:
    """A file of a network whose nodes take "crops", and "more" if they do, to "embedding"."""
    names = ["crops", "more"] if more else ["crops"]
    inputs = [helper.make_tensor_value_info(name, kind, shape) for name in names]
    graph = helper.make_graph(nodes, "test", inputs, [helper.make_tensor_value_info("embedding", kind, None)])
    path = folder / "mine.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def mean_colour(axes: list[int]) -> list[onnx.NodeProto]:
    """Embedding: the three colours' means."""
    return [helper.make_node("ReduceMean", ["crops"], ["embedding"], axes=axes, keepdims=0)]


def test_sfaces_own_file_judges_as_sface(
    sface_copy: Path, recognizer: Callable[[str], Recognizer], faces: list[tuple[np.ndarray, Face]]
) -> None:
    describe(sface_copy)
    mine, builtin = recognizers.get(f"onnx:{sface_copy}"), recognizer("sface")
    assert mine.name == f"onnx:{sface_copy}"
    assert (mine.input_size, mine.dimension, mine.threshold) == (112, 128, 0.637)
    first, second = (
        np.stack([judge.embed_face(photo, face.landmarks) for photo, face in faces[:3]]) for judge in (mine, builtin)
    )
    assert np.abs(first - second).max() < 1e-4
    assert np.allclose(mine.distance(first, first[::-1]), builtin.distance(second, second[::-1]), atol=1e-4)


def test_layout_colours_and_scale(tmp_path: Path) -> None:
    """The network gives each colour's mean back, so that what it was given can be read."""
    crop = np.broadcast_to(np.array([10, 20, 40], np.uint8), (7, 16, 16, 3))
    for shape, axes in (([1, 3, 16, 16], [2, 3]), (["n", 16, 16, 3], [1, 2]), ([4, 3, "h", "w"], [2, 3])):
        path = network(tmp_path, shape, mean_colour(axes))
        euclidean = {"input_size": "16", "distance": '"euclidean"'}
        describe(path, **euclidean, mean="5", std="[1, 2, 5]")
        judge = recognizers.get(f"onnx:{path}")
        assert judge.dimension == 3
        assert np.allclose(judge.embed(crop), [[5, 7.5, 7]] * 7)
        assert np.isclose(judge.distance(np.zeros(3), np.array([0, 3.0, 4.0])), 5)
        describe(path, **euclidean, colour='"bgr"', mean="[0, 10, 10]", std="2.0")
        assert np.allclose(recognizers.get(f"onnx:{path}").embed(crop), [[20, 5, 0]] * 7)
    describe(path, input_size="16")
    assert np.allclose(recognizers.get(f"onnx:{path}").embed(crop), [np.array([10, 20, 40]) / np.sqrt(2100)] * 7)


def test_templates(
    tmp_path: Path, recognizer: Callable[[str], Recognizer], faces: list[tuple[np.ndarray, Face]]
) -> None:
    photo, face = faces[0]
    for name, template in (("sface", '"arcface"'), ("facenet", '"upright"')):
        builtin = recognizer(name)
        size = builtin.input_size
        path = network(tmp_path, [1, 3, size, size], mean_colour([2, 3]))
        describe(path, input_size=str(size), template=template)
        mine = recognizers.get(f"onnx:{path}")
        assert np.array_equal(mine.align(photo, face.landmarks), builtin.align(photo, face.landmarks))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        *[({key: None}, f"{key} must be ") for key in SFACE],
        ({"input_size": "112.0"}, "input_size must be a whole number from 16 to 1024"),
        ({"input_size": "true"}, "input_size must be a whole number"),
        ({"input_size": "1000000"}, "input_size must be a whole number"),
        ({"input_size": "128"}, "takes crops of 112 pixels: write input_size = 112 in mine.toml"),
        ({"template": '"dlib"'}, 'template must be "arcface" or "upright"'),
        ({"template": '["arcface"]'}, 'template must be "arcface" or "upright"'),
        ({"colour": '"grey"'}, 'colour must be "rgb" or "bgr"'),
        ({"mean": "[1, 2]"}, "mean must be a number or a list of three"),
        ({"mean": "nan"}, "mean must be a number"),
        ({"mean": "1" + 400 * "0"}, "mean must be a number"),
        ({"std": "0"}, "std must be a number or a list of three above 0"),
        ({"std": "[1, 1, -1]"}, "std must be a number"),
        ({"std": '"127"'}, "std must be a number"),
        ({"distance": '"l2"'}, 'distance must be "cosine" or "euclidean"'),
        ({"threshold": "inf"}, "threshold must be a number above 0"),
        ({"normalise": "1"}, "'normalise' means nothing here: write only input_size, template"),
        ({"mean": "= 3"}, "no readable TOML file"),
        ({"mean": "[" * 100_000}, "no readable TOML file"),
        ({"mean": '"\0"'}, "no readable TOML file"),
    ],
)
def test_a_description_that_cannot_be_used(sface_copy: Path, changed: dict[str, str | None], message: str) -> None:
    describe(sface_copy, **changed)
    refused(sface_copy, message)


def refused(path: Path, message: str) -> None:
    with pytest.raises(BadModel) as caught:
        recognizers.get(f"onnx:{path}")
    assert message in str(caught.value)
    assert path.stem in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_description_says_all_that_to_write(sface_copy: Path) -> None:
    with pytest.raises(BadModel, match="mine.toml is missing") as caught:
        recognizers.get(f"onnx:{sface_copy}")
    assert all(f"{key} = " in str(caught.value) for key in SFACE)


def test_models_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    describe(path)
    refused(path, "is no ONNX file that onnxruntime can run")
    whole = store.model_file("sface").read_bytes()
    for data in (b"", b"not a model" * 100, whole[: len(whole) // 2]):
        path.write_bytes(data)
        refused(path, "is no ONNX file that onnxruntime can run")
    describe(path, input_size="16")
    for shape in ([1, 16, 16, 4], [1, 3, 16, 3], [3, 16, 16], [1, 1, 16, 16]):
        network(tmp_path, shape, mean_colour([1, 2]))
        refused(path, "needed are float32 crops, (N, 3, H, W) or (N, H, W, 3)")
    network(tmp_path, [1, 3, 16, 16], mean_colour([2, 3]), TensorProto.DOUBLE)
    refused(path, "takes tensor(double)")
    network(tmp_path, [1, 3, 16, 16], [helper.make_node("Sum", ["crops", "more"], ["embedding"])], more=True)
    refused(path, "takes 2 inputs")
    network(tmp_path, [1, 3, 16, 16], mean_colour([1, 2, 3]))
    refused(path, "gives no embedding")
    logarithm = [helper.make_node("Neg", ["crops"], ["below"]), helper.make_node("Log", ["below"], ["embedding"])]
    network(tmp_path, [1, 3, 16, 16], logarithm)
    refused(path, "gives no embedding")
    network(tmp_path, [2, 3, 16, 16], mean_colour([0, 2, 3]))
    refused(path, "2 crops gave an output of shape (3,)")
    odd = helper.make_node("Constant", [], ["odd"], value=numpy_helper.from_array(np.zeros((1, 3, 5, 5), np.float32)))
    network(tmp_path, [1, 3, "h", "w"], [odd, helper.make_node("Add", ["crops", "odd"], ["embedding"])])
    refused(path, "does not run on crops of 16 pixels")


def test_weights_outside_the_folder_are_not_read(tmp_path: Path) -> None:
    np.ones(3, np.float32).tofile(tmp_path / "elsewhere.bin")
    (tmp_path / "models").mkdir()
    (colours,) = mean_colour([2, 3])
    colours.output[0] = "colours"
    path = network(
        tmp_path / "models", [1, 3, 16, 16], [colours, helper.make_node("Add", ["colours", "weights"], ["embedding"])]
    )
    describe(path, input_size="16")
    for location, works in (("../elsewhere.bin", False), ("beside.bin", True)):
        shutil.copy(tmp_path / "elsewhere.bin", tmp_path / "models" / "beside.bin")
        weights = numpy_helper.from_array(np.ones(3, np.float32), "weights")
        onnx.external_data_helper.set_external_data(weights, location)
        weights.ClearField("raw_data")
        model = onnx.load(path, load_external_data=False)
        del model.graph.initializer[:]
        model.graph.initializer.append(weights)
        path.write_bytes(model.SerializeToString())
        if works:
            assert recognizers.get(f"onnx:{path}").dimension == 3
        else:
            refused(path, "is no ONNX file that onnxruntime can run")
