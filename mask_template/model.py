"""The Mask Template Network of Wang, Bai, Sun, Liu, "Privacy protection based on mask template", in Keras."""

import keras
from keras import layers, ops

from mask_template.grid import BLOCKS, CROP
from mask_template.network import HEADS

L2 = 1e-5


def build(batch_size: int | None = None) -> keras.Model:
    """VGG-style network: (N, 256, 256, 3) float32 RGB in 0..255 -> (N, 4, 4096) float32.

    A distribution over the blocks for each recognizer of HEADS. 4x4 filters, same padding, batch normalisation in each
    layer. A 1x1 convolution narrows the last map before the dense layers, without which they would hold 30 million
    parameters a head; the whole has 5.4 million. All but the last layer, named for its recognizer, is shared.
    """
    image = keras.Input((CROP, CROP, 3), batch_size=batch_size)
    x = layers.Rescaling(1 / 128.0, -1.0)(image)
    for filters in (16, 16):
        x = _layer(x, filters)
    x = layers.MaxPooling2D()(x)
    x = _layer(x, 64)
    x = layers.MaxPooling2D()(x)
    x = layers.MaxPooling2D()(x)
    x = _layer(x, 128)
    x = layers.MaxPooling2D()(x)
    x = layers.Conv2D(16, 1, kernel_regularizer=keras.regularizers.L2(L2))(x)
    x = layers.Flatten()(x)
    x = layers.Dense(256, activation="relu", kernel_regularizer=keras.regularizers.L2(L2))(x)
    heads = [layers.Dense(BLOCKS, kernel_regularizer=keras.regularizers.L2(L2), name=name)(x) for name in HEADS]
    return keras.Model(image, layers.Softmax()(ops.stack(heads, axis=1)), name="mask_template_network")


def squared_error(truth: keras.KerasTensor, predicted: keras.KerasTensor) -> keras.KerasTensor:
    """Equation 4 of the paper: the squared error (N, 4) of each distribution of (N, 4, 4096).

    Equation 5 adds the L2 terms of the layers. In units of the uniform distribution, so that its size does not depend
    on the number of blocks.
    """
    return ops.mean(ops.square((truth - predicted) * BLOCKS), axis=-1)


def _layer(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    x = layers.Conv2D(filters, 4, padding="same", use_bias=False, kernel_regularizer=keras.regularizers.L2(L2))(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.ReLU()(x)
