"""What `veilkey restore --approximate` brings back of copies that were changed, and whether it knows how well.

    python scripts/measure_approximate.py ../shared/data/faces/dev --protocol ../shared/data/faces/dev.json --sample 24

Protects a sample of the probes (every third, drawn by a seed; 0: all of those) as the JPEG that they are and as a PNG,
changes what was written, and restores that approximately. Prints for each change: how often the residual was found;
the structural similarity of the face box to the original, of the changed copy before and after, and of the clean photo
after the same change; which share of these three matches the original by dlib, at its usual threshold; and the mean
absolute error of the face box in grey levels, as estimated and as it is, and how far apart these two are. Photos are
taken whose half is at least 64 pixels a side: veilkey opens no smaller ones.
"""

import io
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from perturbation_gen.budget import ssim
from veilkey import recognizers
from veilkey.approximate import approximate
from veilkey.carriers import encode_png, open_photo
from veilkey.carriers.limits import MIN_SIDE
from veilkey.carriers.noise import window
from veilkey.carriers.picture import Picture
from veilkey.errors import ForeignKey, NoFace
from veilkey.evaluation.protocol import read_protocol
from veilkey.faces import FaceFinder
from veilkey.protector import Protector, Settings

CUT = 0.06


def half(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def crop(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    return image[round(CUT * height) : height - round(CUT * height / 2), round(CUT * width) :]


# What is done to the pixels, and the quality of a JPEG.
CHANGES: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int | None]] = {
    "JPEG 90": (lambda image: image, 90),
    "JPEG 75": (lambda image: image, 75),
    "JPEG 50": (lambda image: image, 50),
    "half": (half, None),
    "half, JPEG 90": (half, 90),
    "crop": (crop, None),
    "crop, JPEG 75": (crop, 75),
}
COLUMNS = ("found", "SSIM before", "after", "clean", "match before", "after", "clean", "estimated", "true", "apart")


def changed(image: np.ndarray, name: str) -> bytes:
    """A file of the picture (H, W, 3) after a change."""
    change, quality = CHANGES[name]
    pixels = np.ascontiguousarray(change(image))
    if quality is None:
        return encode_png(Picture(pixels, "RGB"))
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def box_after(box: tuple[int, int, int, int], shape: tuple[int, ...], name: str) -> tuple[slice, slice]:
    """Where a box (x, y, w, h) of a photo is after a change."""
    marked = np.zeros(shape, np.uint8)
    marked[window(box)] = 255
    shown = CHANGES[name][0](marked).max(2) > 127
    rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--protocol", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--sample", type=click.IntRange(0), default=24, show_default=True, help="Photos; 0 for all.")
@click.option("--seed", default=0, show_default=True)
def main(faces: Path, protocol: Path | None, sample: int, seed: int) -> None:
    judge, finder, protector = recognizers.get("dlib"), FaceFinder(), Protector()
    probes = []
    for photo in read_protocol(faces, protocol).probes[::3]:
        with Image.open(photo.path) as image:
            if min(image.size) >= 2 * MIN_SIDE:
                probes.append(photo)
    drawn = np.random.default_rng(seed).permutation(len(probes))[: sample or None]
    results: dict[tuple[str, str], list[list[float]]] = defaultdict(list)
    photos = 0
    for index in tqdm(sorted(drawn), "photos", mininterval=5):
        data = probes[index].path.read_bytes()
        for kind in ("JPEG", "PNG"):
            original = open_photo(data if kind == "JPEG" else encode_png(open_photo(data).picture))
            try:
                protected, payload, _ = protector.protect(original, Settings())
            except NoFace:
                break
            photos += kind == "JPEG"
            clean = original.picture.rgb()
            landmarks = finder.find(clean)[0].landmarks
            known = judge.embed_face(clean, landmarks)

            def matches(*pictures: np.ndarray, known: np.ndarray = known) -> list[float]:
                found = finder.find(pictures[-1])
                if not found:
                    return [np.nan] * len(pictures)
                crops = np.stack([judge.align(shown, found[0].landmarks) for shown in pictures])
                return [float(judge.distance(known, seen) < judge.threshold) for seen in judge.embed(crops)]

            for name, (change, _) in CHANGES.items():
                copy = open_photo(changed(protected.picture.rgb(), name))
                before, truth = copy.picture.rgb(), change(clean)
                same = open_photo(changed(clean, name)).picture.rgb()
                area = box_after(payload.faces[0].box, clean.shape, name)
                try:
                    restored = approximate(copy, [payload])
                except ForeignKey:
                    results[kind, name].append([0.0] + [np.nan] * (len(COLUMNS) - 1))
                    continue
                after = restored.picture.rgb()
                error = float(np.abs(after[area].astype(np.int16) - truth[area]).mean())
                results[kind, name].append(
                    [1.0]
                    + [ssim(truth[area], shown[area]) for shown in (before, after, same)]
                    + matches(before, after, same)
                    + [restored.error, error, abs(restored.error - error)]
                )
    click.echo(f"{photos} photos; matching: distance to the original's embedding under {judge.threshold:g} by dlib")
    click.echo(f"{'':20}" + "".join(f"{column:>13}" for column in COLUMNS))
    for (kind, name), rows in results.items():
        table = np.array(rows)
        values = [table[:, 0].mean(), *np.nanmean(table[:, 1:], 0)]
        click.echo(f"{kind + ': ' + name:20}" + "".join(f"{value:13.3f}" for value in values))


if __name__ == "__main__":
    main()
