"""The Perturbation Generation Network: a DCGAN-style generator (Radford, Metz, Chintala 2016) in five stages."""

import keras
from keras import layers, ops

from perturbation_gen.noise import SIZE

CROP = 256
MAX_RESIDUAL = 32.0


def build_generator(dimension: int, batch_size: int | None = None) -> keras.Model:
    """The generator up to its residual; `XorLayer` is the fifth stage.

    Inputs, all float32:
        crop (N, 256, 256, 3): RGB in 0..255.
        noise (N, 128, 128, 3): mean 0, deviation 1.
        saliency (N, 128, 128, 6): two looks at how each pixel moves the face to the target, as of `conditions`.
        gate (N, 128, 128, 1): the template, 0..1.
        own, target (N, dimension): unit vectors to the face's own identity and to the synthetic one.
    Output: residual (N, 128, 128, 3) in +-32 grey levels, 0 outside the gate.
    """
    crop = keras.Input((CROP, CROP, 3), batch_size=batch_size, name="crop")
    noise = keras.Input((SIZE, SIZE, 3), batch_size=batch_size, name="noise")
    saliency = keras.Input((SIZE, SIZE, 6), batch_size=batch_size, name="saliency")
    gate = keras.Input((SIZE, SIZE, 1), batch_size=batch_size, name="gate")
    own = keras.Input((dimension,), batch_size=batch_size, name="own")
    target = keras.Input((dimension,), batch_size=batch_size, name="target")
    way = layers.Concatenate()([own, target]) * float(dimension) ** 0.5
    identity = layers.Reshape((1, 1, 2 * dimension))(way)

    # 1: everything at 128x128, then down.
    face = layers.LeakyReLU(0.2)(layers.Conv2D(16, 4, 2, "same")(crop / 128.0 - 1.0))
    seen = layers.Concatenate()([face, noise, saliency, gate])
    one = layers.LeakyReLU(0.2)(_norm(layers.Conv2D(48, 4, 2, "same", use_bias=False)(seen)))
    # 2: down once more; the identity steers.
    two = layers.LeakyReLU(0.2)(_steer(layers.Conv2D(96, 4, 2, "same", use_bias=False)(one), identity))
    # 3: up.
    three = layers.LeakyReLU(0.2)(_steer(layers.Conv2D(96, 3, 1, "same", use_bias=False)(two), identity))
    three = layers.ReLU()(_norm(layers.Conv2DTranspose(48, 4, 2, "same", use_bias=False)(three)))
    # 4: up, and through the template's gate.
    four = layers.Concatenate()([three, one])
    four = layers.ReLU()(_norm(layers.Conv2DTranspose(24, 4, 2, "same", use_bias=False)(four)))
    residual = layers.Conv2D(3, 3, 1, "same")(layers.Concatenate()([four, seen]))
    # What plain steps would do is known; the network learns what they miss.
    plain = 0.8 * saliency[..., :3] + saliency[..., 3:]
    residual = ops.tanh(residual + 0.2 * plain) * MAX_RESIDUAL * gate
    return keras.Model([crop, noise, saliency, gate, own, target], residual, name="perturbation_generation_network")


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


def _steer(x: keras.KerasTensor, identity: keras.KerasTensor) -> keras.KerasTensor:
    """Batch normalisation whose scale and shift come from the identity, by 1x1 convolutions of a 1x1 map."""
    x = layers.BatchNormalization(momentum=0.9, center=False, scale=False)(x)
    scale = layers.Conv2D(x.shape[-1], 1)(identity)
    shift = layers.Conv2D(x.shape[-1], 1)(identity)
    return x * (1.0 + scale) + shift
