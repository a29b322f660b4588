"""Has the Mask Template Network learned where each recognizer looks?

    python scripts/evaluate_template.py ../shared/data/faces runs/faces -o runs/template.json

Blurs 500 blocks of every dev probe's clean crop and asks each recognizer how much of the similarity to the person's
gallery (cosine, centred) is lost. Blocks: those of the recognizer's head; 500 random ones of the face (inside the
landmarks' hull and the forehead); the 500 that are best on average over the training faces. Paired differences with
bootstrap intervals (95 %) over people, also by skin tone and face size. Then equation 2 of the paper: how many of the
500 blocks stay when the same face comes smaller, at another scale, or flipped.
"""

import functools
import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from tqdm import tqdm

from mask_template.grid import BLOCK, BLOCKS, CROP, GRID
from mask_template.network import HEADS, predict
from mask_template.template import MAX_BLOCKS
from mask_template.truth import blur, truth
from perturbation_gen.target import load_space
from veilkey import recognizers
from veilkey.carriers import read_photo
from veilkey.evaluation.groups import LEAST, size_group, skin_tone, tone_group
from veilkey.evaluation.intervals import People
from veilkey.faces import Face, FaceFinder, compose, crop, invert, map_points


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("prepared", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(faces: Path, prepared: Path, output: Path) -> None:
    protocol = json.loads((faces / "dev.json").read_text())
    finder, random = FaceFinder(), np.random.default_rng(0)
    judges = {name: (recognizers.get(name), load_space(name)) for name in HEADS}
    fixed = best_on_average(prepared)
    people: list[str] = []
    groups: list[tuple[str, str]] = []
    losses: dict[str, list[list[float]]] = {name: [] for name in HEADS}
    kept: dict[str, list[list[float]]] = defaultdict(list)
    for person in tqdm(sorted(protocol["probes"]), "dev", mininterval=5):
        gallery = [one for photo in protocol["gallery"][person] if (one := read_face(finder, faces / "dev" / photo))]
        own = {
            name: space.direction(np.mean([judge.embed_face(image, face.landmarks) for image, face in gallery], 0))
            for name, (judge, space) in judges.items()
        }
        for photo in protocol["probes"][person]:
            if (probe := read_face(finder, faces / "dev" / photo)) is None:
                continue
            image, face = probe
            clean = crop(image, face.transform)
            best = {name: top(looks) for name, looks in predict(clean).items()}
            chance = random_blocks(face_hull(face), random)
            for name, (judge, space) in judges.items():
                variants = [clean, *(blur_blocks(clean, blocks) for blocks in (best[name], chance, fixed[name]))]
                to_input = compose(judge.transform(face.landmarks), invert(face.transform))
                size = (judge.input_size, judge.input_size)
                seen = [cv2.warpAffine(v, to_input, size, borderMode=cv2.BORDER_REPLICATE) for v in variants]
                similar = [float(space.direction(e) @ own[name]) for e in judge.embed(np.stack(seen))]
                losses[name].append([similar[0] - value for value in similar[1:]])
            for change, shares in stability(clean, best).items():
                kept[change].append(shares)
            people.append(person)
            groups.append((tone_group(skin_tone(image, face)), size_group(face.box)))

    result: dict[str, Any] = {"probes": len(people)}
    for head, name in enumerate(HEADS):
        network, chance, best = np.array(losses[name]).T
        result[name] = {
            "lost by network, random, fixed": np.round([network.mean(), chance.mean(), best.mean()], 3).tolist(),
            "network - random": interval(network - chance, people),
            "network - fixed": interval(network - best, people),
            "network - random, by group": by_group(network - chance, people, groups),
            "share of the 500 blocks kept": {
                change: round(float(np.mean([row[head] for row in rows])), 2) for change, rows in kept.items()
            },
        }
    output.write_text(json.dumps(result, indent=1) + "\n")
    click.echo(output.read_text())


def read_face(finder: FaceFinder, path: Path) -> tuple[np.ndarray, Face] | None:
    """A photo and its largest face."""
    image = read_photo(path).rgb()
    found = finder.find(image)
    return (image, found[0]) if found else None


def top(distribution: np.ndarray, count: int = MAX_BLOCKS) -> np.ndarray:
    return np.argsort(-distribution)[:count]


def best_on_average(prepared: Path) -> dict[str, np.ndarray]:
    """For each recognizer the one template (500,) that collects most of the training faces' attribution."""
    attributions = np.load(prepared / "attributions.npy", mmap_mode="r")
    landmarks = np.load(prepared / "landmarks.npy")
    return {
        name: top(np.mean([truth(a, p) for a, p in zip(attributions[:, head], landmarks, strict=True)], 0))
        for head, name in enumerate(HEADS)
    }


def face_hull(face: Face) -> np.ndarray:
    """The blocks inside the hull of the landmarks, stretched up over the forehead: (N,)."""
    points = map_points(face.transform, face.landmarks) / BLOCK
    brow, chin = points[17:27, 1].min(), points[:17, 1].max()
    forehead = points[17:27] - [0, (chin - brow) * 0.3]
    mask = np.zeros((GRID, GRID), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(np.vstack([points, forehead])).astype(np.int32)), 1)
    return np.flatnonzero(mask)


