"""What does each part bring? Protect with one part left out or put in at a time, and compare.

    python scripts/ablate.py ../shared/data/faces/dev --protocol ../shared/data/faces/dev.json --every 2

Every so manieth probe is protected at standard strength against the recognizers of --target, in each of VARIANTS.
Prints for each recognizer the share that still match the gallery, at the threshold that strangers' clean photos give
for FAR 1e-3, and the mean distance beyond that threshold in standard deviations of strangers' distances (higher hides
better; it tells variants apart long before a rate does); the same after half the size and back; and what is seen of the
face box. Variants differ by the draw of their secrets, too: the same one moves by about 0.15.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from fit_sigma import WithSigma
from tqdm import tqdm

from mask_template.grid import BLOCKS, GROUPS, block_groups
from mask_template.network import load_tau, predict
from mask_template.template import Template, choose, superpose
from mask_template.trim import trim
from perturbation_gen.refine import Attacked
from perturbation_gen.scene import Scene
from veilkey import recognizers
from veilkey.carriers import Picture, Pixels, read_photo
from veilkey.evaluation import transforms, visible
from veilkey.evaluation.enrolled import enrol
from veilkey.evaluation.protocol import read_protocol
from veilkey.faces import CROP_SIZE, Face, FaceFinder
from veilkey.faces.geometry import invert
from veilkey.protector import Protector, Settings

FAR = 1e-3
TRIMMED = 0.2
SIGMA = {"eyes": 0.833, "brows": 0.812, "nose": 0.799, "mouth": 0.979, "contour": 1.0, "other": 0.802}
"""What the chimp optimization algorithm found in `scripts/fit_sigma.py` on train."""


class WithoutTau(Protector):
    def _template(self, clean: np.ndarray, landmarks: np.ndarray, secret: bytes) -> Template:
        groups, looks = block_groups(landmarks), predict(clean)
        even = dict.fromkeys(GROUPS, 1.0)
        return superpose([choose(looks[name], groups, even, i, secret) for i, name in enumerate(self._attacked)])


class WithoutTemplate(Protector):
    def _template(self, clean: np.ndarray, landmarks: np.ndarray, secret: bytes) -> Template:
        """All blocks of the crop, for the first recognizer."""
        groups = block_groups(landmarks)
        weights = np.array([load_tau(self._attacked[0])[name] for name in GROUPS], np.float32)[groups]
        return Template(np.arange(BLOCKS, dtype=np.uint16), np.zeros(BLOCKS, np.uint8), groups, weights)


class Trimmed(Protector):
    """Without the blocks on which the recognizers' gradients at the clean face conflict most."""

    def _template(self, clean: np.ndarray, landmarks: np.ndarray, secret: bytes) -> Template:
        template = super()._template(clean, landmarks, secret)
        slopes = []
        for name in self._attacked:
            judge, space = self._judges[name], self._spaces[name]
            to_input = judge.transform(landmarks)
            seen = _warp(clean, to_input, judge.input_size)
            own = self._gradients[name](seen, np.zeros(judge.dimension, np.float32))[0]
            # At the clean face itself the cosine to it is at its top, with no slope: one step aside there is one.
            aside = seen + np.random.default_rng(0).normal(0, 2, seen.shape).astype(np.float32)
            embedding = self._gradients[name](aside, np.zeros(judge.dimension, np.float32))[0]
            away = space.slope(embedding, -space.direction(own))
            slope = self._gradients[name](aside, away)[1]
            slopes.append(_warp(slope, invert(to_input), CROP_SIZE))
        return trim(template, np.stack(slopes), TRIMMED)


class ByChimps(WithSigma):
    def __init__(self, attacked: Sequence[str]) -> None:
        super().__init__(attacked, SIGMA)


class WithoutTarget(Protector):
    def _attack(self, scene: Scene, face: Face, *rest: object) -> list[Attacked]:
        return [replace(one, target_weight=0.0, arrive=-1.0) for one in super()._attack(scene, face, *rest)]


class WithoutGenerator(Protector):
    """The steps start from nothing, not from the looks and the generator."""

    def _generate(self, *given: Any) -> np.ndarray:
        scene: Scene = given[5]
        return np.zeros_like(scene.low)


class WithoutPurifiers(Protector):
    """Recognizers never see a face that a purifier has cleaned."""

    def __init__(self, attacked: Sequence[str]) -> None:
        super().__init__(attacked)
        self._purifiers = []


def _warp(image: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    return cv2.warpAffine(image.astype(np.float32), transform, (size, size))


@dataclass(frozen=True)
class Variant:
    protector: type[Protector] = Protector
    settings: Settings = field(default_factory=Settings)


ONE_PASS = Settings(refine=0)
VARIANTS = {
    "as it ships": Variant(),
    "no tau: all groups weigh 1": Variant(WithoutTau),
    "no template: all blocks": Variant(WithoutTemplate),
    f"{TRIMMED:.0%} of the blocks trimmed": Variant(Trimmed),
    "sigma by feature group, as ChOA sets it": Variant(ByChimps),
    "no target": Variant(WithoutTarget),
    "no head start": Variant(WithoutGenerator),
    "no purifier in the loop": Variant(WithoutPurifiers),
    "--refine 0": Variant(settings=ONE_PASS),
    "--refine 0, noise of feature pixels": Variant(settings=replace(ONE_PASS, noise="feature-pixels")),
}


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--protocol", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--target", default="all", show_default=True)
@click.option("--every", default=1, type=click.IntRange(1), show_default=True, help="Only every so manieth probe.")
def main(faces: Path, protocol: Path | None, target: str, every: int) -> None:
    read, attacked, finder = read_protocol(faces, protocol), recognizers.targets(target), FaceFinder()
    judges = [enrol(recognizers.get(name), finder, read, FAR) for name in attacked]
    probes = range(0, len(judges[0].probes), every)
    click.echo(f"{len(probes)} probes, against {', '.join(attacked)}; FAR {FAR:g}")
    for title, variant in VARIANTS.items():
        protector = variant.protector(attacked)
        rows = []
        for probe in tqdm(probes, title, mininterval=5):
            image = read_photo(judges[0].probes[probe].path).rgb()
            found = finder.find(image)
            if not found:
                continue
            box = found[0].box
            settings = replace(variant.settings, faces=(1,))
            shown = protector.protect(Pixels(Picture(image, "RGB")), settings)[0].picture.rgb()
            seen = {**visible.face_measures(image, shown, box), **visible.slow_measures(image, shown, box)}
            beyond = [
                [one.beyond(one.recognizer.embed_face(changed, found[0].landmarks), probe) for one in judges]
                for changed in (shown, transforms.get("half")(shown))
            ]
            rows.append((beyond, [seen["ssim"], seen["flip"], seen["ssimulacra2"]]))
        distances = np.array([row[0] for row in rows])
        click.echo(
            f"{title}: match {_list((distances[:, 0] < 0).mean(0))}; beyond {_list(distances[:, 0].mean(0))}; "
            f"half {_list((distances[:, 1] < 0).mean(0))}, {_list(distances[:, 1].mean(0))}; SSIM, FLIP, SSIMULACRA2 "
            f"{_list(np.mean([row[1] for row in rows], 0), 3)}"
        )


def _list(values: np.ndarray, digits: int = 2) -> str:
    return ", ".join(f"{value:.{digits}f}" for value in values)


if __name__ == "__main__":
    main()
