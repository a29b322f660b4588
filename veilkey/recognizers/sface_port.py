"""SFace, a MobileNet, in Keras, weights read from its .onnx file: what gradients come from."""

import keras
from keras import ops

from veilkey.recognizers.port_layers import apply, spare_the_remapper
from veilkey.recognizers.sface import SFace
from veilkey.recognizers.sface_weights import read_layers
from veilkey.recognizers.store import model_file

# Which of the depthwise convolutions, counted from 0, halve the resolution.
HALVING = (1, 3, 5, 11)


def build(batch_size: int | None = None) -> keras.Model:
    """The network: (N, 112, 112, 3) float32 RGB in 0..255 -> (N, 128) float32 embeddings, not normalised."""
    spare_the_remapper()
    first, *layers, last = read_layers(model_file("sface"))
    image = keras.Input((SFace.input_size, SFace.input_size, 3), batch_size=batch_size)
    x = apply((image - 127.5) / 128.0, first)
    for number, (depthwise, pointwise) in enumerate(zip(layers[::2], layers[1::2], strict=True)):
        if number in HALVING:
            # A row and a column of zeros before, none after: Keras' own padding has them after.
            x = apply(ops.pad(x, [(0, 0), (1, 0), (1, 0), (0, 0)]), depthwise, 2, "valid")
        else:
            x = apply(x, depthwise)
        x = apply(x, pointwise)
    x = apply(x, last, padding="valid")
    return keras.Model(image, ops.reshape(x, (-1, SFace.dimension)), name="sface")
