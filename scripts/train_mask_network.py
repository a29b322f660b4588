"""Train the Mask Template Network.

    python scripts/train_mask_network.py runs/faces runs/mask --epochs 10 --seed 1

Reads what prepare_faces.py and attribute_faces.py wrote. Started again with the same folder it goes on where it was
stopped. Writes RUN/log.csv and, when it is done, RUN/dlib.h5 (float16).
"""

from pathlib import Path

import click
import cv2
import keras
import numpy as np

from mask_template.grid import BLOCK, CROP, GRID
from mask_template.model import build, squared_error
from mask_template.truth import truth
from veilkey.weights import save_weights

BATCH = 16
HELD_OUT = 200


class Faces(keras.utils.PyDataset):
    """Batches of (crops, distributions), each face scaled, shifted, flipped and now and then made coarser."""

    def __init__(self, crops: np.ndarray, truths: np.ndarray, indices: np.ndarray, seed: int, augment: bool) -> None:
        super().__init__(workers=1)
        self.crops, self.truths, self.indices, self.augment = crops, truths, indices, augment
        self.random = np.random.default_rng(seed)
        self.order = indices.copy()

    def __len__(self) -> int:
        return len(self.indices) // BATCH

    def on_epoch_end(self) -> None:
        self.random.shuffle(self.order)

    def __getitem__(self, batch: int) -> tuple[np.ndarray, np.ndarray]:
        pairs = [self._face(i) for i in self.order[batch * BATCH : (batch + 1) * BATCH]]
        return np.stack([p[0] for p in pairs]).astype("float32"), np.stack([p[1] for p in pairs])

    def _face(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        crop, target = np.asarray(self.crops[index]), self.truths[index].reshape(GRID, GRID)
        if not self.augment:
            return crop, target.ravel()
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
        target = cv2.warpAffine(np.ascontiguousarray(target), move, (GRID, GRID))
        return crop, (target / max(target.sum(), 1e-6)).ravel()


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--epochs", default=10, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(faces: Path, run: Path, epochs: int, seed: int) -> None:
    keras.utils.set_random_seed(seed)
    run.mkdir(parents=True, exist_ok=True)
    crops = np.load(faces / "crops.npy", mmap_mode="r")
    attributions, landmarks = np.load(faces / "attributions.npy"), np.load(faces / "landmarks.npy")
    truths = np.stack([truth(a, p) for a, p in zip(attributions, landmarks, strict=True)])
    order = np.random.default_rng(seed).permutation(len(crops))
    training = Faces(crops, truths, order[HELD_OUT:], seed, augment=True)
    held_out = Faces(crops, truths, order[:HELD_OUT], seed, augment=False)

    model = build()
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, epochs * len(training))
    model.compile(keras.optimizers.Adam(schedule), loss=squared_error)
    model.fit(
        training,
        validation_data=held_out,
        epochs=epochs,
        callbacks=[
            keras.callbacks.BackupAndRestore(run / "backup", save_freq=100),
            keras.callbacks.CSVLogger(run / "log.csv", append=True),
        ],
    )
    mean = truths[order[HELD_OUT:]].mean(0)
    figures = {
        "held_out_loss": float(model.evaluate(held_out, verbose=0)),
        "held_out_loss_of_the_mean": float(np.mean(squared_error(truths[order[:HELD_OUT]], mean[None]))),
    }
    command = f"python scripts/train_mask_network.py runs/faces runs/mask --epochs {epochs} --seed {seed}"
    data = f"{len(training.indices)} faces of train and unlabelled"
    facts = {"command": command, "seed": seed, "data": data, "parameters": model.count_params()}
    save_weights(model, run / "dlib.h5", **facts, **figures)
    np.save(run / "mean.npy", mean)
    click.echo(figures)


if __name__ == "__main__":
    main()
