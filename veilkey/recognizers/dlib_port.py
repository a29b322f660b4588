"""dlib's ResNet-29 in Keras, weights read from the .dat file: what networks train against and gradients come from."""

from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

from veilkey.recognizers.dlib_resnet import DlibResNet, weights_file
from veilkey.recognizers.dlib_weights import Layer, read_layers
from veilkey.recognizers.port_layers import convolve, dense, depthwise, max_pool_3_2, mean, spare_the_remapper

MEAN_RGB = (122.782, 117.001, 104.298)
# Filters of each residual block, and whether it halves the resolution.
BLOCKS = (
    [(32, False)] * 3 + [(64, True)] + [(64, False)] * 3 + [(128, True)] + [(128, False)] * 2
    + [(256, True)] + [(256, False)] * 2 + [(256, True)]
)  # fmt: skip


def build(batch_size: int | None = None) -> keras.Model:
    """The network: (N, 150, 150, 3) float32 RGB in 0..255 -> (N, 128) float32 embeddings."""
    spare_the_remapper()
    size = DlibResNet.input_size
    layers = iter(read_layers(weights_file()))
    image = keras.Input((size, size, 3), batch_size=batch_size)
    x = (image - ops.convert_to_tensor(np.array(MEAN_RGB, "float32"))) / 256.0
    x = ops.relu(_convolve(x, layers, 32, 7, stride=2))
    x = max_pool_3_2(x)
    for filters, down in BLOCKS:
        x = _block(x, layers, filters, down)
    weights = next(layers).values.reshape(-1, DlibResNet.dimension)
    embedding = dense(mean(x), weights, np.zeros(DlibResNet.dimension))
    return keras.Model(image, embedding, name="dlib_resnet29")


def _block(x: keras.KerasTensor, layers: Iterator[Layer], filters: int, down: bool) -> keras.KerasTensor:
    y = ops.relu(_convolve(x, layers, filters, 3, stride=2 if down else 1))
    y = _convolve(y, layers, filters, 3, stride=1)
    if down:
        x = _average_pool_2(x)
    # dlib adds maps of different size as if the smaller ones were filled up with zeros.
    height, width, depth = (max(a, b) for a, b in zip(x.shape[1:], y.shape[1:], strict=True))
    return ops.relu(_fill(x, height, width, depth) + _fill(y, height, width, depth))


def _fill(x: keras.KerasTensor, height: int, width: int, depth: int) -> keras.KerasTensor:
    missing = [(0, 0), (0, height - x.shape[1]), (0, width - x.shape[2]), (0, depth - x.shape[3])]
    return ops.pad(x, missing) if any(after for _, after in missing) else x


def _convolve(x: keras.KerasTensor, layers: Iterator[Layer], filters: int, size: int, stride: int) -> keras.KerasTensor:
    """Convolution and the affine layer after it, folded into one. dlib pads where the stride is 1, and only there."""
    values, affine = next(layers).values, next(layers).values
    gamma, beta = affine[:filters], affine[filters:]
    kernel = values[:-filters].reshape(filters, x.shape[-1], size, size).transpose(2, 3, 1, 0)
    bias = values[-filters:]
    return convolve(x, kernel * gamma, bias * gamma + beta, stride, "same" if stride == 1 else "valid")


def _average_pool_2(x: keras.KerasTensor) -> keras.KerasTensor:
    depth = x.shape[-1]
    return depthwise(x, np.full((2, 2, depth), 0.25), np.zeros(depth), 2)
