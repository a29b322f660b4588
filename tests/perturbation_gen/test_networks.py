"""The exported networks are Keras' with the weights that ship, and do what the protection needs of them.

The weights may be trained anew: nothing here depends on what exactly they make of a face.
"""

from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import mask_template.model
import mask_template.network
import perturbation_gen.generator
import perturbation_gen.model
from mask_template.grid import block_groups
from mask_template.network import HEADS
from mask_template.randomness import SECRET_BYTES
from mask_template.template import choose, superpose
from perturbation_gen.conditions import gate_of, saliency
from perturbation_gen.generator import asked, generate
from perturbation_gen.noise import KINDS, SIZE, draw_noise
from perturbation_gen.refine import Attacked
from perturbation_gen.target import LARGEST, MIXED, draw_mixture, identity_loss, load_space, pull
from veilkey import recognizers
from veilkey.faces import FaceFinder, compose, crop, invert, map_points
from veilkey.protector import ARRIVE, LEAVE
from veilkey.recognizers.gradient import load_gradient
from veilkey.weights import load_weights, save_weights

ATTACKED = ("dlib", "sface")
SECRETS = [bytes([i]) * SECRET_BYTES for i in range(1, 7)]


def drawn(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def generator_inputs(seed: int, attacked: tuple[str, ...] = HEADS) -> list[np.ndarray]:
    """Crop, noise, saliency, gate and asked; all but the last at random."""
    coarse = np.clip(128 + 60 * drawn((8, 8, 3), seed), 0, 255)
    return [
        cv2.resize(coarse, (256, 256), interpolation=cv2.INTER_CUBIC).clip(0, 255),
        drawn((SIZE, SIZE, 3), seed + 1),
        drawn((SIZE, SIZE, 6), seed + 2),
        (drawn((32, 32), seed + 4) > 0.5).repeat(4, 0).repeat(4, 1).astype(np.float32)[..., None],
        asked(attacked),
    ]


def test_the_exported_mask_network_is_keras(close_up: np.ndarray) -> None:
    network = load_weights(mask_template.model.build(1), mask_template.network.WEIGHTS / "network.h5")
    assert network.count_params() < 6_000_000
    for crop_ in (close_up, np.zeros_like(close_up), 255 - close_up):
        expected = np.asarray(network(crop_[None].astype(np.float32), training=False))[0]
        found = np.stack(list(mask_template.network.predict(crop_).values()))
        assert np.abs(found - expected).max() < 1e-4 * expected.max()


@pytest.mark.parametrize("attacked", [HEADS, ("dlib",), ("sface", "dlib")])
def test_the_exported_generator_is_keras(attacked: tuple[str, ...]) -> None:
    model = perturbation_gen.model.build_generator(1)
    load_weights(model, perturbation_gen.generator.WEIGHTS / "generator.h5")
    for seed in (0, 10):
        inputs = generator_inputs(seed, attacked)
        expected = np.asarray(model([x[None] for x in inputs], training=False))[0]
        found = generate(*inputs[:4], attacked)
        assert np.abs(expected).max() > 0.5
        assert np.abs(found - expected).max() < 1e-4 * perturbation_gen.model.MAX_RESIDUAL


def test_the_generator_obeys_the_gate() -> None:
    for seed in (0, 10):
        crop_, noise, looks, gate, _ = generator_inputs(seed)
        residual = generate(crop_, noise, looks, gate, HEADS)
        assert residual.shape == (SIZE, SIZE, 3)
        assert np.all(residual[gate[..., 0] == 0] == 0)
        assert np.abs(residual[gate[..., 0] == 1]).mean() > 0.1
        assert np.abs(residual).max() <= perturbation_gen.model.MAX_RESIDUAL
        assert not generate(crop_, noise, looks, np.zeros_like(gate), HEADS).any()


@pytest.fixture(scope="module")
def face(close_up: np.ndarray) -> SimpleNamespace:
    """What the generator is told of the portrait against dlib and SFace, but for what the secret draws."""
    (found,) = FaceFinder().find(close_up)
    clean = crop(close_up, found.transform)
    attacked = {}
    for name in ATTACKED:
        judge, gradient, space = recognizers.get(name), load_gradient(name), load_space(name)
        to_input = compose(judge.transform(found.landmarks), invert(found.transform))
        seen = cv2.warpAffine(clean.astype(np.float32), to_input, (judge.input_size, judge.input_size))
        attacked[name] = Attacked(
            gradient=gradient,
            space=space,
            to_input=to_input,
            size=judge.input_size,
            own_embedding=gradient.forward(seen),
            target=np.zeros_like(space.mean),
            distance=judge.distance,
            leave=LEAVE * judge.threshold,
            arrive=ARRIVE,
        )
    return SimpleNamespace(crop=clean, landmarks=map_points(found.transform, found.landmarks), attacked=attacked)


def attacked_by(face: SimpleNamespace, secret: bytes) -> list[Attacked]:
    """The recognizers, each with the target that the secret draws."""
    mixture = draw_mixture(secret, len(load_space("dlib").identities))
    return [replace(one, target=one.space.target(mixture)) for one in face.attacked.values()]


def residual_of(face: SimpleNamespace, secret: bytes, kind: str = "gaussian") -> np.ndarray:
    """As `protect` has the generator make it."""
    wheres, groups = mask_template.network.predict(face.crop), block_groups(face.landmarks)
    template = superpose(
        [
            choose(wheres[name], groups, mask_template.network.load_tau(name), i, secret)
            for i, name in enumerate(ATTACKED)
        ]
    )
    noise, gate = draw_noise(secret, kind, face.crop, face.landmarks), gate_of(template.to_mask())
    return generate(face.crop, noise, saliency(face.crop, gate, attacked_by(face, secret)), gate, ATTACKED)


def test_each_secret_makes_a_pattern_of_its_own(face: SimpleNamespace) -> None:
    """A generator trained in a hurry makes one pattern for everybody, which anyone can subtract (DESIGN.md)."""
    residuals = np.stack([residual_of(face, secret).ravel() for secret in SECRETS])
    correlation = np.corrcoef(residuals)[np.triu_indices(len(SECRETS), 1)]
    assert correlation.mean() < 0.6
    assert correlation.max() < 0.9


def test_the_pattern_moves_the_face_where_the_secret_says(face: SimpleNamespace) -> None:
    gained: dict[int, list[float]] = {one.size: [] for one in face.attacked.values()}
    for secret in SECRETS:
        residual = cv2.resize(residual_of(face, secret), (256, 256), interpolation=cv2.INTER_LINEAR)
        for one in attacked_by(face, secret):
            seen = cv2.warpAffine(face.crop + residual, one.to_input, (one.size, one.size))
            before, after = (
                identity_loss(embedding, one.own, one.target, one.space)
                for embedding in (one.own_embedding, one.gradient.forward(seen))
            )
            gained[one.size].append(before - after)
    assert all(np.mean(values) > 0.1 for values in gained.values()), gained


@pytest.mark.parametrize("kind", KINDS)
def test_noise_is_normal_and_the_secrets(face: SimpleNamespace, kind: str) -> None:
    first, again, other = (
        draw_noise(secret, kind, face.crop, face.landmarks) for secret in (SECRETS[0], SECRETS[0], SECRETS[1])
    )
    assert first.shape == (SIZE, SIZE, 3) and first.dtype == np.float32
    assert abs(first.mean()) < 0.05 and abs(first.std() - 1) < 0.05
    assert np.array_equal(first, again)
    # Beside the skin's tone, which is in the pixels of every secret, they share nothing.
    toneless = [(noise - noise.mean((0, 1))).ravel() for noise in (first, other)]
    assert abs(np.corrcoef(toneless)[0, 1]) < 0.05


def test_an_unknown_noise_is_refused(face: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="pink"):
        draw_noise(SECRETS[0], "pink", face.crop, face.landmarks)


def test_the_secret_draws_an_identity() -> None:
    space = load_space("dlib")
    mixtures = [draw_mixture(secret, len(space.identities)) for secret in SECRETS]
    for mixture in mixtures:
        assert np.count_nonzero(mixture) == MIXED and abs(mixture.sum() - 1) < 1e-5 and mixture.min() >= 0
        assert abs(np.linalg.norm(space.target(mixture)) - 1) < 1e-5
    assert np.array_equal(mixtures[0], draw_mixture(SECRETS[0], len(space.identities)))
    cosines = np.corrcoef(np.stack([space.target(mixture) for mixture in mixtures]))
    assert cosines[np.triu_indices(len(SECRETS), 1)].mean() < 0.5


def test_no_mixture_leans_on_one_person() -> None:
    mixtures = np.stack([draw_mixture(number.to_bytes(SECRET_BYTES, "little"), 200) for number in range(4000)])
    assert np.all(np.count_nonzero(mixtures, axis=1) == MIXED)
    assert np.allclose(mixtures.sum(1), 1, atol=1e-6)
    assert 0.49 < mixtures.max() <= LARGEST / MIXED
    # Still everybody's turn, and every size of share: a person is in 80 of 4,000, give or take five deviations.
    drawn = np.count_nonzero(mixtures, axis=0)
    assert 35 < drawn.min() and drawn.max() < 125
    assert 0 < np.quantile(mixtures[mixtures > 0], 0.05) < 0.1


def test_pull_is_the_losss_descent() -> None:
    space = load_space("dlib")
    random = np.random.default_rng(0)
    own, target, start = (space.direction(x) for x in space.identities[:3])
    embedding = space.mean + 0.4 * start
    wish = pull(embedding, own, target, space)
    for _ in range(5):
        step = 1e-3 * random.normal(size=wish.shape)
        difference = identity_loss(embedding + step, own, target, space) - identity_loss(
            embedding - step, own, target, space
        )
        assert abs(difference / 2 + wish @ step) < 1e-3 * np.linalg.norm(wish) * np.linalg.norm(step)


def test_the_xor_layer_is_xor_with_a_straight_gradient() -> None:
    import tensorflow as tf

    image = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.float32)
    residual = tf.Variable(drawn((2, 8, 8, 3), 1) * 60)
    with tf.GradientTape() as tape:
        changed = perturbation_gen.model.XorLayer()(tf.constant(image), residual)
        total = tf.reduce_sum(changed * 3.0)
    assert np.array_equal(changed.numpy(), np.clip(np.rint(image + residual.numpy()), 0, 255))
    assert np.allclose(tape.gradient(total, residual).numpy(), 3.0)


def test_weights_survive_as_float16(tmp_path) -> None:
    first, second = (perturbation_gen.model.build_generator(1) for _ in range(2))
    save_weights(first, tmp_path / "weights.h5", made_by="a test")
    load_weights(second, tmp_path / "weights.h5")
    inputs = [x[None] for x in generator_inputs(0)]
    before, after = (np.asarray(model(inputs, training=False)) for model in (first, second))
    assert np.abs(before - after).max() < 0.05 * np.abs(before).max()
    with pytest.raises(ValueError, match="does not fit"):
        load_weights(mask_template.model.build(1), tmp_path / "weights.h5")
