"""From embeddings to the figures of one case and one judge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from veilkey.evaluation import groups, scores
from veilkey.evaluation.intervals import People
from veilkey.evaluation.merit import merit
from veilkey.evaluation.scores import Comparison, Distance, Impostors

# The last only where it rests on enough impostors.
FARS = (1e-2, 1e-3, 1e-4)
# A threshold at a FAR needs so many impostor pairs that 10 are let in; the first two are given anyway, with a note.
LET_IN = 10
ALWAYS = 2
CURVE_POINTS = 81
# Intervals of the EER take a pass over all probes a draw.
EER_DRAWS = 200


@dataclass(frozen=True)
class Ground:
    """What one judge makes of the clean photos; everything is held against it.

    names: people, sorted. owners (N,): number of each probe's person. probes (N, D), templates (P, D). strangers:
    distances between single photos of two people. linked, apart (K, 2): pairs of probes of one person, and of two.
    mixed: (Q, D) mean embeddings of the real people whom targets are mixed of, None where this judge has none.
    """

    judge: str
    usual_threshold: float
    distance: Distance
    people: People
    owners: np.ndarray
    probes: np.ndarray
    templates: np.ndarray
    clean: Comparison
    impostors: Impostors
    strangers: Impostors
    linked: np.ndarray
    apart: np.ndarray
    mixed: np.ndarray | None

    @property
    def thresholds(self) -> dict[str, float]:
        """FAR, as text, to threshold; those that rest on enough impostor pairs, and 0.01 and 0.001 always."""
        return _thresholds(self.impostors)

    def facts(self) -> dict[str, Any]:
        """What the report says of a judge."""
        return {
            "usual_threshold": self.usual_threshold,
            "resolution": self.impostors.resolution,
            "impostor_pairs": self.impostors.pairs,
            "thresholds": self.thresholds,
            "stranger_pairs": self.strangers.pairs,
            "pair_thresholds": _thresholds(self.strangers),
        }


def ground(
    judge: str,
    usual_threshold: float,
    distance: Distance,
    names: Sequence[str],
    gallery: np.ndarray,
    gallery_owners: np.ndarray,
    probes: np.ndarray,
    owners: np.ndarray,
    mixed: np.ndarray | None = None,
) -> Ground:
    """Thresholds from clean impostor pairs, and the clean probes' comparison, of embeddings (N, D) without NaN."""
    templates = scores.templates(gallery, gallery_owners, len(names))
    impostors, single = Impostors(usual_threshold), Impostors(usual_threshold)
    clean = scores.compare(distance, probes, owners, templates, impostors=impostors)
    # Two single photos are noisier than a photo and a gallery, so their pairs have thresholds of their own.
    scores.strangers(distance, probes, owners, single)
    people = People(np.asarray(names)[owners])
    return Ground(
        judge, usual_threshold, distance, people, owners, probes, templates, clean, impostors, single,
        scores.pairs_of_one(owners), scores.pairs_of_two(owners), mixed,
    )  # fmt: skip


def view_figures(base: Ground, kept: np.ndarray, seen: np.ndarray, curves: bool) -> dict[str, Any]:
    """Protected probes `seen` (M, D), NaN where no face was found, against the clean galleries.

    kept: (M,) which probes of the ground these are.
    """
    people = _people(base, kept)
    against = scores.compare(base.distance, seen, base.owners[kept], base.templates)
    figures = {
        "found": people.share(np.isfinite(seen).all(1)),
        "match": _matches(people, against, base.thresholds),
        "rank1": people.share(against.nearest),
        "eer": _equal_error(people, against.genuine, base.impostors),
        "mean_distance": _mean(against.genuine[np.isfinite(against.genuine)]),
    }
    if curves:
        figures["curve"] = _curve(base, against)
        figures["det"] = _det(base, against)
    return figures


def merit_figures(base: Ground, kept: np.ndarray, seen: np.ndarray, restored: np.ndarray | None) -> dict[str, Any]:
    """The paper's T_o, F_c, T_r, r_s."""
    nearest = [
        None if each is None else scores.compare(base.distance, each, base.owners[kept], base.templates).nearest
        for each in (seen, restored)
    ]
    assert nearest[0] is not None
    return merit(_people(base, kept), base.clean.nearest[kept], nearest[0], nearest[1])


def restored_figures(base: Ground, kept: np.ndarray, restored: np.ndarray) -> dict[str, Any]:
    """Restored probes against the clean galleries. `exact`: all distances are those of the clean probes."""
    against = scores.compare(base.distance, restored, base.owners[kept], base.templates)
    return {
        "match": _matches(_people(base, kept), against, base.thresholds),
        "exact": bool(np.array_equal(against.genuine, base.clean.genuine[kept])),
    }


