"""Reader for SFace's .onnx file: its layers with batch normalisation folded in, their int8 weights as float32."""

from pathlib import Path

import numpy as np
import onnx

from veilkey.recognizers.port_layers import Convolution

# What its convolutions are called, from the input to the output: a full one, then pairs of a depthwise and a 1x1 one.
NAMES = ["conv_1", *(f"conv_{number}{kind}" for number in range(2, 15) for kind in ("_dw", ""))]


def read_layers(path: Path) -> list[Convolution]:
    """All convolutions, from the input to the output, each with its PReLU; the dense layer comes as a 7x7 one."""
    graph = onnx.load(path).graph
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    layers = []
    for name in NAMES:
        scale, shift = _normalisation(values, f"{name}_batchnorm", 1e-3)
        kernel = _dequantized(values, f"{name}_conv2d_weight").reshape(values[f"{name}_conv2d_weight_shape"])
        kernel = (kernel * scale[:, None, None, None]).transpose(2, 3, 1, 0)
        if name.endswith("_dw"):
            kernel = kernel[:, :, 0]
        layers.append(Convolution(kernel, shift, values[f"{name}_relu_gamma"].ravel()))
    # The dense layer stands between two normalisations, and takes the map channel by channel.
    before, offset = _normalisation(values, "bn1", 2e-5)
    after, shift = _normalisation(values, "fc1", 2e-5)
    dense = _dequantized(values, "pre_fc1_weight").reshape(after.size, before.size, 7, 7)
    bias = dense.sum((2, 3)) @ offset + _dequantized(values, "pre_fc1_bias")
    dense = dense * after[:, None, None, None] * before[:, None, None]
    layers.append(Convolution(dense.transpose(2, 3, 1, 0), bias * after + shift, None))
    return layers


def _normalisation(values: dict[str, np.ndarray], name: str, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """Batch normalisation as a scale and a shift of each channel."""
    scale = values[f"{name}_gamma"] / np.sqrt(values[f"{name}_moving_var"] + epsilon)
    return scale, values[f"{name}_beta"] - values[f"{name}_moving_mean"] * scale


def _dequantized(values: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Weights from int8 and the scale and zero of each block along the last axis (ONNX's DequantizeLinear)."""
    quantized, scales, zeros = (values[f"{name}_{part}"] for part in ("quantized", "scales", "zero_point"))
    blocks = quantized.reshape(*scales.shape, -1).astype(np.float32)
    return ((blocks - zeros[..., None]) * scales[..., None]).reshape(quantized.shape).astype(np.float32)
