"""Does the secret decide where a face goes? Protect every probe under two secrets and compare.

    python scripts/measure_diversity.py ../shared/data/faces/dev --protocol ../shared/data/faces/dev.json

Prints, for each attacked recognizer, the mean distance between the two protected pictures of one photo beside that
between clean probes of two people, and the mean correlation of the changes in the canonical crop, between two secrets
on one photo and between two people. What it takes to undo a protection is measured by `veilkey evaluate --attack`.
"""

from itertools import combinations
from pathlib import Path

import click
import cv2
import numpy as np
from tqdm import tqdm

from keys.payload import FaceKey
from veilkey import recognizers
from veilkey.carriers import Picture, read_photo
from veilkey.evaluation.protocol import read_protocol
from veilkey.faces import CROP_SIZE, FaceFinder
from veilkey.protector import Protector, Settings
from veilkey.restorer import face_residual, window

PAIRS = 2000


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--protocol", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--target", default="dlib", show_default=True)
@click.option("--strength", default=Settings.strength, show_default=True)
@click.option("--refine", default=Settings.refine, show_default=True)
def main(faces: Path, protocol: Path | None, target: str, strength: str, refine: int) -> None:
    attacked = recognizers.targets(target)
    protector, finder = Protector(attacked), FaceFinder()
    judges = {name: recognizers.get(name) for name in attacked}
    settings = Settings(strength=strength, refine=refine)
    people, clean, twice, changes = [], [], [], []
    for photo in tqdm(read_protocol(faces, protocol).probes, "probes", mininterval=5):
        picture = read_photo(photo.path)
        found = finder.find(picture.rgb())
        if not found:
            continue
        made = [protector.protect(picture, settings)[:2] for _ in range(2)]
        look = {name: [judge.embed_face(p.rgb(), found[0].landmarks) for p in (picture, *(m[0] for m in made))]
                for name, judge in judges.items()}  # fmt: skip
        people.append(photo.person)
        clean.append({name: seen[0] for name, seen in look.items()})
        twice.append({name: float(judges[name].distance(seen[1], seen[2])) for name, seen in look.items()})
        changes.append([canonical_change(payload.faces[0], picture) for _, payload in made])

    random = np.random.default_rng(0)
    pairs = [(a, b) for a, b in combinations(range(len(people)), 2) if people[a] != people[b]]
    pairs = [pairs[i] for i in random.choice(len(pairs), min(PAIRS, len(pairs)), replace=False)]
    click.echo(f"{len(people)} probes, {len(pairs)} pairs of people; {strength}, {refine} steps, against {target}")
    for name, judge in judges.items():
        strangers = np.mean([judge.distance(clean[a][name], clean[b][name]) for a, b in pairs])
        own = np.mean([row[name] for row in twice])
        click.echo(
            f"{name}: distance of one photo's two secrets {own:.3f}, of two people's clean photos {strangers:.3f}"
        )
    secrets = np.mean([correlation(*two) for two in changes])
    others = np.mean([correlation(changes[a][0], changes[b][0]) for a, b in pairs])
    click.echo(f"correlation of the change: two secrets {secrets:.3f}, two people {others:.3f}")


def canonical_change(face: FaceKey, picture: Picture) -> np.ndarray:
    """What was added to a face, in its canonical crop at a quarter of the size, (64, 64, 3) float32."""
    change = np.zeros((picture.height, picture.width, 3), np.float32)
    change[window(face.region)] = face_residual(face)[0]
    crop = cv2.warpAffine(change, face.transform / 65536.0, (CROP_SIZE, CROP_SIZE))
    return cv2.resize(crop, (64, 64), interpolation=cv2.INTER_AREA)


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Cosine of two changes."""
    return float(np.sum(first * second) / (np.linalg.norm(first) * np.linalg.norm(second) + 1e-12))


if __name__ == "__main__":
    main()
