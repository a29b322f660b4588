"""Everything that was measured, before it is counted: what became of each photo, and what judges see in it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from perturbation_gen.target import load_space
from veilkey import recognizers
from veilkey.evaluation.cases import Case
from veilkey.evaluation.figures import Ground, ground
from veilkey.evaluation.photos import Photos
from veilkey.evaluation.pool import Workers
from veilkey.evaluation.protocol import LeftOut
from veilkey.evaluation.store import Store
from veilkey.evaluation.work import Bench, Examined, Known, Task, embedding_key, fingerprint

# SSIMULACRA2 and what is measured over whole photos take a third of a second a photo: so many probes have to do.
SLOW_SAMPLE = 40


class Embeddings:
    """Embeddings of many photos, out of the store."""

    def __init__(self, store: Store, dimensions: dict[str, int]) -> None:
        """`dimensions` of the embeddings of each judge."""
        self._store, self._dimensions = store, dimensions
        self._fingerprints = {name: fingerprint(name) for name in dimensions}

    def of(self, judge: str, digests: Sequence[str], photos: Sequence[Known], view: str | None = None) -> np.ndarray:
        """(N, D) float32 of the pictures `digests` made of `photos`; NaN where no face was found."""
        rows = np.full((len(digests), self._dimensions[judge]), np.nan, np.float32)
        for row, digest, known in zip(rows, digests, photos, strict=True):
            found = self._store.array(embedding_key(self._fingerprints[judge], digest, view, known.box))
            if len(found):
                row[:] = found
        return rows


@dataclass(frozen=True)
class Measured:
    """`probes` and `galleries` have one entry a case: what became of each probe and of each gallery photo, failures
    included; None where the galleries were not protected. `slow_sample`: numbers of the probes that were measured with
    what takes long."""

    cases: Sequence[Case]
    photos: Photos
    grounds: Sequence[Ground]
    embeddings: Embeddings
    store: Store
    slow_sample: Sequence[int]
    probes: Sequence[Sequence[Examined]]
    galleries: Sequence[Sequence[Examined] | None]

    def protected(self, case: int) -> np.ndarray:
        """Numbers (N,) of the probes that a case did protect."""
        return np.array([number for number, each in enumerate(self.probes[case]) if each.failure is None], int)

    def enrolled(self, case: int) -> list[tuple[Known, str]]:
        """The gallery photos that a case protected, each with the digest of its protected picture."""
        made = zip(self.photos.gallery, self.galleries[case] or (), strict=False)
        return [(known, each.digest) for known, each in made if each.failure is None]

    def failures(self) -> list[LeftOut]:
        """What could not be protected, counted a case."""
        found = []
        for case, probes, gallery in zip(self.cases, self.probes, self.galleries, strict=True):
            for kind, side in (("probes", probes), ("gallery photos", gallery or ())):
                failed = [each for each in side if each.failure is not None]
                if failed:
                    against = f" against {', '.join(case.attacked)}" if case.attacked else ""
                    what = f"{case.title}{against}: {len(failed)} of {len(side)} {kind}"
                    found.append(LeftOut(what, f"{failed[0].photo}: {failed[0].failure}"))
        return found


def measure(
    cases: Sequence[Case],
    photos: Photos,
    judges: Sequence[str],
    pool: Workers,
    enrol: Callable[[Case], bool],
    store: Store,
) -> Measured:
    """Protect and examine every photo in every case. enrol: whether a case's galleries are protected, too."""
    count = len(photos.probes)
    sample = np.unique(np.linspace(0, count - 1, min(count, SLOW_SAMPLE)).astype(int)).tolist()
    slow = set(sample)
    tasks = []
    for case in cases:
        tasks += [Task(case, known, True, number in slow) for number, known in enumerate(photos.probes)]
        tasks += [Task(case, known, False, False) for known in photos.gallery if enrol(case)]
    results = pool.map(Bench.examine, tasks)
    probes, galleries = [], []
    with tqdm(total=len(tasks), desc="evaluating", unit="photo", leave=False, disable=None) as bar:
        for case in cases:
            bar.set_postfix_str(case.title)
            probes.append(_take(results, len(photos.probes), bar))
            galleries.append(_take(results, len(photos.gallery), bar) if enrol(case) else None)
    grounds, embeddings = _grounds(judges, photos, store)
    return Measured(cases, photos, grounds, embeddings, store, sample, probes, galleries)


def _take(results: Iterator[Examined], count: int, bar: Any) -> list[Examined]:
    taken = []
    for _ in range(count):
        taken.append(next(results))
        bar.update()
    return taken


def _grounds(judges: Sequence[str], photos: Photos, store: Store) -> tuple[list[Ground], Embeddings]:
    loaded = {name: recognizers.get(name) for name in judges}
    embeddings = Embeddings(store, {name: judge.dimension for name, judge in loaded.items()})
    grounds = []
    for name, judge in loaded.items():
        gallery, probes = (
            (embeddings.of(name, [known.digest for known in side], side), photos.owners(side))
            for side in (photos.gallery, photos.probes)
        )
        mixed = load_space(name).identities if name in recognizers.names() else None
        grounds.append(ground(name, judge.threshold, judge.distance, photos.names, *gallery, *probes, mixed))
    return grounds, embeddings
