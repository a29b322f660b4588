"""Does it work? Protect every probe of a protocol and ask dlib itself.

    python scripts/evaluate.py ../shared/data/faces --split dev -o runs/dev.json
    python scripts/evaluate.py ../shared/data/faces --split dev --refine 0 -o runs/dev-generator.json

Threshold: the distance that one impostor pair in a thousand of clean photos stays under (FAR 1e-3); a probe is compared
with the mean embedding of a person's gallery. Every photo is searched for its face anew. A protected face that is not
found does not match; how many are found is printed. Intervals are bootstrap intervals (95 %) over people.
"""

import io
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import click
import numpy as np
from PIL import Image
from skimage.metrics import structural_similarity
from tqdm import tqdm

from perturbation_gen.budget import flip
from veilkey.carriers import Picture, read_photo
from veilkey.errors import NoFace
from veilkey.faces import FaceFinder
from veilkey.protector import Protector, Settings
from veilkey.recognizers.dlib_resnet import DlibResNet
from veilkey.restorer import face_residual, restore_picture, window


@dataclass
class Probe:
    """What is measured of one probe; embeddings are None where no face was found."""

    person: str
    photo: str
    clean: np.ndarray
    protected: np.ndarray | None = None
    jpeg: np.ndarray | None = None
    restored: np.ndarray | None = None
    ssim: float = float("nan")
    flip: float = float("nan")
    seconds: float = float("nan")
    exact: bool = False
    local: bool = False
    steps: int = 0
    second: np.ndarray | None = None
    undone: np.ndarray | None = None
    residuals: list[np.ndarray] = field(default_factory=list)


class Judge:
    """Finds the largest face and embeds it, by dlib itself."""

    def __init__(self) -> None:
        self.finder, self.recognizer = FaceFinder(), DlibResNet()

    def __call__(self, image: np.ndarray) -> np.ndarray | None:
        faces = self.finder.find(image)
        return self.recognizer.embed_face(image, faces[0].landmarks) if faces else None


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def distances(embeddings: list[np.ndarray | None], others: np.ndarray) -> np.ndarray:
    """(N, M); infinite where no face was found."""
    return np.stack(
        [np.full(len(others), np.inf) if e is None else np.linalg.norm(others - e, axis=1) for e in embeddings]
    )


def interval(values: np.ndarray, people: np.ndarray) -> list[float]:
    """Mean and its 95 % bootstrap interval over people."""
    names = np.unique(people)
    groups = [values[people == name] for name in names]
    random = np.random.default_rng(0)
    draws = [
        np.concatenate([groups[i] for i in random.integers(0, len(groups), len(groups))]).mean() for _ in range(2000)
    ]
    return [round(float(x), 4) for x in (values.mean(), *np.percentile(draws, [2.5, 97.5]))]


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--split", type=click.Choice(["dev", "train"]), default="dev", show_default=True)
@click.option("--people", type=int, help="Only the first so many people (for trials on train).")
@click.option("--strength", default="standard", show_default=True)
@click.option("--refine", type=int, default=Settings.refine, show_default=True)
@click.option("--noise", default=Settings.noise, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def main(faces: Path, split: str, people: int | None, strength: str, refine: int, noise: str, output: Path) -> None:
    protocol = json.loads((faces / f"{split}.json").read_text())
    names = sorted(protocol["probes"])[:people]
    judge, protector = Judge(), Protector()
    settings = Settings(strength=strength, refine=refine, noise=noise)

    gallery, found_names = [], []
    for name in tqdm(names, "gallery", mininterval=5):
        embedded = [judge(read_photo(faces / split / photo).rgb()) for photo in protocol["gallery"][name]]
        kept = [e for e in embedded if e is not None]
        if kept:
            gallery.append(np.mean(kept, 0))
            found_names.append(name)
    probes = []
    for name in tqdm(found_names, "probes", mininterval=5):
        for photo in protocol["probes"][name]:
            picture = read_photo(faces / split / photo)
            clean = judge(picture.rgb())
            if clean is not None:
                probes.append(measure(Probe(name, photo, clean), picture, judge, protector, settings))

    result = summarise(probes, np.stack(gallery), found_names)
    result["settings"] = {"split": split, "strength": strength, "refine": refine, "noise": noise}
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=1) + "\n")
    for key, value in result.items():
        click.echo(f"{key:34} {value}")


def measure(probe: Probe, picture: Picture, judge: Judge, protector: Protector, settings: Settings) -> Probe:
    """Protect one probe, once more under a second secret, attack it, and fill in what is seen of it."""
    start = time.perf_counter()
    try:
        protected, payload, reports = protector.protect(picture, settings)
    except NoFace:
        return probe
    probe.seconds = time.perf_counter() - start
    before, after = picture.rgb(), protected.rgb()
    area = window(payload.faces[0].box)
    probe.ssim = structural_similarity(before[area], after[area], channel_axis=2, data_range=255)
    probe.flip = flip(before[area], after[area])
    probe.steps = reports[0].steps
    restored = restore_picture(protected, payload)
    probe.exact = bool(np.array_equal(restored.pixels, picture.pixels))
    outside = np.ones(before.shape[:2], bool)
    for face in payload.faces:
        outside[window(face.region)] &= ~face_residual(face)[1]
    probe.local = bool(np.array_equal(before[outside], after[outside]))
    probe.protected, probe.jpeg, probe.restored = judge(after), judge(jpeg(after, 75)), judge(restored.rgb())
    again, other, _ = protector.protect(picture, settings)
    probe.second = judge(again.rgb())
    probe.residuals = [canonical_residual(keys.faces[0], picture) for keys in (payload, other)]
    probe.undone = judge(regenerate_and_subtract(protected, protector, settings))
    return probe


