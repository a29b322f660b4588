"""The training objective of the generator as a Keras graph, with the recognizers' ports as discriminators.

Written without backend calls, so that it trains wherever Keras runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import keras
from keras import layers, ops

from perturbation_gen.model import CROP, XorLayer
from perturbation_gen.refine import MISSING_WEIGHT
from perturbation_gen.target import TARGET_WEIGHT, IdentitySpace

SSIM_WINDOW = 7
CHROMA_WEIGHT = 0.3


@dataclass(frozen=True)
class Discriminator:
    """A recognizer that the generator learns to fool.

    port: (N, S, S, 3) float32 RGB in 0..255 -> embeddings (N, D). leave: distance that a protected face should keep
    from its clean one, euclidean between embeddings as the recognizer compares them, or cosine.
    """

    port: keras.Model
    space: IdentitySpace
    cosine: bool
    leave: float


def build_objective(generator: keras.Model, discriminators: Mapping[str, Discriminator], ssim: float) -> keras.Model:
    """The generator's inputs, (blemish, softness), and for each recognizer NAME (NAME_warp, NAME_own, NAME_target) ->
    loss (N,). The discriminators are those of HEADS, in that order.

    blemish (N, 256, 256, 3): what befalls a photo on its way, added. softness (N, 1): share of a blur by 2 pixels
    of the crop. NAME_warp (N, 8): the projective transform, output to input, from the recognizer's input to the
    crop, jitter included. NAME_own (N, D): embedding of the clean face. NAME_target (N, D): unit vector.

    A face's loss is, of the recognizers that it is to fool, the cosine to its own identity minus TARGET_WEIGHT times
    that to the target; each counts by how much of its margin is missing, as in `refine`. `ssim` is the budget: every
    residual is scaled until its structural similarity to the face is that, so the generator can neither collapse to
    nothing nor buy strength with visibility.
    """
    crop, asked = generator.inputs[0], generator.inputs[-1]
    blemish = keras.Input((CROP, CROP, 3), name="blemish")
    softness = keras.Input((1,), name="softness")

    residual = generator(generator.inputs)
    small = layers.AveragePooling2D(2)(crop)
    cost = 1.0 - similarity(small, small + residual)
    scale = ops.sqrt((1.0 - ssim) / ops.maximum(cost, 1e-5))
    residual = residual * ops.clip(scale, 0.1, 4.0)[:, None, None, None]
    protected = XorLayer()(crop, layers.UpSampling2D(2, interpolation="bilinear")(residual))
    soft = protected
    for _ in range(2):
        soft = layers.AveragePooling2D(5, 1, "same")(soft)
    arrived = protected + softness[:, :, None, None] * (soft - protected) + blemish

    given, losses, missing = [], [], []
    for name, one in discriminators.items():
        warp, own, target = (
            keras.Input(shape, name=f"{name}_{what}")
            for what, shape in (("warp", (8,)), ("own", one.space.mean.shape), ("target", one.space.mean.shape))
        )
        given += [warp, own, target]
        size = one.port.inputs[0].shape[1]
        seen = ops.image.affine_transform(arrived, warp, fill_mode="nearest")[:, :size, :size, :]
        embedding = one.port(seen)
        here, there = (_unit(x) if one.space.angular else x for x in (embedding, own))
        mean = one.space.mean.astype("float32")
        away, home = _unit(here - mean), _unit(there - mean)
        losses.append(_dot(away, home) - TARGET_WEIGHT * _dot(away, target))
        gone = 1.0 - _dot(_unit(here), _unit(there)) if one.cosine else ops.sqrt(_dot(here - there, here - there))
        missing.append(1.0 - gone / one.leave)
    weights = ops.softmax(MISSING_WEIGHT * ops.stack(missing, axis=-1) - 1e9 * (1.0 - asked))
    loss = _dot(ops.stop_gradient(weights), ops.stack(losses, axis=-1))

    grey = ops.mean(residual, axis=-1, keepdims=True)
    power = ops.mean(ops.square(residual), axis=(1, 2, 3))
    tint = ops.mean(ops.square(residual - grey), axis=(1, 2, 3)) / (power + 1e-6)
    return keras.Model([*generator.inputs, blemish, softness, *given], loss + CHROMA_WEIGHT * tint, name="objective")


def similarity(first: keras.KerasTensor, second: keras.KerasTensor) -> keras.KerasTensor:
    """Mean structural similarity (N,) of images (N, H, W, C) in 0..255 (Wang et al. 2004), uniform 7x7 window."""
    pool = layers.AveragePooling2D(SSIM_WINDOW, 1, "valid")
    m1, m2 = pool(first), pool(second)
    v1 = pool(ops.square(first)) - ops.square(m1)
    v2 = pool(ops.square(second)) - ops.square(m2)
    both = pool(first * second) - m1 * m2
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = (2 * m1 * m2 + c1) * (2 * both + c2) / ((ops.square(m1) + ops.square(m2) + c1) * (v1 + v2 + c2))
    return ops.mean(values, axis=(1, 2, 3))


def _dot(first: keras.KerasTensor, second: keras.KerasTensor) -> keras.KerasTensor:
    return ops.sum(first * second, axis=-1)


def _unit(x: keras.KerasTensor) -> keras.KerasTensor:
    return x / ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True) + 1e-12)
