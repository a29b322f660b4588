"""Does the secret decide where a face goes? Protect every probe under several secrets and compare.

    python scripts/measure_diversity.py ../shared/data/faces/dev --protocol ../shared/data/faces/dev.json --draws 5

Prints, for each attacked recognizer, the mean distance between the protected pictures of one photo beside that between
clean probes of two people; how often protected pictures of two photos of one person match each other, over all pairs of
draws, at the threshold that strangers' clean photos give for FAR 1e-3; and the mean correlation of the changes in the
canonical crop, between two secrets on one photo and between two people. What it takes to undo a protection is measured
by `veilkey evaluate --attack`.
"""

from itertools import combinations, product
from pathlib import Path

import click
import cv2
import numpy as np
from tqdm import tqdm

from keys.payload import FaceKey
from veilkey import recognizers
from veilkey.carriers import Picture, Pixels, read_photo
from veilkey.carriers.noise import face_residual, window
from veilkey.evaluation.intervals import People
from veilkey.evaluation.protocol import read_protocol
from veilkey.evaluation.scores import Impostors, pairs_of_one, strangers
from veilkey.faces import CROP_SIZE, FaceFinder
from veilkey.protector import Protector, Settings

PAIRS = 2000
FAR = 1e-3


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--protocol", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--target", default="dlib", show_default=True)
@click.option("--strength", default=Settings.strength, show_default=True)
@click.option("--refine", default=Settings.refine, show_default=True)
@click.option("--draws", default=2, type=click.IntRange(2), show_default=True, help="Secrets for each photo.")
def main(faces: Path, protocol: Path | None, target: str, strength: str, refine: int, draws: int) -> None:
    attacked = recognizers.targets(target)
    protector, finder = Protector(attacked), FaceFinder()
    judges = {name: recognizers.get(name) for name in attacked}
    settings = Settings(strength=strength, refine=refine)
    people: list[str] = []
    clean: dict[str, list[np.ndarray]] = {name: [] for name in judges}
    moved: dict[str, list[list[np.ndarray]]] = {name: [] for name in judges}
    changes = []
    for photo in tqdm(read_protocol(faces, protocol).probes, "probes", mininterval=5):
        picture = read_photo(photo.path)
        found = finder.find(picture.rgb())
        if not found:
            continue
        made = [protector.protect(Pixels(picture), settings)[:2] for _ in range(draws)]
        people.append(photo.person)
        for name, judge in judges.items():
            seen = [judge.embed_face(p.rgb(), found[0].landmarks) for p in (picture, *(m[0].picture for m in made))]
            clean[name].append(seen[0])
            moved[name].append(seen[1:])
        changes.append([canonical_change(payload.faces[0], picture) for _, payload in made])

    owners = np.unique(people, return_inverse=True)[1]
    linked = pairs_of_one(owners)
    ways = [(i, a, j, b) for i, j in linked for a, b in product(range(draws), repeat=2)]
    random = np.random.default_rng(0)
    pairs = [(a, b) for a, b in combinations(range(len(people)), 2) if people[a] != people[b]]
    pairs = [pairs[i] for i in random.choice(len(pairs), min(PAIRS, len(pairs)), replace=False)]
    click.echo(f"{len(people)} probes, {draws} secrets each; {strength}, {refine} steps, against {target}")
    for name, judge in judges.items():
        impostors = Impostors(judge.threshold)
        strangers(judge.distance, np.stack(clean[name]), owners, impostors)
        apart = np.mean([judge.distance(clean[name][a], clean[name][b]) for a, b in pairs])
        own = np.mean([judge.distance(*two) for one in moved[name] for two in combinations(one, 2)])
        click.echo(f"{name}: one photo's secrets are {own:.3f} apart, two people's clean photos {apart:.3f}")
        met = np.array([judge.distance(moved[name][i][a], moved[name][j][b]) for i, a, j, b in ways])
        share = People([people[i] for i, *_ in ways]).share(met < impostors.threshold(FAR))
        click.echo(
            f"{name}: linked {share['value']:.3f} [{share['low']:.3f}, {share['high']:.3f}]: protected photos of one "
            f"person that match at FAR {FAR:g}, of {len(linked)} pairs of photos in {draws**2} pairs of draws each"
        )
    secrets = np.mean([correlation(*two) for one in changes for two in combinations(one, 2)])
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
