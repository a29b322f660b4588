"""Keras models and their gradients as ONNX files. The one place outside training that imports TensorFlow."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnx.utils
import tensorflow as tf
import tf2onnx
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from veilkey.files import write_new

OPSET = 17
STEEP = 1e8
"""The hyperbolic tangent of so many times a value is its sign."""

Handler = tuple[Callable[..., None], list[Any]]
"""How tf2onnx is told to write an operation: a function of graph and node, and operations of ONNX that stand for it."""


def export_network(model: keras.Model, path: Path) -> None:
    """Write `model` with the batch size it was built for; inputs and outputs keep their order."""
    signature = [tf.TensorSpec(tensor.shape, tf.float32, f"input{i}") for i, tensor in enumerate(model.inputs)]

    def run(*inputs: tf.Tensor) -> tf.Tensor:
        return tf.identity(model(inputs[0] if len(inputs) == 1 else list(inputs), training=False), name="output0")

    _write(tf.function(run, input_signature=signature), path, halve=True)


def export_gradient(model: keras.Model, path: Path) -> None:
    """Write (crop, v) -> (embedding, J^T v), J the Jacobian of `model`, which takes one input of a fixed batch."""
    signature = [
        tf.TensorSpec(model.inputs[0].shape, tf.float32, "crop"),
        tf.TensorSpec(model.outputs[0].shape, tf.float32, "v"),
    ]

    def run(crop: tf.Tensor, v: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(crop)
            embedding = model(crop, training=False)
        gradient = tape.gradient(embedding, crop, output_gradients=v)
        return tf.identity(embedding, name="embedding"), tf.identity(gradient, name="gradient")

    _write(tf.function(run, input_signature=signature), path, handlers=_GRADIENTS)


def export_forward(gradient: Path, path: Path) -> None:
    """Write crop -> embedding, the part of an exported gradient that comes before the way back."""
    both = onnx.load(gradient)
    forward = onnx.utils.Extractor(both).extract_model(["crop"], [both.graph.output[0].name])
    write_new([(path, forward.SerializeToString())], force=True)


def _write(
    function: tf.types.experimental.PolymorphicFunction,
    path: Path,
    halve: bool = False,
    handlers: dict[str, Handler] | None = None,
) -> None:
    frozen = convert_variables_to_constants_v2(function.get_concrete_function())
    graph = frozen.graph.as_graph_def()
    _fold_shapes(graph, frozen)
    model, _ = tf2onnx.convert._convert_common(
        graph,
        name="veilkey",
        opset=OPSET,
        input_names=[tensor.name for tensor in frozen.inputs],
        output_names=[tensor.name for tensor in frozen.outputs],
        custom_op_handlers=handlers,
    )
    _rename(model)
    if halve:
        _store_as_float16(model)
    onnx.checker.check_model(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_new([(path, model.SerializeToString())], force=True)


def _fold_shapes(definition: tf.compat.v1.GraphDef, function: Any) -> None:
    """Replace Shape, ShapeN and ConcatOffset nodes by what they say: all shapes are fixed, and tf2onnx lacks the latter
    two."""
    nodes = [node for node in definition.node if node.op in ("Shape", "ShapeN", "ConcatOffset")]
    outputs = [function.graph.get_operation_by_name(node.name).outputs for node in nodes]
    blank = {tensor.name: np.zeros(tensor.shape, np.float32) for tensor in function.inputs}
    with tf.compat.v1.Session(graph=function.graph) as session:
        found = session.run(outputs, blank)
    for node, values in zip(nodes, found, strict=True):
        for output, value in enumerate(values):
            name = node.name if output == 0 else f"{node.name}__{output}"
            constant = definition.node.add(op="Const", name=f"{name}__shape")
            constant.attr["dtype"].type = tf.int32.as_datatype_enum
            constant.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(np.array(value, np.int32)))
            old = {node.name, f"{node.name}:0"} if output == 0 else {f"{node.name}:{output}"}
            for user in definition.node:
                for at, source in enumerate(user.input):
                    if source in old:
                        user.input[at] = constant.name
        definition.node.remove(node)


def _write_convolution_gradient(graph: Any, node: Any, *_: object) -> None:
    """Write the gradient of a convolution by its input: a transposed convolution, perhaps with a bias that tf2onnx has
    drawn into it. It lacks the depthwise one.

    Where the stride is 1 that is a convolution with the turned kernel, for which onnxruntime has a faster path.
    """
    constant = node.inputs[1]
    while constant.type == "Identity":
        constant = constant.inputs[0]
    kernel = constant.get_tensor_value(as_list=False).transpose(2, 3, 0, 1)  # (C, 1, h, w), or (in, out, h, w)
    groups = len(kernel) if node.type == "DepthwiseConv2dNativeBackpropInput" else 1
    (name, output), (_, _, slope, *bias) = (node.name, node.output[0]), node.input
    shape, kind = graph.get_shape(output), graph.get_dtype(output)
    sides, strides = np.array(kernel.shape[2:]), np.array(node.get_attr_value("strides")[1:3])
    spare = (np.array(graph.get_shape(slope)[1:3]) - 1) * strides + sides - shape[1:3]
    if (strides == 1).all():
        before, after = sides - 1 - spare // 2, sides - 1 - (spare - spare // 2)
        operation, kernel = "Conv", kernel[:, :, ::-1, ::-1]
    else:
        before, after = spare // 2, spare - spare // 2
        operation, kernel = "ConvTranspose", kernel if groups > 1 else kernel.swapaxes(0, 1)
    graph.remove_node(name)
    first = graph.make_node("Transpose", [slope], {"perm": [0, 3, 1, 2]}).output[0]
    weights = graph.make_const(f"{name}__kernel", np.ascontiguousarray(kernel)).output[0]
    attributes = {"group": groups, "strides": strides.tolist(), "pads": [*before.tolist(), *after.tolist()]}
    turned = graph.make_node(operation, [first, weights, *bias], attributes).output[0]
    graph.make_node(
        "Transpose", [turned], {"perm": [0, 2, 3, 1]}, name=name, outputs=[output], shapes=[shape], dtypes=[kind]
    )


def _write_relu_gradient(graph: Any, node: Any, *_: object) -> None:
    """Write the gradient of a ReLU, which tf2onnx lacks: what comes back, where the ReLU let something through."""
    (name, output), (slope, features) = (node.name, node.output[0]), node.input
    shape, kind = graph.get_shape(output), graph.get_dtype(output)
    zero = graph.make_const(f"{name}__zero", np.float32(0)).output[0]
    above = graph.make_node("Greater", [features, zero]).output[0]
    passes = graph.make_node("Cast", [above], {"to": kind}).output[0]
    graph.remove_node(name)
    graph.make_node("Mul", [slope, passes], name=name, outputs=[output], shapes=[shape], dtypes=[kind])


def _write_leaky_relu_gradient(graph: Any, node: Any, *_: object) -> None:
    """Write the gradient of a leaky ReLU: what comes back, less of it where the unit leaked.

    What it is multiplied by comes of the map's sign by convolutions of each channel by itself: other operations on a
    whole map make onnxruntime lay it out anew before and after.
    """
    (name, output), (slope, features) = (node.name, node.output[0]), node.input
    shape, kind, alpha = graph.get_shape(output), graph.get_dtype(output), node.get_attr_value("alpha")
    channels = shape[-1]
    # What left the unit has the sign of what came in, which only the unit reads then, so that it can be made part of
    # the convolution before.
    (unit,) = (user for user in graph.find_output_consumers(features) if user.type == "LeakyRelu")

    def scale(x: str, factor: float, shift: float, what: str) -> str:
        kernel = graph.make_const(f"{name}__{what}", np.full((channels, 1, 1, 1), factor, np.float32)).output[0]
        bias = graph.make_const(f"{name}__{what}_bias", np.full(channels, shift, np.float32)).output[0]
        scaled: str = graph.make_node("Conv", [x, kernel, bias], {"group": channels}).output[0]
        return scaled

    graph.remove_node(name)
    first = graph.make_node("Transpose", unit.output, {"perm": [0, 3, 1, 2]}).output[0]
    sign = graph.make_node("Tanh", [scale(first, STEEP, 0.0, "steep")]).output[0]
    passes = scale(sign, (1 - alpha) / 2, (1 + alpha) / 2, "passes")
    last = graph.make_node("Transpose", [passes], {"perm": [0, 2, 3, 1]}).output[0]
    graph.make_node("Mul", [slope, last], name=name, outputs=[output], shapes=[shape], dtypes=[kind])


_GRADIENTS: dict[str, Handler] = {
    "Conv2DBackpropInput": (_write_convolution_gradient, []),
    "DepthwiseConv2dNativeBackpropInput": (_write_convolution_gradient, []),
    "ReluGrad": (_write_relu_gradient, []),
    "LeakyReluGrad": (_write_leaky_relu_gradient, []),
}


def _rename(model: onnx.ModelProto) -> None:
    """Drop the ":0" that TensorFlow hangs on the names of inputs and outputs."""
    short = {value.name: value.name.split(":")[0] for value in (*model.graph.input, *model.graph.output)}
    for value in (*model.graph.input, *model.graph.output):
        value.name = short[value.name]
    for node in model.graph.node:
        node.input[:] = [short.get(name, name) for name in node.input]
        node.output[:] = [short.get(name, name) for name in node.output]


def _store_as_float16(model: onnx.ModelProto) -> None:
    """Keep large weights that lose nothing by it as float16, as they ship, and cast them back where they are used."""
    casts = []
    for initializer in model.graph.initializer:
        values = onnx.numpy_helper.to_array(initializer)
        if values.dtype != np.float32 or values.size < 1000 or np.any(values != values.astype(np.float16)):
            continue
        name = initializer.name
        initializer.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}__half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}__half"], [name], to=onnx.TensorProto.FLOAT))
    # In front of all others, as the checker wants nodes in the order of their use.
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
