"""Measure recognizers' identity spaces on the people of `train`: what targets are mixed from.

    python scripts/measure_identities.py ../shared/data/faces perturbation_gen/weights/identities.h5

Writes, for every installed recognizer that has a port, a group with `mean` (D,) and `identities` (200, D) float16, the
people in the order of their names, and whether it gives all embeddings the length 1 (`angular`).
"""

from pathlib import Path

import click
import h5py
import numpy as np
from tqdm import tqdm

from veilkey import recognizers
from veilkey.carriers import read_photo
from veilkey.faces import FaceFinder

PHOTOS = 6


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("output", type=click.Path(dir_okay=False, path_type=Path))
def main(faces: Path, output: Path) -> None:
    judges = {name: recognizers.get(name) for name in recognizers.targets("all")}
    finder = FaceFinder()
    people = sorted(folder for folder in (faces / "train").iterdir() if folder.is_dir())
    means: dict[str, list[np.ndarray]] = {name: [] for name in judges}
    angular = dict.fromkeys(judges, True)
    for person in tqdm(people, "people"):
        # One still of each video first: stills of one video are nearly the same picture.
        photos = sorted(person.glob("*.jpg"), key=lambda path: (path.stem.rsplit("_", 1)[-1], path.stem))[:PHOTOS]
        pictures = [read_photo(path).rgb() for path in photos]
        found = [(image, faces[0].landmarks) for image in pictures if (faces := finder.find(image))]
        for name, judge in judges.items():
            embeddings = np.stack([judge.embed_face(image, landmarks) for image, landmarks in found])
            means[name].append(embeddings.mean(0))
            angular[name] &= np.allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-3)
    with h5py.File(output, "w") as file:
        for name, rows in means.items():
            group = file.create_group(name)
            group["identities"] = np.stack(rows).astype(np.float16)
            group["mean"] = np.mean(rows, axis=0).astype(np.float16)
            group.attrs["angular"] = angular[name]
            group.attrs["data"] = f"{len(rows)} people of train, up to {PHOTOS} photos each"


if __name__ == "__main__":
    main()
