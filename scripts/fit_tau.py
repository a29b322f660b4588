"""Fit tau, the weights of the feature groups, for every head of the Mask Template Network.

    python scripts/fit_tau.py runs/faces mask_template/weights/tau.json

On the 100 faces that the network was not trained on: the weights that bring what a head gives each group nearest to
what the recognizer's attribution gives it.
"""

import json
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from mask_template.grid import block_groups
from mask_template.network import HEADS, predict
from mask_template.tau import fit, group_masses
from mask_template.truth import truth

HELD_OUT = 100


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
def main(faces: Path, output: Path) -> None:
    names = ("crops", "landmarks", "attributions")
    rows = zip(*(np.load(faces / f"{name}.npy", mmap_mode="r")[:HELD_OUT] for name in names), strict=True)
    told, true = ([[] for _ in HEADS] for _ in range(2))
    for crop, landmarks, attributions in tqdm(rows, "faces", HELD_OUT, mininterval=5):
        groups, looks = block_groups(landmarks), predict(crop)
        for head, name in enumerate(HEADS):
            told[head].append(group_masses(looks[name], groups))
            true[head].append(group_masses(truth(attributions[head], landmarks), groups))
    tau = {name: fit(np.array(told[head]), np.array(true[head])) for head, name in enumerate(HEADS)}
    output.write_text(json.dumps(tau, indent=1) + "\n")
    click.echo(output.read_text())


if __name__ == "__main__":
    main()
