"""Sigma's second stage: does the change show less where each feature group has a share of its own?

    python scripts/fit_sigma.py ../shared/data/faces/train --protocol ../shared/data/faces/train.json

Protects one probe of every so manieth person against all recognizers, with one sigma for all features. Then the
residuals' feature groups are weighed anew and brought back to the same structural similarity, so that a trial costs no
refinement: the shares are sought that make SSIMULACRA2 of the face boxes highest while the protected faces stay, on
average over recognizers, as far beyond their thresholds as they were. By the chimp optimization algorithm, and by
gradient descent (L-BFGS-B on finite differences) with as many evaluations, both on every second one of these people;
the rest are then protected with either's shares from the first step on, which is what counts. Some ten minutes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from scipy.optimize import minimize
from tqdm import tqdm

from keys.payload import FaceKey
from mask_template.grid import GROUPS, block_groups
from perturbation_gen import chimp
from perturbation_gen.budget import STRENGTHS, ssim
from perturbation_gen.scene import Scene
from perturbation_gen.sigma import sigma_map
from veilkey import recognizers
from veilkey.carriers import Picture, Pixels, read_photo
from veilkey.carriers.noise import face_residual, window
from veilkey.evaluation import visible
from veilkey.evaluation.enrolled import Enrolled, enrol
from veilkey.evaluation.protocol import Protocol, read_protocol
from veilkey.faces import Face, FaceFinder, compose, invert
from veilkey.faces.geometry import map_points
from veilkey.protector import Protector, Settings

FAR = 1e-3
RANGE = 1.0
"""Natural logarithm of the largest share, and minus that of the least."""
CHIMPS = 10
DEFICIT = 50.0
"""What a standard deviation of strength that is missing costs, in points of SSIMULACRA2."""
EVEN = dict.fromkeys(GROUPS, 1.0)


class WithSigma(Protector):
    """A protector that lets the change go farther in some feature groups than in others."""

    def __init__(self, attacked: Sequence[str], sigma: dict[str, float]) -> None:
        super().__init__(attacked)
        self._sigma = sigma

    def _scene(self, *given: Any) -> Scene:
        scene: Scene = super()._scene(*given)
        face, to_lattice = given[2], given[5]
        from_crop = compose(to_lattice, invert(face.transform))
        return replace(
            scene, gate=scene.gate * sigma_map(self._sigma, groups_of(face), from_crop, scene.gate.shape[:2])
        )


@dataclass(frozen=True)
class Known:
    """A probe: its number, photo (H, W, 3) uint8 and face."""

    probe: int
    image: np.ndarray
    face: Face


@dataclass(frozen=True)
class Residual:
    """What was added to a face: its key, and the residual over the key's region, `values` (h, w, C) float32."""

    known: Known
    key: FaceKey
    values: np.ndarray

    def weighed(self, sigma: dict[str, float], least: float) -> np.ndarray:
        """The photo (H, W, 3) uint8 with the groups of its residual weighed, at the structural similarity `least`."""
        image, key, box = self.known.image, self.key, self.known.face.box
        here = window(key.region)
        rows, columns = self.values.shape[:2]
        to_region = np.array([[1.0, 0, -key.region[0]], [0, 1.0, -key.region[1]]])
        from_crop = compose(to_region, invert(self.known.face.transform))
        share = sigma_map(sigma, groups_of(self.known.face), from_crop, (rows, columns))
        scale, shown = 1.0, image.copy()
        for _ in range(6):
            shown[here] = np.clip(np.rint(image[here] + scale * share * self.values), 0, 255)
            lost = 1 - min(ssim(image[window(box)], shown[window(box)]), ssim(image[here], shown[here]))
            scale *= np.sqrt((1 - least) / max(lost, 1e-9))
        return shown


def groups_of(face: Face) -> np.ndarray:
    """The feature group of each block of a face's crop."""
    return block_groups(map_points(face.transform, face.landmarks))


def protect(protector: Protector, known: Known) -> tuple[np.ndarray, FaceKey]:
    """The protected photo, and its key's part for the face."""
    photo, payload, _ = protector.protect(Pixels(Picture(known.image, "RGB")), Settings(faces=(1,)))
    return photo.picture.rgb(), payload.faces[0]


