"""Does a tau that is fitted to a recognizer from 50 faces say where it looks, better than the average tau does?

    python scripts/evaluate_tau.py ../shared/data/faces runs/faces -o runs/tau.json

Each recognizer in turn is taken as new and as a black box: its head of the network is not looked at, its tau is fitted
by hiding feature groups on the first 50 faces of runs/faces, as `veilkey recognizers fit` does. Then, on the dev
probes: how far the groups' shares that the fitted tau predicts are from the shares that hiding groups shows (half the
sum of the absolute differences), how far those of the average tau of the other three recognizers, fitted in the same
way, and the paired difference with its bootstrap interval (95 %) over people.
"""

import json
from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from mask_template.grid import GROUPS, block_groups
from mask_template.network import HEADS, predict
from mask_template.tau import fit, group_masses, occlusion_shares
from veilkey import recognizers
from veilkey.carriers import read_photo
from veilkey.evaluation.intervals import People
from veilkey.faces import FaceFinder, compose, crop, invert, map_points
from veilkey.recognizers.fitting import FACES, embed_hidden


class Seen:
    """What the heads say of some faces, and what the recognizers do when groups are hidden."""

    def __init__(self) -> None:
        self.judges = {name: recognizers.get(name) for name in HEADS}
        self.people: list[str] = []
        self._masses: list[list[np.ndarray]] = []
        self._embeddings: dict[str, list[np.ndarray]] = {name: [] for name in HEADS}

    def add(self, person: str, clean: np.ndarray, landmarks: np.ndarray, to_inputs: dict[str, np.ndarray]) -> None:
        """A face's canonical crop, its landmarks in the crop, and crop -> input for each recognizer."""
        groups = block_groups(landmarks)
        self.people.append(person)
        self._masses.append([group_masses(looks, groups) for looks in predict(clean).values()])
        for name, judge in self.judges.items():
            self._embeddings[name].append(embed_hidden(judge, clean, groups, to_inputs[name]))

    def masses_without(self, name: str) -> np.ndarray:
        """What the other recognizers' heads give the groups on average, (N, 6)."""
        return np.delete(np.array(self._masses), HEADS.index(name), axis=1).mean(1)

    def shares(self, name: str) -> np.ndarray:
        """What hiding the groups costs, (N, 6)."""
        return occlusion_shares(np.stack(self._embeddings[name]))


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("prepared", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(faces: Path, prepared: Path, output: Path) -> None:
    known, new = Seen(), Seen()
    arrays = (np.load(prepared / f"{name}.npy", mmap_mode="r")[:FACES] for name in ("crops", "landmarks", "transforms"))
    for clean, landmarks, transforms in tqdm(zip(*arrays, strict=True), "to fit", FACES, mininterval=5):
        known.add("", clean, landmarks, dict(zip(HEADS, transforms, strict=True)))
    probes, finder = json.loads((faces / "dev.json").read_text())["probes"], FaceFinder()
    photos = [(person, faces / "dev" / photo) for person in sorted(probes) for photo in probes[person]]
    for person, path in tqdm(photos, "dev", mininterval=5):
        image = read_photo(path).rgb()
        if not (found := finder.find(image)):
            continue
        face, back = found[0], invert(found[0].transform)
        to_inputs = {name: compose(judge.transform(face.landmarks), back) for name, judge in new.judges.items()}
        new.add(person, crop(image, face.transform), map_points(face.transform, face.landmarks), to_inputs)

    result: dict[str, object] = {"fitted on": FACES, "probes": len(new.people)}
    people = People(new.people)
    for name in HEADS:
        base, true = new.masses_without(name), new.shares(name)
        fitted = {one: fit(known.masses_without(name), known.shares(one)) for one in HEADS}
        average = {group: float(np.mean([fitted[o][group] for o in HEADS if o != name])) for group in GROUPS}
        own, mean = (distance(base, tau, true) for tau in (fitted[name], average))
        gain = people.mean(mean - own)
        result[name] = {
            "tau": fitted[name],
            "distance, fitted tau": round(float(own.mean()), 3),
            "distance, average tau": round(float(mean.mean()), 3),
            "average - fitted": [round(gain[key], 3) for key in ("value", "low", "high")],
        }
    output.write_text(json.dumps(result, indent=1) + "\n")
    click.echo(output.read_text())


def distance(masses: np.ndarray, tau: dict[str, float], true: np.ndarray) -> np.ndarray:
    """Total variation (N,) between the shares that `tau` makes of `masses` (N, 6) and the `true` shares (N, 6)."""
    told = masses * np.array([tau[group] for group in GROUPS])
    return np.abs(told / told.sum(1, keepdims=True) - true).sum(1) / 2


if __name__ == "__main__":
    main()
