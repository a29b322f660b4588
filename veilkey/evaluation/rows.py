"""One row of the report: a case on all photos, as people and recognizers see it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from veilkey.evaluation import figures, groups
from veilkey.evaluation.figures import Ground
from veilkey.evaluation.intervals import People
from veilkey.evaluation.measured import Measured
from veilkey.evaluation.work import Examined


def make_rows(measured: Measured, transforms: Sequence[str]) -> list[dict[str, Any]]:
    """A row for every case, in order; what it holds is in run.py."""
    numbers = tqdm(range(len(measured.cases)), "counting", unit="row", leave=False, disable=None)
    return [_row(measured, number, transforms) for number in numbers]


def _row(measured: Measured, number: int, transforms: Sequence[str]) -> dict[str, Any]:
    case, photos, probes = measured.cases[number], measured.photos, measured.probes[number]
    kept = measured.protected(number)
    done = [probes[place] for place in kept]
    known = [photos.probes[place] for place in kept]
    people = People([each.photo.person for each in known])
    row: dict[str, Any] = {
        "method": case.method,
        "title": case.title,
        "version": case.version,
        "attacked": list(case.attacked),
        "budget": case.ssim,
        "reference": case.is_reference,
        "own": case.is_own,
        "photos": len(done),
        "failed": len(probes) - len(done),
    }
    if not done:
        return row
    restored = [each.restored for each in done]
    back = [digest for digest in restored if digest is not None] if None not in restored else None
    row |= {
        "queries": people.mean(np.array([each.queries for each in done])),
        "seconds": people.mean(np.array([each.seconds for each in done])),
        "visible": _visible(people, done),
        "detected": {
            name: people.share(np.array([(each.detected or {})[name] for each in done]))
            for name in done[0].detected or {}
        },
        "restored_pixels": None
        if back is None
        else people.share(np.array([a == b.digest for a, b in zip(back, known, strict=True)])),
    }
    labels = {
        "tone": [groups.tone_group(each.tone) for each in photos.probes],
        "size": [groups.size_group(each.box) for each in photos.probes],
    }
    digests = [each.digest for each in done]
    row["judges"] = {}
    for base in measured.grounds:
        seen = measured.embeddings.of(base.judge, digests, known)
        again = None if back is None else measured.embeddings.of(base.judge, back, known)
        views = {"none": figures.view_figures(base, kept, seen, curves=True)}
        for view in transforms:
            through = measured.embeddings.of(base.judge, digests, known, view)
            views[view] = figures.view_figures(base, kept, through, curves=False)
        row["judges"][base.judge] = {
            "attacked": base.judge in case.attacked,
            "views": views,
            "merit": figures.merit_figures(base, kept, seen, again),
            "restored": None if again is None else figures.restored_figures(base, kept, again),
            "linked": figures.linked_figures(base, kept, seen),
            "strangers": figures.stranger_figures(base, kept, seen),
            "mixed": figures.mixed_figures(base, kept, seen),
            "groups": figures.group_figures(base, kept, seen, labels),
            "gallery": _enrolled(measured, number, base),
            "tracker": None,
        }
    return row


def _enrolled(measured: Measured, number: int, base: Ground) -> dict[str, Any] | None:
    gallery = measured.enrolled(number)
    if not gallery:
        return None
    known, digests = zip(*gallery, strict=True)
    return figures.gallery_figures(
        base, measured.embeddings.of(base.judge, digests, known), measured.photos.owners(known)
    )


def _visible(people: People, done: Sequence[Examined]) -> dict[str, Any]:
    """Means of all measures; of each over the photos that have it (`n` says how many)."""
    found: dict[str, Any] = {}
    for rows in ([each.visible or {} for each in done], [each.slow or {} for each in done]):
        for name in dict.fromkeys(name for row in rows for name in row):
            values = np.array([np.nan if row.get(name) is None else row[name] for row in rows], float)
            has = np.isfinite(values)
            found[name] = People(people.names[people.index[has]]).mean(values[has])
    return found
