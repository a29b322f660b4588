"""The training objective of the generator as a Keras graph, with a recognizer's port as the discriminator.

Written without backend calls, so that it trains wherever Keras runs.
"""

import keras
import numpy as np
from keras import layers, ops

from perturbation_gen.model import CROP, XorLayer
from perturbation_gen.target import TARGET_WEIGHT

SSIM_WINDOW = 7
CHROMA_WEIGHT = 0.3


def build_objective(generator: keras.Model, recognizer: keras.Model, mean: np.ndarray, ssim: float) -> keras.Model:
    """The generator's inputs and (warp, blemish) -> loss (N,).

    warp (N, 8): the projective transform, output to input, from the
    recognizer's input to the crop, jitter included. blemish (N, 256, 256, 3): what befalls a photo on its way, added.
    `ssim` is the budget: every residual is scaled until its structural similarity to the face is that, so the
    generator can neither collapse to nothing nor buy strength with visibility.
    """
    crop = generator.inputs[0]
    warp = keras.Input((8,), name="warp")
    blemish = keras.Input((CROP, CROP, 3), name="blemish")
    own, target = generator.inputs[4:]

    residual = generator(generator.inputs)
    small = layers.AveragePooling2D(2)(crop)
    cost = 1.0 - similarity(small, small + residual)
    scale = ops.sqrt((1.0 - ssim) / ops.maximum(cost, 1e-5))
    residual = residual * ops.clip(scale, 0.1, 4.0)[:, None, None, None]
    protected = XorLayer()(crop, layers.UpSampling2D(2, interpolation="bilinear")(residual))

    size = recognizer.inputs[0].shape[1]
    seen = ops.image.affine_transform(protected + blemish, warp, fill_mode="nearest")[:, :size, :size, :]
    away = recognizer(seen) - ops.convert_to_tensor(mean.astype("float32"))
    unit = away / ops.sqrt(ops.sum(ops.square(away), axis=-1, keepdims=True))
    loss = ops.sum(unit * own, axis=-1) - TARGET_WEIGHT * ops.sum(unit * target, axis=-1)
    grey = ops.mean(residual, axis=-1, keepdims=True)
    power = ops.mean(ops.square(residual), axis=(1, 2, 3))
    tint = ops.mean(ops.square(residual - grey), axis=(1, 2, 3)) / (power + 1e-6)
    return keras.Model([*generator.inputs, warp, blemish], loss + CHROMA_WEIGHT * tint, name="objective")


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
