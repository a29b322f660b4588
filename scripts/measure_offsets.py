"""Do the random offsets keep one person's templates from giving away the next?

    python scripts/measure_offsets.py ../shared/data/faces runs/faces -o runs/offsets.json

Templates of 84 photos of one person (FACES/andy_lau), each under a secret of its own, in four sets of 21. Each photo's
template is predicted from the other 20 of its set, as the 500 blocks that most of them have, and from the mean
template, the 500 that most of 200 training faces' templates have. What counts is the share of the photo's blocks that
is hit; differences are paired, with bootstrap intervals (95 %) over photos. Beside it the same without offsets, and
what whoever runs the network on the photo itself hits without its secret.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from mask_template.grid import BLOCKS, GROUPS, block_groups
from mask_template.network import HEADS, load_tau, predict
from mask_template.randomness import SECRET_BYTES
from mask_template.template import MAX_BLOCKS, choose
from veilkey.carriers import read_photo
from veilkey.errors import UnreadablePhoto
from veilkey.evaluation.intervals import People
from veilkey.faces import FaceFinder, crop, map_points

SET = 21
SETS = 4
OTHERS = 200


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("prepared", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(faces: Path, prepared: Path, output: Path) -> None:
    random, finder = np.random.default_rng(0), FaceFinder()
    paths, seen = sorted((faces / "andy_lau").glob("*.jpg")), []
    for number in random.permutation(len(paths)):
        try:
            image = read_photo(paths[number]).rgb()
        except UnreadablePhoto:  # some are too small
            continue
        if found := finder.find(image):
            landmarks = map_points(found[0].transform, found[0].landmarks)
            seen.append((predict(crop(image, found[0].transform)), block_groups(landmarks)))
        if len(seen) == SET * SETS:
            break
    crops, landmarks = (np.load(prepared / f"{name}.npy", mmap_mode="r")[:OTHERS] for name in ("crops", "landmarks"))
    rows = tqdm(zip(crops, landmarks, strict=True), "others", OTHERS, mininterval=5)
    others = [(predict(one), block_groups(points)) for one, points in rows]

    def salted(looks: np.ndarray, groups: np.ndarray, name: str) -> np.ndarray:
        return choose(looks, groups, load_tau(name), 0, random.bytes(SECRET_BYTES)).blocks

    people = People(list(map(str, range(len(seen)))))
    result: dict[str, object] = {"photos": len(seen)}
    for name in HEADS:
        result[name] = {}
        for kind, make in (("with offsets", salted), ("without", plain)):
            own, mean, best = hits(seen, others, name, make)
            gain = people.mean(own - mean)
            result[name][kind] = {
                "by the 20": round(float(own.mean()), 3),
                "by the mean template": round(float(mean.mean()), 3),
                "20 - mean": [round(gain[key], 3) for key in ("value", "low", "high")],
                "by the network on the photo": round(float(best.mean()), 3),
            }
    output.write_text(json.dumps(result, indent=1) + "\n")
    click.echo(output.read_text())


Face = tuple[dict[str, np.ndarray], np.ndarray]
"""What the network says of a face, and the feature group of each block."""


def hits(
    seen: Sequence[Face], others: Sequence[Face], name: str, make: Callable[[np.ndarray, np.ndarray, str], np.ndarray]
) -> np.ndarray:
    """Share of each photo's blocks hit by the others of its set, the mean template, and the network: (3, N)."""
    templates = [grid_of(make(looks[name], groups, name)) for looks, groups in seen]
    everybody = np.mean([grid_of(make(looks[name], groups, name)) for looks, groups in others], 0)
    rows = []
    for number, (looks, groups) in enumerate(seen):
        start = number - number % SET
        # Where the 20 leave it open, the mean template decides.
        rest = np.sum(templates[start : start + SET], 0) - templates[number] + 1e-3 * everybody
        guesses = (top(rest), top(everybody), plain(looks[name], groups, name))
        rows.append([templates[number][guess].mean() for guess in guesses])
    return np.array(rows).T


def top(scores: np.ndarray) -> np.ndarray:
    return np.argsort(-scores, kind="stable")[:MAX_BLOCKS]


def plain(looks: np.ndarray, groups: np.ndarray, name: str) -> np.ndarray:
    """The template without offsets: the 500 blocks of the highest score."""
    tau = load_tau(name)
    return top(looks * np.array([tau[group] for group in GROUPS])[groups])


def grid_of(blocks: np.ndarray) -> np.ndarray:
    grid = np.zeros(BLOCKS)
    grid[blocks] = 1
    return grid


if __name__ == "__main__":
    main()