def gallery_figures(base: Ground, protected: np.ndarray, owners: np.ndarray) -> dict[str, Any]:
    """Clean probes against galleries of protected photos (M, D): the tracker enrolled protected photos.

    One person at a time is protected: the nearest gallery is looked for among the clean ones of all others.
    """
    own = scores.templates(protected, owners, len(base.templates))
    against = scores.compare(base.distance, base.probes, base.owners, base.templates, own=own)
    return {"match": _matches(base.people, against, base.thresholds), "rank1": base.people.share(against.nearest)}


def linked_figures(base: Ground, kept: np.ndarray, seen: np.ndarray) -> dict[str, Any]:
    """Protected probes of one person against each other: share of pairs that match at the thresholds of pairs."""
    return _pair_figures(base, kept, seen, base.linked)


def stranger_figures(base: Ground, kept: np.ndarray, seen: np.ndarray) -> dict[str, Any]:
    """Protected probes of two people against each other: share of pairs that match at the thresholds of pairs."""
    return _pair_figures(base, kept, seen, base.apart)


def mixed_figures(base: Ground, kept: np.ndarray, seen: np.ndarray) -> dict[str, Any] | None:
    """Protected probes against the people whom targets are mixed of: share that match any of them."""
    if base.mixed is None:
        return None
    nearest, people = scores.nearest_distances(base.distance, seen, base.mixed), _people(base, kept)
    return {far: people.share(nearest < threshold) for far, threshold in base.thresholds.items()}


def group_figures(
    base: Ground, kept: np.ndarray, seen: np.ndarray, labels: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Match rate at FAR 1e-3 in each group of photos, and where it is worst, of groups with 10 photos or more.

    labels: kind of group -> the group of each of the ground's probes.
    """
    far = f"{1e-3:g}"
    match = scores.compare(base.distance, seen, base.owners[kept], base.templates).match(base.thresholds[far])
    found: dict[str, Any] = {}
    worst: dict[str, Any] | None = None
    for kind, names in labels.items():
        of = np.asarray(names)[kept]
        found[kind] = {}
        for group in sorted(set(of)):
            share = _people(base, kept[of == group]).share(match[of == group])
            found[kind][group] = share
            if share["n"] >= groups.LEAST and (worst is None or share["value"] > worst["value"]):
                worst = {"kind": kind, "group": group, **share}
    return {"far": far, **found, "worst": worst}


def _people(base: Ground, kept: np.ndarray) -> People:
    if np.array_equal(kept, np.arange(len(base.owners))):
        return base.people
    return People(base.people.names[base.people.index[kept]])


def _pair_figures(base: Ground, kept: np.ndarray, seen: np.ndarray, pairs: np.ndarray) -> dict[str, Any]:
    """Share of `pairs` (K, 2) of the ground's probes, of which `seen` (M, D) are those of `kept` (M,), that match."""
    place = np.full(len(base.owners), -1)
    place[kept] = np.arange(len(kept))
    both = pairs[(place[pairs] >= 0).all(1)]
    apart = scores.pair_distances(base.distance, seen, place[both])
    people = _people(base, both[:, 0])
    return {far: people.share(apart < threshold) for far, threshold in _thresholds(base.strangers).items()}


def _thresholds(impostors: Impostors) -> dict[str, float]:
    return {
        f"{far:g}": impostors.threshold(far)
        for number, far in enumerate(FARS)
        if number < ALWAYS or impostors.pairs * far >= LET_IN
    }


def _matches(people: People, against: Comparison, thresholds: dict[str, float]) -> dict[str, Any]:
    return {far: people.share(against.match(threshold)) for far, threshold in thresholds.items()}


def _mean(values: np.ndarray) -> float | None:
    return round(float(values.mean()), 5) if len(values) else None


def _equal_error(people: People, genuine: np.ndarray, impostors: Impostors) -> dict[str, Any] | None:
    if not len(genuine) or not impostors.pairs:
        return None
    weights = people.times[:EER_DRAWS, people.index]
    return people.figure(
        float(scores.equal_error(genuine, impostors)[0]), scores.equal_error(genuine, impostors, weights)
    )


def _curve(base: Ground, against: Comparison) -> dict[str, list[float]]:
    """Match rate and FAR against the threshold, from 0 to twice the usual one."""
    thresholds = np.linspace(0, 2 * base.usual_threshold, CURVE_POINTS)
    return {
        "threshold": [round(float(t), 5) for t in thresholds],
        "match": [round(float(against.match(t).mean()), 5) for t in thresholds],
        "far": [round(float(rate), 7) for rate in base.impostors.rate(thresholds)],
    }


def _det(base: Ground, against: Comparison) -> dict[str, list[float]]:
    fars = np.geomspace(max(1 / max(base.impostors.pairs, 1), 1e-6), 1.0, CURVE_POINTS)
    return {
        "far": [round(float(far), 7) for far in fars],
        "fnmr": [round(rate, 5) for rate in scores.det(against.genuine, base.impostors, list(fars))],
    }