def random_blocks(hull: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return random.choice(hull, min(MAX_BLOCKS, len(hull)), replace=False)


def blur_blocks(image: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    mask = grid_of(blocks).repeat(BLOCK, 0).repeat(BLOCK, 1)
    return np.where(mask[..., None], blur(image), image)


def grid_of(blocks: np.ndarray) -> np.ndarray:
    grid = np.zeros(BLOCKS, bool)
    grid[blocks] = True
    return grid.reshape(GRID, GRID)


def stability(image: np.ndarray, best: dict[str, np.ndarray]) -> dict[str, list[float]]:
    """For each change of the crop, the share of each head's `best` blocks that it picks again, mapped back."""

    def shares(changed: np.ndarray, back: Callable[[np.ndarray], np.ndarray], count: int = MAX_BLOCKS) -> list[float]:
        rows = []
        for name, looks in predict(changed).items():
            before, after = grid_of(best[name]), back(grid_of(top(looks, count)).astype(np.float32)) > 0.5
            rows.append(float((before & after).sum() / before.sum()))
        return rows

    changes = {}
    for side in (128, 96, 64):
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        changes[f"face of {side} px"] = shares(cv2.resize(small, (CROP, CROP)), lambda grid: grid)
    for scale in (0.85, 1.15):
        move = np.array([[scale, 0, 128 * (1 - scale)], [0, scale, 128 * (1 - scale)]])
        changed = cv2.warpAffine(image, move, (CROP, CROP), borderMode=cv2.BORDER_REPLICATE)
        back = functools.partial(
            cv2.warpAffine, M=move / [1, 1, BLOCK], dsize=(GRID, GRID), flags=cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        )
        # A face that is larger in the crop covers as many more blocks.
        changes[f"scaled by {scale}"] = shares(changed, back, round(MAX_BLOCKS * scale**2))
    flipped = np.ascontiguousarray(image[:, ::-1])
    changes["flipped"] = shares(flipped, lambda grid: grid[:, ::-1])
    return changes


def interval(values: np.ndarray, people: list[str]) -> list[float]:
    """Mean and its 95 % bootstrap interval over people."""
    figure = People(people).mean(values)
    return [round(figure[key], 3) for key in ("value", "low", "high")]


def by_group(values: np.ndarray, people: list[str], groups: list[tuple[str, str]]) -> dict[str, list[float]]:
    """The same for every skin tone and face size of which there are enough photos."""
    names, rows = sorted({name for pair in groups for name in pair}), {}
    for name in names:
        at = np.flatnonzero([name in pair for pair in groups])
        if len(at) >= LEAST:
            rows[f"{name}, n {len(at)}"] = interval(values[at], [people[i] for i in at])
    return rows


if __name__ == "__main__":
    main()