def judge(judges: list[Enrolled], known: Sequence[Known], shown: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Mean distance beyond the thresholds, mean SSIMULACRA2, and mean SSIM of the face boxes."""
    rows = []
    for one, picture in zip(known, shown, strict=True):
        beyond = [j.beyond(j.recognizer.embed_face(picture, one.face.landmarks), one.probe) for j in judges]
        before, after = one.image[window(one.face.box)], picture[window(one.face.box)]
        rows.append((np.mean(beyond), visible.ssimulacra2(before, after), ssim(before, after)))
    beyond, seen, alike = np.mean(rows, 0)
    return float(beyond), float(seen), float(alike)


def by_chimps(objective: Callable[[np.ndarray], float], evaluations: int) -> np.ndarray:
    size = np.full(len(GROUPS), RANGE)
    return chimp.minimize(objective, -size, size, CHIMPS, evaluations, np.random.default_rng(0)).x


def by_gradient(objective: Callable[[np.ndarray], float], evaluations: int) -> np.ndarray:
    best = [(np.inf, np.zeros(len(GROUPS)))]

    def asked(x: np.ndarray) -> float:
        if len(best) > evaluations:
            raise StopIteration
        best.append((objective(x), x.copy()))
        return best[-1][0]

    bounds = [(-RANGE, RANGE)] * len(GROUPS)
    try:
        minimize(asked, np.zeros(len(GROUPS)), method="L-BFGS-B", bounds=bounds, options={"eps": 0.1})
    except StopIteration:
        pass
    return min(best, key=lambda pair: pair[0])[1]


def thinned(protocol: Protocol, every: int) -> Protocol:
    """Only every so manieth person."""
    names = sorted({photo.person for photo in protocol.gallery})[::every]
    gallery, probes = (tuple(p for p in part if p.person in names) for part in (protocol.gallery, protocol.probes))
    return replace(protocol, gallery=gallery, probes=probes)


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--protocol", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--every", default=6, type=click.IntRange(1), show_default=True, help="Only every so manieth person.")
@click.option("--evaluations", default=60, type=click.IntRange(20), show_default=True)
def main(faces: Path, protocol: Path | None, every: int, evaluations: int) -> None:
    names, finder = recognizers.targets("all"), FaceFinder()
    read = thinned(read_protocol(faces, protocol), every)
    judges = [enrol(recognizers.get(name), finder, read, FAR) for name in names]
    budget = STRENGTHS[Settings().strength].ssim
    firsts = np.unique(judges[0].owners, return_index=True)[1]
    known = []
    for probe in firsts:
        image = read_photo(judges[0].probes[probe].path).rgb()
        if found := finder.find(image):
            known.append(Known(int(probe), image, found[0]))
    fitted, held_out = known[::2], known[1::2]

    even = WithSigma(names, EVEN)
    residuals = []
    for one in tqdm(fitted, "protecting", mininterval=5):
        _, key = protect(even, one)
        residuals.append(Residual(one, key, face_residual(key)[0].astype(np.float32)))
    strength, visibility, alike = judge(judges, fitted, [r.weighed(EVEN, budget) for r in residuals])
    click.echo(f"{len(fitted)} faces, one sigma: beyond {strength:.3f}, SSIMULACRA2 {visibility:.2f}, SSIM {alike:.4f}")

    found = {"one sigma": EVEN}
    for title, search in {"ChOA": by_chimps, "gradient descent": by_gradient}.items():
        with tqdm(total=evaluations, desc=title, mininterval=5) as bar:

            def objective(x: np.ndarray, bar: tqdm = bar) -> float:
                sigma = dict(zip(GROUPS, np.exp(x), strict=True))
                beyond, looks, _ = judge(judges, fitted, [r.weighed(sigma, budget) for r in residuals])
                bar.update()
                return DEFICIT * max(0.0, strength - beyond) - looks

            best = np.exp(search(objective, evaluations))
        # Only their ratios matter, as the budget bounds the whole.
        found[title] = {name: round(float(v), 3) for name, v in zip(GROUPS, best / best.max(), strict=True)}
        beyond, looks, alike = judge(judges, fitted, [r.weighed(found[title], budget) for r in residuals])
        click.echo(f"{title}: {found[title]}: beyond {beyond:.3f}, SSIMULACRA2 {looks:.2f}, SSIM {alike:.4f}")

    for title, sigma in found.items():
        protector = WithSigma(names, sigma)
        shown = [protect(protector, one)[0] for one in tqdm(held_out, title, mininterval=5)]
        beyond, looks, alike = judge(judges, held_out, shown)
        click.echo(
            f"{len(held_out)} others, {title}, from the first step: beyond {beyond:.3f}, SSIMULACRA2 {looks:.2f}, "
            f"SSIM {alike:.4f}"
        )


if __name__ == "__main__":
    main()
