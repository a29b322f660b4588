"""Train the Mask Template Network.

    python scripts/train_mask_network.py runs/faces runs/mask --epochs 10 --seed 1

Reads what prepare_faces.py and attribute_faces.py wrote; the first 100 faces are held out. Started again with the same
folder it goes on where it was stopped. Writes RUN/log.csv and, when it is done, RUN/network.h5 (float16).
"""

import sys
from pathlib import Path

import click
import cv2
import keras
import numpy as np

from mask_template.grid import BLOCK, CROP, GRID
from mask_template.model import build, squared_error
from mask_template.network import HEADS
from mask_template.truth import truth
from veilkey.weights import load_weights, save_weights

BATCH = 16
HELD_OUT = 100


class Faces(keras.utils.PyDataset):
    """Batches of (crops, distributions), each face scaled, shifted, flipped and now and then made coarser."""

    def __init__(self, crops: np.ndarray, truths: np.ndarray, seed: int, augment: bool) -> None:
        """`crops` (N, 256, 256, 3), `truths` (N, 4, 64, 64)."""
        super().__init__(workers=1)
        self.crops, self.truths, self.augment = crops, truths, augment
        self.random = np.random.default_rng(seed)
        self.order = np.arange(len(crops))

    def __len__(self) -> int:
        return len(self.crops) // BATCH

    def on_epoch_end(self) -> None:
        self.random.shuffle(self.order)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        pairs = [self._face(i) for i in self.order[batch * BATCH : (batch + 1) * BATCH]]
        return np.stack([p[0] for p in pairs]).astype("float32"), np.stack([p[1] for p in pairs])

    def _face(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        crop, target = np.asarray(self.crops[index]), self.truths[index].transpose(1, 2, 0)
        if self.augment:
            crop, target = self._change(crop, target)
        flat = target.reshape(GRID * GRID, -1).T
        return crop, flat / np.maximum(flat.sum(1, keepdims=True), 1e-6)

    def _change(self, crop: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A crop and its distributions (64, 64, 4), both changed alike."""
        if self.random.random() < 0.5:
            crop, target = crop[:, ::-1], target[:, ::-1]
        if self.random.random() < 0.3:
            side = int(self.random.integers(64, 160))
            crop = cv2.resize(cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA), (CROP, CROP))
        scale, shift = self.random.uniform(0.8, 1.25), self.random.uniform(-16, 16, 2)
        centre = (CROP - 1) / 2
        move = np.array([[scale, 0, centre * (1 - scale) + shift[0]], [0, scale, centre * (1 - scale) + shift[1]]])
        crop = cv2.warpAffine(np.ascontiguousarray(crop), move, (CROP, CROP), borderMode=cv2.BORDER_REPLICATE)
        # The same move on the grid, whose cells have their centres at (i + 0.5) * BLOCK - 0.5.
        half = (BLOCK - 1) / 2
        move[:, 2] = (move[:, 2] + (scale - 1) * half) / BLOCK
        return crop, cv2.warpAffine(np.ascontiguousarray(target), move, (GRID, GRID))


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--epochs", default=10, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--start", type=click.Path(exists=True, path_type=Path), help="Weights of a network with one head.")
def main(faces: Path, run: Path, epochs: int, seed: int, start: Path | None) -> None:
    keras.utils.set_random_seed(seed)
    run.mkdir(parents=True, exist_ok=True)
    crops, landmarks = np.load(faces / "crops.npy", mmap_mode="r"), np.load(faces / "landmarks.npy")
    attributions = np.load(faces / "attributions.npy", mmap_mode="r")
    truths = np.array([[truth(a, p) for a in looks] for looks, p in zip(attributions, landmarks, strict=True)])
    truths = truths.reshape(-1, len(HEADS), GRID, GRID)
    training = Faces(crops[HELD_OUT:], truths[HELD_OUT:], seed, augment=True)
    held_out = Faces(crops[:HELD_OUT], truths[:HELD_OUT], seed, augment=False)

    model = build()
    if start is not None:
        # All heads start from that one, and its convolutions stay as they are.
        for name in HEADS:
            load_weights(keras.Model(model.input, model.get_layer(name).output), start)
        for layer in model.layers:
            layer.trainable = isinstance(layer, keras.layers.Dense)
    schedule = keras.optimizers.schedules.CosineDecay(1e-3 if start is None else 3e-4, epochs * len(training))
    model.compile(keras.optimizers.Adam(schedule), loss=squared_error)
    model.fit(
        training,
        validation_data=held_out,
        epochs=epochs,
        callbacks=[
            keras.callbacks.BackupAndRestore(run / "backup", save_freq=25),
            keras.callbacks.CSVLogger(run / "log.csv", append=True),
        ],
    )
    facts = {
        "command": " ".join(["python", *sys.argv]),
        "seed": seed,
        "data": f"{len(training.crops)} faces of train and unlabelled",
        "parameters": model.count_params(),
    }
    seen, told = zip(*(held_out[batch] for batch in range(len(held_out))), strict=True)
    true = np.concatenate(told)
    mean = training.truths.reshape(-1, len(HEADS), GRID * GRID).mean(0)
    for kind, predicted in (("loss", model.predict(np.concatenate(seen), BATCH, 0)), ("loss_of_the_mean", mean[None])):
        losses = np.mean(squared_error(true, predicted), axis=0)
        facts |= {f"held_out_{kind}_{name}": float(loss) for name, loss in zip(HEADS, losses, strict=True)}
    save_weights(model, run / "network.h5", **facts)
    click.echo(facts)


if __name__ == "__main__":
    main()
