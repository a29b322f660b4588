"""FaceNet in Keras, weights read from its frozen TensorFlow graph: what gradients come from.

The network is Inception-ResNet v1 (Szegedy et al., "Inception-v4, Inception-ResNet and the impact of residual
connections on learning", 2016). The graph's layers are called as in that paper's code.
"""

from pathlib import Path

import keras
import numpy as np
from keras import KerasTensor, ops

from veilkey.recognizers.facenet import FaceNet
from veilkey.recognizers.port_layers import (
    concatenate,
    convolve,
    dense,
    max_pool_3_2,
    mean,
    spare_the_remapper,
)
from veilkey.recognizers.store import model_file


def build(batch_size: int | None = None) -> keras.Model:
    """The network: (N, 160, 160, 3) float32 RGB in 0..255 -> (N, 512) float32 embeddings, not normalised."""
    spare_the_remapper()
    weights = read_weights(model_file("facenet"))
    image = keras.Input((FaceNet.input_size, FaceNet.input_size, 3), batch_size=batch_size)
    x = (image - 127.5) / 128.0
    x = _convolve(x, weights, "Conv2d_1a_3x3", stride=2, padding="valid")
    x = _convolve(x, weights, "Conv2d_2a_3x3", padding="valid")
    x = _convolve(x, weights, "Conv2d_2b_3x3")
    x = max_pool_3_2(x)
    x = _convolve(x, weights, "Conv2d_3b_1x1")
    x = _convolve(x, weights, "Conv2d_4a_3x3", padding="valid")
    x = _convolve(x, weights, "Conv2d_4b_3x3", stride=2, padding="valid")
    for number in range(1, 6):
        x = ops.relu(_residual(x, weights, f"Repeat/block35_{number}"))
    x = concatenate([*_branches(x, weights, "Mixed_6a"), max_pool_3_2(x)])
    for number in range(1, 11):
        x = ops.relu(_residual(x, weights, f"Repeat_1/block17_{number}"))
    x = concatenate([*_branches(x, weights, "Mixed_7a"), max_pool_3_2(x)])
    for number in range(1, 6):
        x = ops.relu(_residual(x, weights, f"Repeat_2/block8_{number}"))
    x = mean(_residual(x, weights, "Block8"))
    # Batch normalisation is part of the graph's convolutions already, but not of its dense layer: without a scale, with
    # an epsilon of 0.001.
    scale = 1 / np.sqrt(weights["Bottleneck/BatchNorm/moving_variance"] + 0.001)
    shift = weights["Bottleneck/BatchNorm/beta"] - weights["Bottleneck/BatchNorm/moving_mean"] * scale
    return keras.Model(image, dense(x, weights["Bottleneck/weights"] * scale, shift), name="facenet")


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """All constants of the frozen graph by their names, without the network's own."""
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    return {
        node.name.removeprefix("InceptionResnetV1/"): tf.make_ndarray(node.attr["value"].tensor)
        for node in graph.node
        if node.op == "Const"
    }


def _convolve(
    x: KerasTensor, weights: dict[str, np.ndarray], name: str, stride: int = 1, padding: str = "same"
) -> KerasTensor:
    return ops.relu(convolve(x, weights[f"{name}/weights"], weights[f"{name}/Conv2D_bn_offset"], stride, padding))


def _residual(x: KerasTensor, weights: dict[str, np.ndarray], block: str) -> KerasTensor:
    scale = weights[f"{block}/mul/x"]
    kernel, bias = weights[f"{block}/Conv2d_1x1/weights"], weights[f"{block}/Conv2d_1x1/biases"]
    return x + convolve(concatenate(_branches(x, weights, block)), kernel * scale, bias * scale)


def _branches(x: KerasTensor, weights: dict[str, np.ndarray], block: str) -> list[KerasTensor]:
    """Each branch's convolutions, whose names (Conv2d_0a_1x1, Conv2d_0b_3x3, ...) sort by their order.

    Those called Conv2d_1a halve the resolution.
    """
    ends: list[KerasTensor] = []
    while names := sorted(
        name.removesuffix("/weights")
        for name in weights
        if name.startswith(f"{block}/Branch_{len(ends)}/") and name.endswith("/weights")
    ):
        y = x
        for name in names:
            halves = "/Conv2d_1a_" in name
            y = _convolve(y, weights, name, 2 if halves else 1, "valid" if halves else "same")
        ends.append(y)
    return ends
