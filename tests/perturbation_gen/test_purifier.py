"""The purifiers that ship: as exported, on the way to a recognizer, and what having them in the loop brings."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import tensorflow as tf

from perturbation_gen.journey import PURIFIED_EVERY
from perturbation_gen.purifier import SIDE, Purifier, shipped
from perturbation_gen.purifier_model import build_purifier
from veilkey.carriers import Picture, Pixels
from veilkey.faces import Face, FaceFinder
from veilkey.faces.geometry import canonical_transform
from veilkey.protector import Protector, Settings
from veilkey.recognizers.dlib_resnet import DlibResNet
from veilkey.recognizers.gradient import load_purifiers
from veilkey.weights import load_weights

WEIGHTS = shipped()


@pytest.fixture(scope="module")
def face(close_up: np.ndarray) -> Face:
    return FaceFinder().find(close_up)[0]


def on(face: Face, number: int) -> Purifier:
    """A purifier for the photo that `face` was found in."""
    half = canonical_transform(face.landmarks) / 2 - [[0, 0, 0.25], [0, 0, 0.25]]
    return Purifier(load_purifiers()[number], half)


def test_there_is_one() -> None:
    assert WEIGHTS


@pytest.mark.parametrize("weights", WEIGHTS, ids=lambda path: path.stem)
def test_the_exported_gradient_is_tensorflows(weights: Path, close_up: np.ndarray) -> None:
    network, exported = load_weights(build_purifier(1), weights), load_purifiers()[WEIGHTS.index(weights)]
    crop = cv2.resize(close_up, (SIDE, SIDE)).astype(np.float32)
    v = np.random.default_rng(1).normal(size=crop.shape).astype(np.float32)
    image = tf.constant(crop[None])
    with tf.GradientTape() as tape:
        tape.watch(image)
        expected = network(image, training=False)
    slope = tape.gradient(expected, image, output_gradients=tf.constant(v[None]))
    cleaned, found = exported(crop, v)
    assert np.abs(cleaned - expected[0]).max() < 1e-2
    assert np.array_equal(exported.forward(crop), cleaned)
    assert np.abs(found - slope[0]).max() < 1e-4 * np.abs(slope).max()


@pytest.mark.parametrize("number", range(len(WEIGHTS)))
def test_a_slope_is_carried_back_by_the_transpose(number: int, face: Face, close_up: np.ndarray) -> None:
    """<what arrives when what leaves moves by d, d> is <d, back(d)>: noise, of which a purifier takes some away."""
    way, image = on(face, number), close_up.astype(np.float32).clip(16, 239)
    noise = cv2.GaussianBlur(np.random.default_rng(2).normal(size=image.shape), (0, 0), 2)
    noise = (noise * 0.5 / noise.std()).astype(np.float32)
    (arrived, back), (ahead, _), (behind, _) = way(image), way(image + noise), way(image - noise)
    assert arrived.shape == image.shape and arrived.dtype == np.float32
    taken = float(((ahead - behind) / 2 * noise).sum() - (noise * noise).sum())
    assert taken < 0
    assert abs(taken - float(((back(noise) - noise) * noise).sum())) < 0.1 * abs(taken)


def test_with_purifiers_in_the_loop_less_is_taken_off(face: Face, close_up: np.ndarray) -> None:
    judge, protector = DlibResNet(), Protector(("dlib",))
    clean = judge.embed_face(close_up, face.landmarks)

    def left() -> float:
        """Distance to the clean face that is left when the first purifier has cleaned a protected photo."""
        protected = protector.protect(Pixels(Picture(close_up, "RGB")), Settings())[0].picture.rgb()
        cleaned = np.rint(on(face, 0)(protected.astype(np.float32))[0]).astype(np.uint8)
        return float(judge.distance(clean, judge.embed_face(cleaned, face.landmarks)))

    lasting = left()
    protector._purifiers = []
    assert lasting > left() + 0.1


def test_one_is_asked_before_every_seventh_step(close_up: np.ndarray) -> None:
    protector, asked = Protector(("dlib",)), []

    class Counting:
        def forward(self, crop: np.ndarray) -> np.ndarray:
            asked.append(True)
            return crop

        def __call__(self, crop: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return crop, v

    protector._purifiers = [Counting()]
    for _ in range(3):
        asked.clear()
        steps = protector.protect(Pixels(Picture(close_up, "RGB")), Settings(strength="strong"))[2][0].steps
        # Once more where the secret lets it begin early, and where the steps came in two lots.
        assert steps // PURIFIED_EVERY <= len(asked) + (steps > Settings.refine) <= steps // PURIFIED_EVERY + 2
