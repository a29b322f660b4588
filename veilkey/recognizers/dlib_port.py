"""dlib's ResNet-29 in Keras, weights read from the .dat file: what networks train against and gradients come from.

Written so that the gradient can be exported (see export.py): ReLU multiplies by a constant mask, max pooling is a
chain of pairwise maxima, and no operation has a gradient that ONNX lacks.
"""

from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

from veilkey.recognizers.dlib_resnet import DlibResNet, weights_file
from veilkey.recognizers.dlib_weights import Layer, read_layers

MEAN_RGB = (122.782, 117.001, 104.298)
# Filters of each residual block, and whether it halves the resolution.
BLOCKS = (
    [(32, False)] * 3 + [(64, True)] + [(64, False)] * 3 + [(128, True)] + [(128, False)] * 2
    + [(256, True)] + [(256, False)] * 2 + [(256, True)]
)  # fmt: skip


def build(batch_size: int | None = None) -> keras.Model:
    """The network: (N, 150, 150, 3) float32 RGB in 0..255 -> (N, 128) float32 embeddings."""
    _spare_the_remapper()
    size = DlibResNet.input_size
    layers = iter(read_layers(weights_file()))
    image = keras.Input((size, size, 3), batch_size=batch_size)
    x = (image - ops.convert_to_tensor(np.array(MEAN_RGB, "float32"))) / 256.0
    x = _relu(_convolve(x, layers, 32, 7, stride=2))
    x = _max_pool_3_2(x)
    for filters, down in BLOCKS:
        x = _block(x, layers, filters, down)
    x = ops.sum(x, axis=(1, 2)) / float(x.shape[1] * x.shape[2])
    weights = next(layers).values.reshape(-1, DlibResNet.dimension)
    embedding = keras.layers.Dense(DlibResNet.dimension, use_bias=False, trainable=False)
    x = embedding(x)
    embedding.set_weights([weights])
    return keras.Model(image, x, name="dlib_resnet29")


def _spare_the_remapper() -> None:
    """TensorFlow 2.21's graph optimizer fuses this network's first layers into one that crashes on CPUs; forbid it."""
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.optimizer.set_experimental_options({"remapping": False})


def _block(x: keras.KerasTensor, layers: Iterator[Layer], filters: int, down: bool) -> keras.KerasTensor:
    y = _relu(_convolve(x, layers, filters, 3, stride=2 if down else 1))
    y = _convolve(y, layers, filters, 3, stride=1)
    if down:
        x = _average_pool_2(x)
    # dlib adds maps of different size as if the smaller ones were filled up with zeros.
    height, width, depth = (max(a, b) for a, b in zip(x.shape[1:], y.shape[1:], strict=True))
    return _relu(_fill(x, height, width, depth) + _fill(y, height, width, depth))


def _fill(x: keras.KerasTensor, height: int, width: int, depth: int) -> keras.KerasTensor:
    missing = [(0, 0), (0, height - x.shape[1]), (0, width - x.shape[2]), (0, depth - x.shape[3])]
    return ops.pad(x, missing) if any(after for _, after in missing) else x


def _convolve(x: keras.KerasTensor, layers: Iterator[Layer], filters: int, size: int, stride: int) -> keras.KerasTensor:
    """Convolution and the affine layer after it, folded into one. dlib pads where the stride is 1, and only there."""
    values, affine = next(layers).values, next(layers).values
    gamma, beta = affine[:filters], affine[filters:]
    kernel = values[:-filters].reshape(filters, x.shape[-1], size, size).transpose(2, 3, 1, 0)
    bias = values[-filters:]
    return _fixed(x, kernel * gamma, bias * gamma + beta, (stride, stride), "same" if stride == 1 else "valid")


def _fixed(
    x: keras.KerasTensor, kernel: np.ndarray, bias: np.ndarray, strides: tuple[int, int], padding: str = "valid"
) -> keras.KerasTensor:
    """Convolution with given weights.

    Where a stride does not reach the last rows, the kernel grows by zeros until it does: the gradient then has the
    input's size without the negative padding that ONNX runtimes refuse.
    """
    if padding == "valid":
        short = [(n - k) % stride for n, k, stride in zip(x.shape[1:3], kernel.shape[:2], strides, strict=True)]
        kernel = np.pad(kernel, [(0, short[0]), (0, short[1]), (0, 0), (0, 0)])
    layer = keras.layers.Conv2D(kernel.shape[-1], kernel.shape[:2], strides, padding, trainable=False)
    y = layer(x)
    layer.set_weights([kernel, bias])
    return y


def _relu(x: keras.KerasTensor) -> keras.KerasTensor:
    return x * ops.stop_gradient(ops.cast(x > 0, "float32"))


def _average_pool_2(x: keras.KerasTensor) -> keras.KerasTensor:
    depth = x.shape[-1]
    kernel = np.broadcast_to(np.eye(depth) / 4, (2, 2, depth, depth))
    return _fixed(x, kernel, np.zeros(depth), (2, 2))


def _max_pool_3_2(x: keras.KerasTensor) -> keras.KerasTensor:
    """3x3 maximum with stride 2, along one axis at a time, over copies shifted by identity kernels."""
    depth = x.shape[-1]
    for axis in (0, 1):
        shape, strides = [1, 1], [1, 1]
        shape[axis], strides[axis] = 3, 2
        best = None
        for shift in range(3):
            kernel = np.zeros((3, depth, depth))
            kernel[shift] = np.eye(depth)
            part = _fixed(x, kernel.reshape(*shape, depth, depth), np.zeros(depth), (strides[0], strides[1]))
            best = part if best is None else _maximum(best, part)
        x = best
    return x


def _maximum(a: keras.KerasTensor, b: keras.KerasTensor) -> keras.KerasTensor:
    first = ops.stop_gradient(ops.cast(a >= b, "float32"))
    return a * first + b * (1.0 - first)
