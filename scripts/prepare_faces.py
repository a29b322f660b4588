"""Cut training photos' faces into canonical crops, once, with what training needs to know about them.

    python scripts/prepare_faces.py ../shared/data/faces runs/faces

Reads FACES/train/*/*.jpg and FACES/unlabelled/*.jpg in the order of a seeded shuffle; never FACES/dev. Writes, one row
a face:
    crops.npy       (N, 256, 256, 3) uint8 RGB canonical crops
    landmarks.npy   (N, 68, 2) float32 landmarks in crop pixels
    transforms.npy  (N, 4, 2, 3) float32 crop -> each recognizer's aligned input, in the order of HEADS
"""

from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from mask_template.network import HEADS
from veilkey import recognizers
from veilkey.carriers import read_photo
from veilkey.faces import FaceFinder, compose, crop, invert, map_points


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--count", type=int, help="How many photos; all unless said.")
@click.option("--seed", default=1, show_default=True)
def main(faces: Path, out: Path, count: int | None, seed: int) -> None:
    photos = sorted((faces / "train").glob("*/*.jpg")) + sorted((faces / "unlabelled").glob("*.jpg"))
    order = np.random.default_rng(seed).permutation(len(photos))[:count]
    finder, judges = FaceFinder(), [recognizers.get(name) for name in HEADS]
    rows: dict[str, list] = {name: [] for name in ("crops", "landmarks", "transforms")}
    for number in tqdm(order, desc="faces", mininterval=5):
        image = read_photo(photos[number]).rgb()
        found = finder.find(image)
        if not found:
            continue
        face = found[0]
        rows["crops"].append(crop(image, face.transform))
        rows["landmarks"].append(map_points(face.transform, face.landmarks).astype("f4"))
        back = invert(face.transform)
        to_inputs = [compose(judge.transform(face.landmarks), back) for judge in judges]
        rows["transforms"].append(np.stack(to_inputs).astype("f4"))
    out.mkdir(parents=True, exist_ok=True)
    for name, values in rows.items():
        np.save(out / f"{name}.npy", np.stack(values))
    click.echo(f"{len(rows['crops'])} faces of {len(order)} photos in {out}")


if __name__ == "__main__":
    main()
