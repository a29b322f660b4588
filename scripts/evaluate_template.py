"""Has the Mask Template Network learned where dlib looks?

    python scripts/evaluate_template.py ../shared/data/faces runs/faces -o runs/template.json

Blurs 500 blocks of every dev probe's clean crop and asks dlib how much of the similarity to the person's gallery
(cosine, centred) is lost. Blocks: the network's; 500 random ones of the face (inside the landmarks' hull and the
forehead); the 500 that are best on average over the training faces. Paired differences with bootstrap intervals (95 %)
over people. Then equation 2 of the paper: how many of the 500 blocks stay when the same face comes smaller, at another
scale, or flipped.
"""

import functools
import json
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
from tqdm import tqdm

from mask_template.grid import BLOCK, BLOCKS, CROP, GRID
from mask_template.network import predict
from mask_template.template import MAX_BLOCKS
from mask_template.truth import blur, truth
from perturbation_gen.target import load_space
from veilkey.carriers import read_photo
from veilkey.faces import FaceFinder, compose, crop, invert, map_points
from veilkey.recognizers.dlib_resnet import DlibResNet


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("prepared", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(faces: Path, prepared: Path, output: Path) -> None:
    protocol = json.loads((faces / "dev.json").read_text())
    finder, judge, space = FaceFinder(), DlibResNet(), load_space("dlib")
    fixed = best_on_average(prepared)
    random = np.random.default_rng(0)
    losses: dict[str, list[float]] = {"network": [], "random": [], "fixed": []}
    kept: dict[str, list[float]] = {}
    people = []
    for name in tqdm(sorted(protocol["probes"]), "dev", mininterval=5):
        gallery = [embed_photo(finder, judge, faces / "dev" / photo) for photo in protocol["gallery"][name]]
        own = space.direction(np.mean([e for e in gallery if e is not None], 0))
        for photo in protocol["probes"][name]:
            image = read_photo(faces / "dev" / photo).rgb()
            found = finder.find(image)
            if not found:
                continue
            face = found[0]
            clean = crop(image, face.transform)
            to_chip = compose(judge.transform(face.landmarks), invert(face.transform))
            network = top(predict(clean, "dlib"))
            choices = {"network": network, "random": random_blocks(face_hull(face), random), "fixed": fixed}
            variants = [clean, *(blur_blocks(clean, blocks) for blocks in choices.values())]
            size = judge.input_size
            chips = [cv2.warpAffine(v, to_chip, (size, size), borderMode=cv2.BORDER_REPLICATE) for v in variants]
            similar = [float(space.direction(e) @ own) for e in judge.embed(np.stack(chips))]
            for kind, value in zip(choices, similar[1:], strict=True):
                losses[kind].append(similar[0] - value)
            people.append(name)
            for kind, share in stability(clean, network).items():
                kept.setdefault(kind, []).append(share)

    values = {kind: np.array(rows) for kind, rows in losses.items()}
    result = {
        "probes": len(people),
        "loss of similarity": {kind: round(float(rows.mean()), 4) for kind, rows in values.items()},
        "network - random": interval(values["network"] - values["random"], np.array(people)),
        "network - fixed": interval(values["network"] - values["fixed"], np.array(people)),
        "share of the 500 blocks kept": {kind: round(float(np.mean(rows)), 4) for kind, rows in kept.items()},
    }
    output.write_text(json.dumps(result, indent=1) + "\n")
    click.echo(output.read_text())


def top(distribution: np.ndarray, count: int = MAX_BLOCKS) -> np.ndarray:
    return np.argsort(-distribution)[:count]


def best_on_average(prepared: Path) -> np.ndarray:
    """The one template (500,) that collects most of the training faces' attribution."""
    attributions, landmarks = np.load(prepared / "attributions.npy"), np.load(prepared / "landmarks.npy")
    return top(np.mean([truth(a, p) for a, p in zip(attributions, landmarks, strict=True)], 0))


def embed_photo(finder: FaceFinder, judge: DlibResNet, path: Path) -> np.ndarray | None:
    image = read_photo(path).rgb()
    found = finder.find(image)
    return judge.embed_face(image, found[0].landmarks) if found else None


def face_hull(face) -> np.ndarray:  # noqa: ANN001 - Face
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


def stability(image: np.ndarray, blocks: np.ndarray) -> dict[str, float]:
    """Share of the blocks that the network picks again, mapped back, when the crop was changed."""
    before = grid_of(blocks)

    def share(changed: np.ndarray, back: Callable[[np.ndarray], np.ndarray], count: int = MAX_BLOCKS) -> float:
        after = back(grid_of(top(predict(changed, "dlib"), count)).astype(np.float32)) > 0.5
        return float((before & after).sum() / before.sum())

    rows = {}
    for side in (128, 96, 64):
        small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        rows[f"face of {side} px"] = share(cv2.resize(small, (CROP, CROP)), lambda grid: grid)
    for scale in (0.85, 1.15):
        move = np.array([[scale, 0, 128 * (1 - scale)], [0, scale, 128 * (1 - scale)]])
        changed = cv2.warpAffine(image, move, (CROP, CROP), borderMode=cv2.BORDER_REPLICATE)
        back = functools.partial(
            cv2.warpAffine, M=move / [1, 1, BLOCK], dsize=(GRID, GRID), flags=cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        )
        # A face that is larger in the crop covers as many more blocks.
        rows[f"scaled by {scale}"] = share(changed, back, round(MAX_BLOCKS * scale**2))
    flipped = np.ascontiguousarray(image[:, ::-1])
    rows["flipped"] = share(flipped, lambda grid: grid[:, ::-1])
    return rows


def interval(values: np.ndarray, people: np.ndarray) -> list[float]:
    """Mean and its 95 % bootstrap interval over people."""
    groups = [values[people == name] for name in np.unique(people)]
    random = np.random.default_rng(0)
    draws = [
        np.concatenate([groups[i] for i in random.integers(0, len(groups), len(groups))]).mean() for _ in range(2000)
    ]
    return [round(float(x), 4) for x in (values.mean(), *np.percentile(draws, [2.5, 97.5]))]


if __name__ == "__main__":
    main()
