"""Train the Perturbation Generation Network against the ports of all four recognizers.

    python scripts/train_generator.py runs/faces runs/generator --steps 1500 --seed 1

Reads what prepare_faces.py wrote, and the Mask Template Network and the identities that ship. What the generator is
told of each face, with a secret, a template and recognizers of its own, is computed once and kept in RUN. Started again
with the same folder it goes on where it was stopped. Writes RUN/log.csv and, after every round, RUN/generator.h5
(float16).
"""

from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import keras
import numpy as np
from tqdm import tqdm

from mask_template.grid import block_groups
from mask_template.network import HEADS, load_tau, predict
from mask_template.randomness import SECRET_BYTES
from mask_template.template import choose, superpose
from perturbation_gen.conditions import gate_of, saliency
from perturbation_gen.generator import asked
from perturbation_gen.model import CROP, build_generator
from perturbation_gen.noise import KINDS, SIZE, random_noise
from perturbation_gen.objective import Discriminator, build_objective
from perturbation_gen.refine import Attacked
from perturbation_gen.target import load_space, random_mixture
from veilkey import recognizers
from veilkey.protector import ARRIVE, LEAVE
from veilkey.recognizers.gradient import load_gradient
from veilkey.weights import save_weights

BATCH = 16
ROUND = 100
RATE = 5e-4
SETTLING = 0.2
"""So much of the steps, the last, are a tenth as large."""
SSIM = 0.98
HELD_OUT = 200
USUAL = (HEADS, HEADS, HEADS, ("dlib", "sface"), ("dlib",))
"""Half of the faces have one of these attacked, as users do; the other half any of the sets, all as often."""


@dataclass(frozen=True)
class Told:
    """What the generator and its objective are told of N faces, arrays that lie on the disk.

    gate (N, 128, 128, 1) and saliency (N, 128, 128, 6) float16, as of `conditions`; asked (N, R) float32; own and
    target of each recognizer, (N, D) float32. A face that is not computed yet is NaN in `asked`.
    """

    gate: np.ndarray
    saliency: np.ndarray
    asked: np.ndarray
    own: dict[str, np.ndarray]
    target: dict[str, np.ndarray]


def tell(faces: Path, run: Path, count: int, seed: int) -> Told:
    """Compute what is not there yet of `count` faces."""
    crops, landmarks = np.load(faces / "crops.npy", mmap_mode="r"), np.load(faces / "landmarks.npy")
    transforms = np.load(faces / "transforms.npy")
    spaces = {name: load_space(name) for name in HEADS}
    gradients = {name: load_gradient(name) for name in HEADS}
    judges = {name: recognizers.get(name) for name in HEADS}
    told = Told(
        _array(run / "gate.npy", (count, SIZE, SIZE, 1), np.float16),
        _array(run / "saliency.npy", (count, SIZE, SIZE, 6), np.float16),
        _array(run / "asked.npy", (count, len(HEADS)), np.float32),
        {name: _array(run / f"{name}_own.npy", (count, len(spaces[name].mean)), np.float32) for name in HEADS},
        {name: _array(run / f"{name}_target.npy", (count, len(spaces[name].mean)), np.float32) for name in HEADS},
    )
    for face in tqdm(np.flatnonzero(np.isnan(told.asked[:, 0])), "what the generator is told", mininterval=5):
        random = np.random.default_rng((seed, face))
        chosen = _draw_attacked(random)
        mixture = random_mixture(random, len(spaces["dlib"].identities))
        groups, wheres, secret = block_groups(landmarks[face]), predict(crops[face]), random.bytes(SECRET_BYTES)
        template = superpose([choose(wheres[name], groups, load_tau(name), i, secret) for i, name in enumerate(chosen)])
        attacked = []
        for name, to_input in zip(HEADS, transforms[face], strict=True):
            size = judges[name].input_size
            seen = cv2.warpAffine(crops[face], to_input, (size, size), borderMode=cv2.BORDER_REPLICATE)
            told.own[name][face] = gradients[name].forward(seen)
            told.target[name][face] = spaces[name].target(mixture)
            if name in chosen:
                attacked.append(
                    Attacked(
                        gradient=gradients[name],
                        space=spaces[name],
                        to_input=to_input,
                        size=size,
                        own_embedding=told.own[name][face],
                        target=told.target[name][face],
                        distance=judges[name].distance,
                        leave=LEAVE * judges[name].threshold,
                        arrive=ARRIVE,
                    )
                )
        told.gate[face] = gate_of(template.to_mask())
        told.saliency[face] = saliency(crops[face], gate_of(template.to_mask()), attacked)
        told.asked[face] = asked(chosen)
    return told


def _array(path: Path, shape: tuple[int, ...], kind: type) -> np.ndarray:
    if not path.is_file():
        np.lib.format.open_memmap(path, "w+", kind, shape)[...] = np.nan
    array = np.load(path, mmap_mode="r+")
    if array.shape != shape:
        raise click.ClickException(f"{path} is of {len(array)} faces, not {shape[0]}: use another folder")
    return array


