"""Fit tau, the weight of each feature group, for a recognizer whose attributions are known.

    python scripts/fit_tau.py runs/faces mask_template/weights/dlib.tau.json

tau is the group's share of the true distribution over its share of the network's, on the 200 faces that the network
was not trained on (seed 1), so that it corrects what the network gives a group too much or too little.
"""

import json
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from mask_template.grid import GROUPS, block_groups
from mask_template.network import predict
from mask_template.truth import truth

HELD_OUT = 200


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option("--seed", default=1, show_default=True, help="The seed that the network was trained with.")
def main(faces: Path, output: Path, seed: int) -> None:
    crops = np.load(faces / "crops.npy", mmap_mode="r")
    attributions, landmarks = np.load(faces / "attributions.npy"), np.load(faces / "landmarks.npy")
    held_out = np.random.default_rng(seed).permutation(len(crops))[:HELD_OUT]
    true, told = np.zeros(len(GROUPS)), np.zeros(len(GROUPS))
    for index in tqdm(held_out, "faces", mininterval=5):
        groups = block_groups(landmarks[index])
        true += np.bincount(groups, truth(attributions[index], landmarks[index]), len(GROUPS))
        told += np.bincount(groups, predict(np.asarray(crops[index]), output.name.split(".")[0]), len(GROUPS))
    tau = {name: round(float(t / p), 4) for name, t, p in zip(GROUPS, true, told, strict=True)}
    output.write_text(json.dumps(tau) + "\n")
    click.echo(output.read_text())


if __name__ == "__main__":
    main()
