"""Cut every training photo's face into a canonical crop, once, with what training needs to know about it.

    python scripts/prepare_faces.py ../shared/data/faces runs/faces

Reads FACES/train/*/*.jpg and FACES/unlabelled/*.jpg; never FACES/dev. Writes, one row a face:
    crops.npy       (N, 256, 256, 3) uint8 RGB canonical crops
    landmarks.npy   (N, 68, 2) float32 landmarks in crop pixels
    chips.npy       (N, 2, 3) float32 crop -> dlib's 150-pixel chip
    embeddings.npy  (N, 128) float32 dlib's embedding of the photo's face
    identities.npy  (N,) int32 index of the person in identities.txt, -1 where nobody said who it is
"""

from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from veilkey.carriers import read_photo
from veilkey.faces import FaceFinder, compose, crop, invert, map_points
from veilkey.recognizers.dlib_resnet import DlibResNet


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def main(faces: Path, out: Path) -> None:
    people = sorted(folder.name for folder in (faces / "train").iterdir() if folder.is_dir())
    photos = [(path, people.index(path.parent.name)) for path in sorted((faces / "train").glob("*/*.jpg"))]
    photos += [(path, -1) for path in sorted((faces / "unlabelled").glob("*.jpg"))]
    finder, recognizer = FaceFinder(), DlibResNet()
    rows: dict[str, list] = {name: [] for name in ("crops", "landmarks", "chips", "embeddings", "identities")}
    for path, person in tqdm(photos, desc="faces"):
        image = read_photo(path).rgb()
        found = finder.find(image)
        if not found:
            continue
        face = found[0]
        rows["crops"].append(crop(image, face.transform))
        rows["landmarks"].append(map_points(face.transform, face.landmarks).astype("f4"))
        to_chip = compose(recognizer.transform(face.landmarks), invert(face.transform))
        rows["chips"].append(to_chip.astype("f4"))
        rows["embeddings"].append(recognizer.embed_face(image, face.landmarks))
        rows["identities"].append(np.int32(person))
    out.mkdir(parents=True, exist_ok=True)
    for name, values in rows.items():
        np.save(out / f"{name}.npy", np.stack(values))
    (out / "identities.txt").write_text("\n".join(people) + "\n")
    click.echo(f"{len(rows['crops'])} faces of {len(photos)} photos in {out}")


if __name__ == "__main__":
    main()
