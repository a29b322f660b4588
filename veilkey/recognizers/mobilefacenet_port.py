"""MobileFaceNet in Keras, weights read from its .tflite file: what gradients come from."""

import keras
from keras import ops

from veilkey.recognizers.mobilefacenet import MobileFaceNet
from veilkey.recognizers.mobilefacenet_weights import read_layers
from veilkey.recognizers.port_layers import apply, spare_the_remapper
from veilkey.recognizers.store import model_file

# Strides of the bottlenecks between the first three convolutions and the last three. Those of stride 1 are residual.
STRIDES = (2, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1)


def build(batch_size: int | None = None) -> keras.Model:
    """The network: (N, 112, 112, 3) float32 RGB in 0..255 -> (N, 192) float32 embeddings, not normalised."""
    spare_the_remapper()
    layers = iter(read_layers(model_file("mobilefacenet")))
    image = keras.Input((MobileFaceNet.input_size, MobileFaceNet.input_size, 3), batch_size=batch_size)
    x = (image - 127.5) / 128.0
    x = apply(x, next(layers), stride=2)
    x = apply(apply(x, next(layers)), next(layers))
    for stride in STRIDES:
        y = apply(x, next(layers))
        y = apply(y, next(layers), stride)
        y = apply(y, next(layers))
        x = x + y if stride == 1 else y
    x = apply(x, next(layers))
    for layer in layers:
        x = apply(x, layer, padding="valid")
    return keras.Model(image, ops.reshape(x, (-1, MobileFaceNet.dimension)), name="mobilefacenet")