def _draw_attacked(random: np.random.Generator) -> tuple[str, ...]:
    if random.random() < 0.5:
        return USUAL[int(random.integers(len(USUAL)))]
    chosen = int(random.integers(1, 1 << len(HEADS)))
    return tuple(name for i, name in enumerate(HEADS) if chosen >> i & 1)


class Photos(keras.utils.PyDataset):
    """Batches of what the objective wants: each face as it was told, with new noise and a new journey."""

    def __init__(self, faces: Path, told: Told, steps: int, seed: int) -> None:
        super().__init__(workers=1)
        self.crops = np.load(faces / "crops.npy", mmap_mode="r")
        self.landmarks, self.transforms = np.load(faces / "landmarks.npy"), np.load(faces / "transforms.npy")
        self.told, self.steps, self.random = told, steps, np.random.default_rng(seed)

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, _: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        faces = self.random.choice(len(self.told.asked), BATCH, replace=False)
        rows = [self._row(face) for face in faces]
        batch = {name: np.stack([row[name] for row in rows]).astype("float32") for name in rows[0]}
        return batch, np.zeros(BATCH, "float32")

    def _row(self, face: int) -> dict[str, np.ndarray]:
        crop, kind = np.asarray(self.crops[face]), KINDS[int(self.random.integers(len(KINDS)))]
        row = {
            "crop": crop,
            "noise": random_noise(self.random, kind, crop, self.landmarks[face]),
            "saliency": self.told.saliency[face],
            "gate": self.told.gate[face],
            "asked": self.told.asked[face],
            "blemish": self._blemish(crop),
            "softness": np.array([max(0.0, self.random.uniform(-1, 1))]),
        }
        for name, to_input in zip(HEADS, self.transforms[face], strict=True):
            row[f"{name}_warp"] = self._warp(to_input, recognizers.kind(name).input_size)
            row[f"{name}_own"], row[f"{name}_target"] = self.told.own[name][face], self.told.target[name][face]
        return row

    def _warp(self, to_input: np.ndarray, size: int) -> np.ndarray:
        """Recognizer's input -> crop, a little off, as eight numbers of a projective transform."""
        turn, grow = self.random.normal(0, 0.02), self.random.normal(1, 0.02)
        centre = (size - 1) / 2
        linear = grow * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        shift = centre - linear @ [centre, centre] + self.random.normal(0, 1, 2)
        jitter = np.vstack([np.column_stack([linear, shift]), [0, 0, 1]])
        matrix = np.linalg.inv(np.vstack([to_input, [0, 0, 1]])) @ jitter
        return matrix.ravel()[:8]

    def _blemish(self, crop: np.ndarray) -> np.ndarray:
        """What recompression at the face's own size, or noise, adds to the crop."""
        if self.random.random() < 0.5:
            return np.zeros(crop.shape, np.float32)
        side = int(self.random.integers(100, 200))
        small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, int(self.random.integers(60, 96))])[1]
        decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED).astype(np.float32) - small
        return cv2.resize(decoded, (CROP, CROP), interpolation=cv2.INTER_LINEAR)


class Ship(keras.callbacks.Callback):
    """Writes the generator's weights as they would ship, after every round."""

    def __init__(self, generator: keras.Model, path: Path, facts: dict) -> None:
        super().__init__()
        self.generator, self.path, self.facts = generator, path, facts

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        save_weights(self.generator, self.path, loss=(logs or {})["loss"], taken=(epoch + 1) * ROUND, **self.facts)


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--steps", default=1500, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(faces: Path, run: Path, steps: int, seed: int) -> None:
    keras.utils.set_random_seed(seed)
    run.mkdir(parents=True, exist_ok=True)
    count = len(np.load(faces / "landmarks.npy")) - HELD_OUT
    told = tell(faces, run, count, seed)
    generator = build_generator()
    discriminators = {}
    for name in HEADS:
        kind = recognizers.kind(name)
        port = recognizers.port_builder(name)()
        port.trainable = False
        discriminators[name] = Discriminator(port, load_space(name), kind.metric == "cosine", LEAVE * kind.threshold)
    objective = build_objective(generator, discriminators, SSIM)
    objective.compile(keras.optimizers.Adam(RATE, beta_1=0.5), loss=lambda _, losses: losses)
    facts = {
        "command": f"python scripts/train_generator.py runs/faces runs/generator --steps {steps} --seed {seed}",
        "seed": seed,
        "data": f"{count} faces of train and unlabelled, attacked: {', '.join(HEADS)}",
        "parameters": generator.count_params(),
    }
    rounds = steps // ROUND
    objective.fit(
        Photos(faces, told, ROUND, seed),
        epochs=rounds,
        callbacks=[
            keras.callbacks.LearningRateScheduler(lambda done: RATE if done < (1 - SETTLING) * rounds else RATE / 10),
            keras.callbacks.BackupAndRestore(run / "backup", save_freq="epoch"),
            keras.callbacks.CSVLogger(run / "log.csv", append=True),
            Ship(generator, run / "generator.h5", facts),
        ],
    )


if __name__ == "__main__":
    main()
