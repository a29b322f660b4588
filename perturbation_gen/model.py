"""The Perturbation Generation Network: a DCGAN-style generator (Radford, Metz, Chintala 2016) in five stages."""

import keras
from keras import layers, ops

from mask_template.network import HEADS
from perturbation_gen.noise import SIZE

CROP = 256
MAX_RESIDUAL = 32.0
PLAIN = 0.2
"""How far the residual goes along each look, in shares of MAX_RESIDUAL, before anything is learnt."""


def build_generator(batch_size: int | None = None) -> keras.Model:
    """The generator up to its residual; `XorLayer` is the fifth stage.

    Inputs, all float32:
        crop (N, 256, 256, 3): RGB in 0..255.
        noise (N, 128, 128, 3): mean 0, deviation 1.
        saliency (N, 128, 128, 6): two looks at how each pixel moves the face to the target, as of `conditions`.
        gate (N, 128, 128, 1): the template, 0..1.
        asked (N, R): 1 for each recognizer of HEADS that is attacked, 0 for the others.
    Output: residual (N, 128, 128, 3) in +-32 grey levels, 0 outside the gate.
    """
    crop = keras.Input((CROP, CROP, 3), batch_size=batch_size, name="crop")
    noise = keras.Input((SIZE, SIZE, 3), batch_size=batch_size, name="noise")
    saliency = keras.Input((SIZE, SIZE, 6), batch_size=batch_size, name="saliency")
    gate = keras.Input((SIZE, SIZE, 1), batch_size=batch_size, name="gate")
    asked = keras.Input((len(HEADS),), batch_size=batch_size, name="asked")
    attacked = layers.Reshape((1, 1, len(HEADS)))(asked)

    # 1: everything at 128x128, then down.
    face = layers.LeakyReLU(0.2)(layers.Conv2D(16, 4, 2, "same")(crop / 128.0 - 1.0))
    seen = layers.Concatenate()([face, noise, saliency, gate])
    one = layers.LeakyReLU(0.2)(_norm(layers.Conv2D(48, 4, 2, "same", use_bias=False)(seen)))
    # 2: down once more; who is attacked steers.
    two = layers.LeakyReLU(0.2)(_steer(layers.Conv2D(96, 4, 2, "same", use_bias=False)(one), attacked))
    two = layers.LeakyReLU(0.2)(_steer(layers.Conv2D(96, 3, 1, "same", use_bias=False)(two), attacked))
    # 3: up.
    three = layers.LeakyReLU(0.2)(_steer(layers.Conv2D(96, 3, 1, "same", use_bias=False)(two), attacked))
    three = layers.ReLU()(_norm(layers.Conv2DTranspose(48, 4, 2, "same", use_bias=False)(three)))
    # 4: up, and through the template's gate.
    four = layers.Concatenate()([three, one])
    four = layers.ReLU()(_norm(layers.Conv2DTranspose(24, 4, 2, "same", use_bias=False)(four)))
    # What plain steps would do is known, and where training starts; the network learns how far to go along each look
    # where, and what both miss.
    learnt = layers.Conv2D(5, 3, 1, "same", kernel_initializer="zeros")(layers.Concatenate()([four, seen]))
    plain = (PLAIN + learnt[..., 3:4]) * saliency[..., :3] + (PLAIN + learnt[..., 4:]) * saliency[..., 3:]
    residual = ops.tanh(learnt[..., :3] + plain) * MAX_RESIDUAL * gate
    return keras.Model([crop, noise, saliency, gate, asked], residual, name="perturbation_generation_network")


class XorLayer(layers.Layer):
    """Stage five: bytes of the face XOR the noise plane of a residual.

    Inputs (N, H, W, C): image, whole numbers in 0..255, and residual. The noise plane is image XOR (image + residual),
    so the output is image + residual, rounded and kept in 0..255; backward, the gradient passes straight through.
    """

    def call(self, image: keras.KerasTensor, residual: keras.KerasTensor) -> keras.KerasTensor:
        wished = image + residual
        before = ops.cast(image, "int32")
        noise = ops.bitwise_xor(before, ops.cast(ops.clip(ops.round(wished), 0, 255), "int32"))
        after = ops.cast(ops.bitwise_xor(before, noise), "float32")
        return wished + ops.stop_gradient(after - wished)


def _norm(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.BatchNormalization(momentum=0.9)(x)


def _steer(x: keras.KerasTensor, condition: keras.KerasTensor) -> keras.KerasTensor:
    """Batch normalisation whose scale and shift come from a condition (N, 1, 1, K), by 1x1 convolutions."""
    x = layers.BatchNormalization(momentum=0.9, center=False, scale=False)(x)
    scale = layers.Conv2D(x.shape[-1], 1)(condition)
    shift = layers.Conv2D(x.shape[-1], 1)(condition)
    return x * (1.0 + scale) + shift
