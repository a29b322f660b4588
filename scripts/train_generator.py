"""Train the Perturbation Generation Network against dlib's port.

    python scripts/train_generator.py runs/faces runs/generator --steps 3000 --seed 1

Reads what prepare_faces.py wrote, and the Mask Template Network and the identities that ship. Started again with the
same folder it goes on where it was stopped. Writes RUN/log.csv and, after every round, RUN/dlib.h5 (float16).
"""

from pathlib import Path

import click
import cv2
import keras
import numpy as np

from mask_template.grid import block_groups
from mask_template.network import HEADS, load_tau, predict
from mask_template.randomness import SECRET_BYTES
from mask_template.template import choose
from perturbation_gen.conditions import gate_of, saliency
from perturbation_gen.model import CROP, build_generator
from perturbation_gen.noise import KINDS, random_noise
from perturbation_gen.objective import build_objective
from perturbation_gen.target import IdentitySpace, load_space, random_mixture
from veilkey.recognizers.dlib_port import build as build_port
from veilkey.recognizers.dlib_resnet import DlibResNet
from veilkey.recognizers.gradient import load_gradient
from veilkey.weights import save_weights

BATCH = 16
SIZE = DlibResNet.input_size
ROUND = 100
SSIM = 0.97
HELD_OUT = 200


class Photos(keras.utils.PyDataset):
    """Batches of what the objective wants: each face with a fresh secret, its template, target, noise and journey."""

    def __init__(self, faces: Path, indices: np.ndarray, space: IdentitySpace, steps: int, seed: int) -> None:
        super().__init__(workers=1)
        self.crops = np.load(faces / "crops.npy", mmap_mode="r")
        self.landmarks = np.load(faces / "landmarks.npy")
        self.chips = np.load(faces / "transforms.npy")[:, HEADS.index("dlib")]
        self.indices, self.space, self.steps = indices, space, steps
        self.random = np.random.default_rng(seed)
        self.gradient = load_gradient("dlib")

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, _: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        rows = [self._row(i) for i in self.random.choice(self.indices, BATCH, replace=False)]
        batch = {name: np.stack([row[name] for row in rows]).astype("float32") for name in rows[0]}
        return batch, np.zeros(BATCH, "float32")

    def _row(self, index: int) -> dict[str, np.ndarray]:
        crop, points, to_chip = np.asarray(self.crops[index]), self.landmarks[index], self.chips[index]
        template = choose(
            predict(crop)["dlib"], block_groups(points), load_tau("dlib"), 0, self.random.bytes(SECRET_BYTES)
        )
        target = self.space.target(random_mixture(self.random, len(self.space.identities)))
        seen = cv2.warpAffine(crop, to_chip, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
        embedding = self.gradient.forward(seen)
        own = self.space.direction(embedding)
        gate = gate_of(template.to_mask())
        looks = saliency(crop, gate, to_chip, SIZE, self.gradient, embedding, target, self.space)
        kind = KINDS[int(self.random.integers(len(KINDS)))]
        return {
            "crop": crop,
            "noise": random_noise(self.random, kind, crop, points),
            "saliency": looks,
            "gate": gate,
            "target": target,
            "own": own,
            "warp": self._warp(to_chip),
            "blemish": self._blemish(crop),
        }

    def _warp(self, to_chip: np.ndarray) -> np.ndarray:
        """Recognizer's input -> crop, a little off, as eight numbers of a projective transform."""
        turn, grow = self.random.normal(0, 0.03), self.random.normal(1, 0.03)
        centre = (SIZE - 1) / 2
        linear = grow * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        shift = centre - linear @ [centre, centre] + self.random.normal(0, 1.5, 2)
        jitter = np.vstack([np.column_stack([linear, shift]), [0, 0, 1]])
        matrix = np.linalg.inv(np.vstack([to_chip, [0, 0, 1]])) @ jitter
        return matrix.ravel()[:8]

    def _blemish(self, crop: np.ndarray) -> np.ndarray:
        """What recompression at the face's own size, or noise, adds to the crop."""
        if self.random.random() < 0.3:
            return np.zeros(crop.shape, np.float32)
        side = int(self.random.integers(100, 200))
        small = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, int(self.random.integers(60, 96))])[1]
        decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED).astype(np.float32) - small
        return cv2.resize(decoded, (CROP, CROP), interpolation=cv2.INTER_LINEAR)


class Ship(keras.callbacks.Callback):
    """Writes the generator's weights as they would ship, after every round."""

    def __init__(self, generator: keras.Model, path: Path, seed: int, facts: dict) -> None:
        super().__init__()
        self.generator, self.path, self.seed, self.facts = generator, path, seed, facts

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        # The learning rate is constant, so a run cut short is the same as one that was asked for fewer steps.
        steps = (epoch + 1) * ROUND
        command = f"python scripts/train_generator.py runs/faces runs/generator --steps {steps} --seed {self.seed}"
        save_weights(self.generator, self.path, command=command, loss=(logs or {})["loss"], **self.facts)


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--steps", default=3000, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(faces: Path, run: Path, steps: int, seed: int) -> None:
    keras.utils.set_random_seed(seed)
    run.mkdir(parents=True, exist_ok=True)
    space = load_space("dlib")
    generator = build_generator(DlibResNet.dimension)
    objective = build_objective(generator, build_port(), space.mean, SSIM)
    objective.compile(keras.optimizers.Adam(2e-4, beta_1=0.5), loss=lambda _, losses: losses)
    order = np.random.default_rng(seed).permutation(len(np.load(faces / "landmarks.npy")))
    photos = Photos(faces, order[HELD_OUT:], space, ROUND, seed)
    data = f"{len(photos.indices)} faces of train and unlabelled, attacked: dlib"
    facts = {"seed": seed, "data": data, "parameters": generator.count_params()}
    objective.fit(
        photos,
        epochs=steps // ROUND,
        callbacks=[
            keras.callbacks.BackupAndRestore(run / "backup", save_freq="epoch"),
            keras.callbacks.CSVLogger(run / "log.csv", append=True),
            Ship(generator, run / "dlib.h5", seed, facts),
        ],
    )


if __name__ == "__main__":
    main()
