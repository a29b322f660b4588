"""What a reader looks at: faces before and after, and the plane of embeddings."""

import base64
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from veilkey.carriers import Picture, encode_png
from veilkey.evaluation.measured import Measured
from veilkey.evaluation.sample import read_image
from veilkey.pictures import difference

# How many faces, and how large.
FACES = 4
SIDE = 128
# Of the box's longer side, on each side of it.
MARGIN = 0.25
# The difference is shown so many times as large, around grey.
GAIN = 4
PEOPLE = 10
SHOWN = "veilkey-standard"


def grid(measured: Measured) -> list[dict[str, Any]]:
    """The first probe of a few people, spread evenly, as every case leaves it; see run.py."""
    photos = measured.photos
    firsts = {known.photo.person: number for number, known in reversed(list(enumerate(photos.probes)))}
    people = np.linspace(0, len(photos.names) - 1, min(FACES, len(photos.names))).astype(int)
    return [_faces(measured, firsts[photos.names[person]]) for person in people]


def _faces(measured: Measured, probe: int) -> dict[str, Any]:
    known = measured.photos.probes[probe]
    original = read_image(known.photo.path)
    rows = []
    for number, examined in enumerate(measured.probes):
        if examined[probe].failure is None:
            same = examined[probe].digest == known.digest
            after = original if same else measured.store.picture(examined[probe].digest)
            change = difference(original, after, GAIN)
            pictures = {"protected": _png(after, known.box), "difference": _png(change, known.box)}
            rows.append({"row": number, **pictures})
    return {"photo": known.photo.name, "original": _png(original, known.box), "rows": rows}


def _png(image: np.ndarray, box: tuple[int, int, int, int]) -> str:
    """The face with some of what is around it, 128x128, as a PNG in base64; image (H, W, 3) uint8 RGB."""
    return base64.b64encode(encode_png(Picture(_cut(image, box), "RGB"))).decode()


def _cut(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    x, y, width, height = box
    side = round(max(width, height) * (1 + 2 * MARGIN))
    left, top = x + (width - side) // 2, y + (height - side) // 2
    pad = side
    padded = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    square = padded[top + pad : top + pad + side, left + pad : left + pad + side]
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC)


def plane(measured: Measured) -> dict[str, Any] | None:
    """Embeddings before and after, of veilkey's middle strength or else the last case that leaves faces to find."""
    order = [number for number, case in enumerate(measured.cases) if case.method == SHOWN]
    order += reversed(range(len(measured.cases)))
    return next(filter(None, (_plane_of(measured, number) for number in order)), None)


def _plane_of(measured: Measured, row: int) -> dict[str, Any] | None:
    """By a judge that the case attacked, or else the first."""
    photos, attacked = measured.photos, measured.cases[row].attacked
    base = next((base for base in measured.grounds if base.judge in attacked), measured.grounds[0])
    kept = measured.protected(row)
    digests = [measured.probes[row][probe].digest for probe in kept]
    after = measured.embeddings.of(base.judge, digests, [photos.probes[probe] for probe in kept])
    found = principal_plane(photos.names, base.owners[kept], base.probes[kept], after)
    return {"row": row, "judge": base.judge, **found} if found else None


def principal_plane(
    names: Sequence[str], owners: np.ndarray, before: np.ndarray, after: np.ndarray
) -> dict[str, Any] | None:
    """Embeddings (N, D) before and after, on the plane of the two principal components of those before.

    Of the ten people with the most probes, as in the paper's Fig. 15: people, explained (shares of variance), and
    points with the number of the person in `people`, before and after; None where fewer than three are found again.
    """
    from sklearn.decomposition import PCA

    found = np.isfinite(before).all(1) & np.isfinite(after).all(1)
    if found.sum() < 3:
        return None
    counts = np.bincount(owners[found], minlength=len(names))
    shown = np.sort(np.argsort(-counts, kind="stable")[:PEOPLE])
    kept = found & np.isin(owners, shown)
    if kept.sum() < 3:
        return None
    components = PCA(2, svd_solver="full").fit(before[kept])
    first, second = (np.round(components.transform(each[kept]), 4).tolist() for each in (before, after))
    people = np.searchsorted(shown, owners[kept]).tolist()
    return {
        "people": [names[number] for number in shown],
        "explained": [round(float(share), 4) for share in components.explained_variance_ratio_],
        "points": [
            {"person": person, "before": one, "after": other}
            for person, one, other in zip(people, first, second, strict=True)
        ],
    }
