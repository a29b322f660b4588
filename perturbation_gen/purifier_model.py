"""The purifier: a small U-Net that takes the change off a protected face."""

import keras
from keras import layers

from perturbation_gen.purifier import SIDE

FILTERS = (16, 32, 64, 128)
"""At 128, 64, 32 and 16 pixels: few where a convolution is dear."""
BOTTOM = 192
"""Filters at 8 pixels."""
GAIN = 32.0
"""What the last layer's 1 is in grey levels."""


def build_purifier(batch_size: int | None = None) -> keras.Model:
    """A U-Net (Ronneberger, Fischer, Brox 2015) of 1.0 M parameters, (N, 128, 128, 3) float32 RGB -> the same, cleaned.

    It starts as one that changes nothing. Without normalisation it stays one for hundreds of steps; leaky units do not
    die.
    """
    image = keras.Input((SIDE, SIDE, 3), batch_size=batch_size)
    x, ways = (image - 127.5) / 127.5, []
    for number, filters in enumerate(FILTERS):
        x = _convolve(_convolve(x, filters, stride=2 if number else 1), filters)
        ways.append(x)
    x = _convolve(x, BOTTOM, stride=2)
    for filters, way in zip(reversed(FILTERS), reversed(ways), strict=True):
        x = layers.Conv2DTranspose(filters, 2, 2)(x)
        x = _convolve(layers.Concatenate()([x, way]), filters)
    change = layers.Conv2D(3, 3, padding="same", kernel_initializer="zeros")(x)
    return keras.Model(image, image + GAIN * change, name="purifier")


def _convolve(x: keras.KerasTensor, filters: int, stride: int = 1) -> keras.KerasTensor:
    x = layers.Conv2D(filters, 3, stride, "same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.LeakyReLU(0.1)(layers.BatchNormalization(momentum=0.9)(x))
