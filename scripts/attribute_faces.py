"""Attribute every recognizer's embedding of the training faces to the blocks of their crops, by gradients of the ports.

    python scripts/attribute_faces.py runs/faces

Reads what prepare_faces.py wrote. Writes runs/faces/attributions.npy (N, 4, 64, 64) float32, the recognizers in the
order of HEADS. Started again it goes on where it was stopped.
"""

from pathlib import Path

import click
import cv2
import numpy as np
from tqdm import tqdm

from mask_template.grid import GRID
from mask_template.network import HEADS
from mask_template.truth import attribute
from perturbation_gen.target import load_space
from veilkey import recognizers
from veilkey.recognizers.gradient import load_gradient


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(faces: Path) -> None:
    crops = np.load(faces / "crops.npy", mmap_mode="r")
    transforms = np.load(faces / "transforms.npy")
    path = faces / "attributions.npy"
    if not path.is_file():
        np.save(path, np.full((len(crops), len(HEADS), GRID, GRID), np.nan, np.float32))
    maps = np.load(path, mmap_mode="r+")
    todo = np.flatnonzero(np.isnan(maps[:, -1, 0, 0]))
    asked = [(load_gradient(name), recognizers.kind(name).input_size, load_space(name)) for name in HEADS]
    for face in tqdm(todo, "attributions", len(crops), initial=len(crops) - len(todo), mininterval=5):
        for head, (gradient, size, space) in enumerate(asked):
            crop, to_input = crops[face], transforms[face, head]
            seen = cv2.warpAffine(crop, to_input, (size, size), borderMode=cv2.BORDER_REPLICATE)
            embedding = gradient.forward(seen)
            maps[face, head] = attribute(crop, to_input, size, gradient, space.direction(embedding))


if __name__ == "__main__":
    main()
