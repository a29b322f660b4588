"""Layers with given weights that the ports are built of: exact, and written so that their gradients can be exported.

PReLU multiplies by a slope that counts as constant, pooling and joining are splits, sums and pairwise maxima, and no
operation has a gradient that ONNX lacks and export.py does not write. Maps are (N, height, width, channels).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import KerasTensor, ops


@dataclass(frozen=True)
class Convolution:
    """A convolution and the PReLU after it, as the weights' readers give them; all float32.

    kernel: (height, width, inputs, outputs), or (height, width, channels) where it is depthwise. bias: (outputs,).
    slope: (outputs,), what negative values are multiplied by; None where no PReLU follows.
    """

    kernel: np.ndarray
    bias: np.ndarray
    slope: np.ndarray | None


def spare_the_remapper() -> None:
    """TensorFlow 2.21's graph optimizer fuses the ports' first layers into one that crashes on CPUs; forbid it."""
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.optimizer.set_experimental_options({"remapping": False})


def apply(x: KerasTensor, given: Convolution, stride: int = 1, padding: str = "same") -> KerasTensor:
    """A convolution as read from a file, full or depthwise, and its PReLU."""
    kind = depthwise if given.kernel.ndim == 3 else convolve
    y = kind(x, given.kernel, given.bias, stride, padding)
    return y if given.slope is None else prelu(y, given.slope)


def convolve(
    x: KerasTensor, kernel: np.ndarray, bias: np.ndarray, stride: int = 1, padding: str = "valid"
) -> KerasTensor:
    """Convolution with a kernel (height, width, inputs, outputs) and a bias (outputs,)."""
    layer = keras.layers.Conv2D(kernel.shape[-1], kernel.shape[:2], stride, padding, trainable=False)
    y = layer(_reached(x, kernel, stride) if padding == "valid" else x)
    layer.set_weights([kernel, bias])
    return y


def depthwise(
    x: KerasTensor, kernel: np.ndarray, bias: np.ndarray, stride: int = 1, padding: str = "valid"
) -> KerasTensor:
    """Convolution of each channel by itself, with a kernel (height, width, channels) and a bias (channels,)."""
    layer = keras.layers.DepthwiseConv2D(kernel.shape[:2], stride, padding, trainable=False)
    y = layer(_reached(x, kernel, stride) if padding == "valid" else x)
    layer.set_weights([kernel[..., None], bias])
    return y


def dense(x: KerasTensor, weights: np.ndarray, bias: np.ndarray) -> KerasTensor:
    """Product of (N, inputs) with weights (inputs, outputs), plus a bias (outputs,)."""
    layer = keras.layers.Dense(weights.shape[1], trainable=False)
    y = layer(x)
    layer.set_weights([weights, bias])
    return y


def prelu(x: KerasTensor, slope: np.ndarray) -> KerasTensor:
    """Negative values times their channel's slope (channels,)."""
    rest = ops.convert_to_tensor(1 - slope)
    return x * ops.stop_gradient(ops.convert_to_tensor(slope) + rest * ops.cast(x > 0, "float32"))


def max_pool_3_2(x: KerasTensor) -> KerasTensor:
    """3x3 maximum with stride 2 and without padding, along one axis at a time."""
    for axis in (1, 2):
        count = (x.shape[axis] - 1) // 2
        even, odd = _pairs(x, axis, count + 1)
        first, _ = ops.split(_maximum(even, odd), [count], axis)
        _, next_even = ops.split(even, [1], axis)
        x = _maximum(first, next_even)
    return x


def mean(x: KerasTensor) -> KerasTensor:
    """Mean over the map: (N, height, width, channels) -> (N, channels)."""
    return ops.sum(x, axis=(1, 2)) / float(x.shape[1] * x.shape[2])


def concatenate(parts: Sequence[KerasTensor]) -> KerasTensor:
    """Maps behind one another along the channels: each filled up with zeros, and added."""
    total, before, joined = sum(part.shape[-1] for part in parts), 0, None
    for part in parts:
        after = total - before - part.shape[-1]
        filled = ops.pad(part, [(0, 0), (0, 0), (0, 0), (before, after)])
        joined = filled if joined is None else joined + filled
        before += part.shape[-1]
    return joined


def _reached(x: KerasTensor, kernel: np.ndarray, stride: int) -> KerasTensor:
    """The part of a map that a kernel reaches in strides.

    The rows behind it would make the gradient a transposed convolution with negative padding, which ONNX runtimes
    refuse.
    """
    for axis in (1, 2):
        rest = (x.shape[axis] - kernel.shape[axis - 1]) % stride
        if rest:
            x, _ = ops.split(x, [x.shape[axis] - rest], axis)
    return x


def _pairs(x: KerasTensor, axis: int, count: int) -> tuple[KerasTensor, KerasTensor]:
    """The first `count` even and the first `count` odd rows along an axis; zeros where there is one row too few."""
    missing = 2 * count - x.shape[axis]
    if missing:
        x = ops.pad(x, [(0, missing if at == axis else 0) for at in range(4)])
    shape = [-1, *x.shape[1:]]
    shape[axis : axis + 1] = [count, 2]
    even, odd = ops.split(ops.reshape(x, shape), 2, axis + 1)
    return ops.squeeze(even, axis + 1), ops.squeeze(odd, axis + 1)


def _maximum(a: KerasTensor, b: KerasTensor) -> KerasTensor:
    first = ops.stop_gradient(ops.cast(a >= b, "float32"))
    return a * first + b * (1.0 - first)