def regenerate_and_subtract(protected: Picture, protector: Protector, settings: Settings) -> np.ndarray:
    """What somebody without the key can do who has the code and the weights: protect the protected photo again, under
    a secret of their own, and subtract what that adds. (H, W, 3) uint8."""
    _, payload, _ = protector.protect(protected, settings)
    image = protected.rgb().astype(np.int16)
    for face in payload.faces:
        image[window(face.region)] -= face_residual(face)[0]
    return np.clip(image, 0, 255).astype(np.uint8)


def canonical_residual(face, picture: Picture) -> np.ndarray:  # noqa: ANN001 - FaceKey
    """The residual of a face in its canonical crop, (64, 64, 3) float32."""
    import cv2

    residual = np.zeros((picture.height, picture.width, 3), np.float32)
    residual[window(face.region)] = face_residual(face)[0]
    crop = cv2.warpAffine(residual, face.transform / 65536.0, (256, 256))
    return cv2.resize(crop, (64, 64), interpolation=cv2.INTER_AREA)


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sum(a * b) / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-12))


def summarise(probes: list[Probe], gallery: np.ndarray, names: list[str]) -> dict:
    """All figures; each rate as [value, low, high]."""
    owner = np.array([names.index(p.person) for p in probes])
    people = np.array([p.person for p in probes])
    rows = np.arange(len(probes))
    clean = distances([p.clean for p in probes], gallery)
    impostor = clean[np.arange(len(names))[None] != owner[:, None]]
    single = distances([p.clean for p in probes], np.stack([p.clean for p in probes]))
    threshold = {far: float(np.quantile(impostor, far)) for far in (1e-2, 1e-3)}
    # Two single photos are noisier than a photo and a gallery, so their pairs have a threshold of their own.
    pair_threshold = float(np.quantile(single[people[:, None] != people[None]], 1e-3))
    result: dict = {
        "people": len(names),
        "probes": len(probes),
        "impostor pairs": int(impostor.size),
        "threshold at FAR 1e-3": round(threshold[1e-3], 4),
    }
    identified = {}
    kinds: list[tuple[str, Callable[[Probe], np.ndarray | None]]] = [
        ("clean", lambda p: p.clean),
        ("protected", lambda p: p.protected),
        ("protected, JPEG 75", lambda p: p.jpeg),
        ("restored", lambda p: p.restored),
        ("regenerated and subtracted", lambda p: p.undone),
    ]
    for kind, pick in kinds:
        seen = distances([pick(p) for p in probes], gallery)
        for far, limit in threshold.items():
            result[f"{kind}: match at FAR {far:g}"] = interval(seen[rows, owner] < limit, people)
        identified[kind] = (seen.argmin(1) == owner) & np.isfinite(seen[rows, owner])
        result[f"{kind}: rank-1"] = interval(identified[kind], people)
    result["protected: face found"] = interval(np.array([p.protected is not None for p in probes]), people)
    for name in ("ssim", "flip", "seconds"):
        result[name] = interval(np.array([getattr(p, name) for p in probes]), people)
    result["exact"] = f"{sum(p.exact for p in probes)} of {len(probes)}"
    result["local"] = f"{sum(p.local for p in probes)} of {len(probes)}"
    result["mean steps"] = round(float(np.mean([p.steps for p in probes])), 2)

    pairs = [(a, b) for a, b in combinations(rows, 2) if people[a] == people[b]]
    for kind, pick in kinds[:2]:
        linked = [distances([pick(probes[a])], np.stack([pick(probes[b])]))[0, 0] < pair_threshold for a, b in pairs
                  if pick(probes[a]) is not None and pick(probes[b]) is not None]  # fmt: skip
        result[f"{kind}: linked (photos of one person)"] = [round(float(np.mean(linked)), 4), len(linked)]

    t_o, f_c, t_r = (identified[k].mean() for k in ("clean", "protected", "restored"))
    f_c = 1 - f_c
    result["T_o, F_c, T_r, r_s"] = [round(float(x), 4) for x in (t_o, f_c, t_r, f_c / (1 + t_o - f_c))]

    strangers = single[people[:, None] != people[None]]
    result["distance: two strangers"] = round(float(strangers.mean()), 4)
    twice = [p for p in probes if p.second is not None and p.protected is not None]
    apart = [np.linalg.norm(p.second - p.protected) for p in twice]
    result["distance: one photo, two secrets"] = round(float(np.mean(apart)), 4)
    result["correlation: two secrets"] = round(float(np.mean([correlation(*p.residuals) for p in twice])), 4)
    random = np.random.default_rng(0)
    drawn = [random.choice(len(probes), 2, replace=False) for _ in range(1000)]
    across = [correlation(probes[a].residuals[0], probes[b].residuals[0]) for a, b in drawn if people[a] != people[b]]
    result["correlation: two people"] = round(float(np.mean(across)), 4)
    return result


if __name__ == "__main__":
    main()
