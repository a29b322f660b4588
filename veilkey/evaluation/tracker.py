"""A tracker that trains: classifiers fitted on protected photos of some people among clean photos of the others.

Every person is protected in one of four folds, a quarter of all at a time; the clean probes of just these people are
then shown to the classifiers that were fitted in that fold. The same with nobody protected says what there is to lose.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from tqdm import tqdm

from veilkey import recognizers
from veilkey.evaluation.finetune import LastLayers
from veilkey.evaluation.intervals import People
from veilkey.evaluation.measured import Measured
from veilkey.evaluation.pool import Workers
from veilkey.evaluation.work import Bench, Known

# Raised whenever a classifier changes, so that old entries in stores are not used.
VERSION = 1
FOLDS = 4
NEIGHBOURS = 3


@dataclass(frozen=True)
class Photos:
    """What a classifier sees of photos: embeddings (N, D), maps of features (N, h, w, C) or None where the recognizer
    has no network to train, and the number of each photo's person (N,)."""

    embeddings: np.ndarray
    maps: np.ndarray | None
    owners: np.ndarray

    def of(self, people: np.ndarray) -> "Photos":
        """Those of these people."""
        kept = np.isin(self.owners, people)
        return Photos(self.embeddings[kept], None if self.maps is None else self.maps[kept], self.owners[kept])

    def __add__(self, other: "Photos") -> "Photos":
        maps = None if self.maps is None or other.maps is None else np.concatenate([self.maps, other.maps])
        embeddings = np.concatenate([self.embeddings, other.embeddings])
        return Photos(embeddings, maps, np.concatenate([self.owners, other.owners]))


def identify(
    people: int, gallery: Photos, protected: Photos | None, probes: Photos, layers: LastLayers | None = None
) -> dict[str, np.ndarray]:
    """Which clean probes (N,) bool each classifier gives to the right person: logistic, neighbours, and network.

    gallery: clean photos to train on. protected: those that take their place, person by person; None for nobody.
    layers: what the network is made of, None where the recognizer has none to train.
    """
    hits: dict[str, np.ndarray] = {}
    for hidden in _folds(people, protected is not None):
        everybody = np.arange(people)
        known = gallery.of(np.setdiff1d(everybody, hidden))
        if protected is not None:
            known += protected.of(hidden)
        asked = np.isin(probes.owners, everybody if protected is None else hidden)
        if not asked.any():
            continue
        given = {
            name: classifier.fit(known.embeddings, known.owners).predict(probes.embeddings[asked])
            for name, classifier in _classifiers(len(known.owners)).items()
        }
        if layers is not None and known.maps is not None and probes.maps is not None:
            given["network"] = layers.identify(known.maps, known.owners, people, probes.maps[asked])
        for name, answers in given.items():
            hits.setdefault(name, np.zeros(len(probes.owners), bool))[asked] = answers == probes.owners[asked]
    return hits


def _folds(people: int, protected: bool) -> Iterator[np.ndarray]:
    """Numbers of the people who are protected, a fold at a time; nobody, once, where nobody is."""
    numbers = np.arange(people)
    if protected:
        yield from (numbers[numbers % FOLDS == fold] for fold in range(FOLDS))
    else:
        yield numbers[:0]


def _classifiers(photos: int) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import Normalizer, StandardScaler

    neighbours = KNeighborsClassifier(min(NEIGHBOURS, photos), weights="distance")
    return {
        # Embeddings are points on a sphere of small spread: without scaling the penalty would decide, not the photos.
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=300)),
        "neighbours": make_pipeline(Normalizer(), neighbours),
    }


@dataclass(frozen=True)
class _Job:
    """A gallery and probes as one judge sees them; `row` of the report that it is for, None for nobody protected."""

    judge: str
    row: int | None
    names: Sequence[str]
    gallery: Sequence[tuple[Known, str]]
    protected: Sequence[tuple[Known, str]] | None
    probes: Sequence[tuple[Known, str]]


def train_trackers(measured: Measured, rows: list[dict[str, Any]], pool: Workers) -> None:
    """Put "tracker" into the rows whose galleries were protected; see run.py."""
    photos = measured.photos
    cloaked = {number: found for number in range(len(rows)) if (found := measured.enrolled(number))}
    if not cloaked:
        return
    gallery, probes = ([(known, known.digest) for known in side] for side in (photos.gallery, photos.probes))
    jobs = [
        _Job(base.judge, row, photos.names, gallery, None if row is None else cloaked[row], probes)
        for base in measured.grounds
        for row in (None, *cloaked)
    ]
    bar = tqdm(pool.map(_train, jobs), "training trackers", len(jobs), unit="tracker", leave=False, disable=None)
    clean: dict[str, Any] = {}
    people = People([known.photo.person for known in photos.probes])
    for job, hits in zip(jobs, bar, strict=True):
        shares = {name: people.share(np.array(hit)) for name, hit in hits.items()}
        if job.row is None:
            clean = shares
        else:
            rows[job.row]["judges"][job.judge]["tracker"] = {"clean": clean, "protected": shares}


def _train(bench: Bench, job: _Job) -> dict[str, list[bool]]:
    sides = (job.gallery, job.protected or (), job.probes)
    key = ("tracker", VERSION, job.judge, *(tuple((known.photo.person, digest) for known, digest in s) for s in sides))

    def train() -> dict[str, list[bool]]:
        layers = _last_layers(job.judge) if job.judge in recognizers.names() else None
        place = {name: number for number, name in enumerate(job.names)}

        def look(side: Sequence[tuple[Known, str]]) -> Photos:
            found = [(known, each) for known, each in side if len(bench.embedding(job.judge, known, each))]
            owners = np.array([place[known.photo.person] for known, _ in found], int)
            embeddings = np.array([bench.embedding(job.judge, known, each) for known, each in found])
            crops = (bench.crop(job.judge, known, each) for known, each in found)
            maps = layers.maps(np.stack(list(crops))) if layers and found else None
            return Photos(embeddings.reshape(len(found), -1 if found else 0), maps, owners)

        gallery, probes = look(job.gallery), look(job.probes)
        protected = None if job.protected is None else look(job.protected)
        if protected is not None and not len(protected.owners):
            protected = gallery.of(np.zeros(0, int))
        found = identify(len(job.names), gallery, protected, probes, layers)
        return {name: hits.tolist() for name, hits in found.items()}

    return bench.store.figures(key, train)


# One for each judge: a worker trains all rows of a judge on it.
_last_layers = cache(LastLayers)
