"""Distances between probes and galleries, and what follows from them: thresholds, match rates, EER, DET.

The matrix of scores is streamed: a block of probes is compared with all galleries, each probe keeps its distance to the
own gallery, and the distances to the others go into a histogram of fixed size. Cost and memory a probe are constant.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]

# The histogram: bins of the usual threshold's 5000th part, up to 20 times that threshold; the last holds the rest.
FINENESS = 5000
REACH = 20
# Values in one block of differences: 2^22 float32 are 16 MB.
BLOCK = 1 << 22
# How many strangers a photo is compared with for the threshold of pairs of photos.
STRANGERS = 200
# Of one person at most so many photos are compared with one another, of all people at most so many pairs of photos.
LINKED = 10
APART = 10_000


class Impostors:
    """The distribution of distances between different people. `resolution`: the width of a bin."""

    def __init__(self, usual_threshold: float) -> None:
        self.resolution = usual_threshold / FINENESS
        self._counts = np.zeros(FINENESS * REACH + 1, np.int64)

    def add(self, distances: np.ndarray) -> None:
        """Count distances, any shape; those that are not finite are no pairs."""
        finite = distances[np.isfinite(distances)]
        bins = np.clip(finite / self.resolution, 0, len(self._counts) - 1).astype(np.int64)
        np.add.at(self._counts, bins, 1)

    @property
    def pairs(self) -> int:
        """How many were counted."""
        return int(self._counts.sum())

    def threshold(self, far: float) -> float:
        """The distance that the share `far` of pairs stays under: their quantile, to the resolution."""
        if not self.pairs:
            return 0.0
        place = far * (self.pairs - 1)
        low = int(place)
        first, second = (self._at(min(rank, self.pairs - 1)) for rank in (low, low + 1))
        return first + (place - low) * (second - first)

    def rate(self, thresholds: np.ndarray) -> np.ndarray:
        """Share of pairs under each threshold: FAR."""
        edges = np.clip(np.asarray(thresholds) / self.resolution, 0, len(self._counts)).round().astype(int)
        return np.concatenate([[0], self._counts.cumsum()])[edges] / max(self.pairs, 1)

    def _at(self, rank: int) -> float:
        """The middle of the bin that holds the distance of this rank, counted from 0."""
        return (int(np.searchsorted(self._counts.cumsum(), rank, side="right")) + 0.5) * self.resolution


@dataclass(frozen=True)
class Comparison:
    """Probes against galleries. `genuine` (N,): distance to the own gallery, infinite where no face was found.
    `nearest` (N,) bool: the own gallery is the nearest of all."""

    genuine: np.ndarray
    nearest: np.ndarray

    def match(self, threshold: float) -> np.ndarray:
        """Which probes match their gallery, (N,) bool."""
        return self.genuine < threshold


def templates(embeddings: np.ndarray, owners: np.ndarray, people: int) -> np.ndarray:
    """A gallery's template is the mean embedding of its photos (people, D); NaN where no photo has one.

    embeddings: (N, D), NaN rows where no face was found. owners: (N,) number of the person.
    """
    means = np.full((people, embeddings.shape[1]), np.nan, np.float32)
    found = np.isfinite(embeddings).all(1)
    for person in np.unique(owners[found]):
        means[person] = embeddings[found & (owners == person)].mean(0)
    return means


def compare(
    distance: Distance,
    probes: np.ndarray,
    owners: np.ndarray,
    galleries: np.ndarray,
    own: np.ndarray | None = None,
    impostors: Impostors | None = None,
) -> Comparison:
    """Probes (N, D) of people `owners` (N,) against `galleries` (P, D).

    own: galleries (P, D) that take the place of a person's gallery for the person's own probes. impostors: gets the
    distances to everybody else's gallery. NaN rows match nobody.
    """
    own = galleries if own is None else own
    genuine, nearest = np.empty(len(probes)), np.empty(len(probes), bool)
    step = max(1, BLOCK // galleries.size)
    for start in range(0, len(probes), step):
        rows = slice(start, start + step)
        block, mine = probes[rows], owners[rows]
        among = _finite(distance(block[:, None], galleries[None]))
        here = np.arange(len(block))
        genuine[rows] = _finite(distance(block, own[mine]))
        among[here, mine] = np.inf
        if impostors is not None:
            impostors.add(among)
        among[here, mine] = genuine[rows]
        nearest[rows] = (among.argmin(1) == mine) & np.isfinite(genuine[rows])
    return Comparison(genuine, nearest)


def strangers(distance: Distance, probes: np.ndarray, owners: np.ndarray, impostors: Impostors) -> None:
    """Count distances of each photo (N, D) to others of other people: all of them, or 200 drawn ones."""
    random = np.random.default_rng(0)
    for number, (probe, owner) in enumerate(zip(probes, owners, strict=True)):
        # Drawn by number, so that a probe costs the same however many there are.
        if len(probes) - 1 > STRANGERS:
            others = random.choice(len(probes) - 1, STRANGERS, replace=False, shuffle=False)
            others += others >= number
        else:
            others = np.arange(len(probes))
        others = others[owners[others] != owner]
        impostors.add(_finite(distance(probe[None], probes[others])))


def pairs_of_one(owners: np.ndarray) -> np.ndarray:
    """All pairs (K, 2) of photos of one person; of someone with more than 10 photos, of the first 10."""
    found: list[tuple[int, int]] = []
    for person in np.unique(owners):
        found += combinations(np.flatnonzero(owners == person)[:LINKED].tolist(), 2)
    return np.array(found, int).reshape(-1, 2)


def pairs_of_two(owners: np.ndarray) -> np.ndarray:
    """Pairs (K, 2) of photos of two people: all of them, or of more than 10,000 so many drawn ones.

    Either photo may come first, so that nobody's photos always do.
    """
    random, count = np.random.default_rng(0), len(owners)
    if count * (count - 1) // 2 <= APART:
        pairs = random.permuted(np.column_stack(np.triu_indices(count, 1)), axis=1)
    else:
        pairs = random.integers(0, count, (APART, 2))
    return pairs[owners[pairs[:, 0]] != owners[pairs[:, 1]]]


def pair_distances(distance: Distance, photos: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Distances (K,) of pairs (K, 2) of photos (N, D); infinite where one has no face."""
    return _finite(distance(photos[pairs[:, 0]], photos[pairs[:, 1]]))


def nearest_distances(distance: Distance, probes: np.ndarray, galleries: np.ndarray) -> np.ndarray:
    """Distance (N,) of each probe (N, D) to the nearest of `galleries` (P, D); infinite where no face was found."""
    nearest = np.empty(len(probes))
    step = max(1, BLOCK // galleries.size)
    for start in range(0, len(probes), step):
        rows = slice(start, start + step)
        nearest[rows] = _finite(distance(probes[rows, None], galleries[None])).min(1)
    return nearest


def equal_error(genuine: np.ndarray, impostors: Impostors, weights: np.ndarray | None = None) -> np.ndarray:
    """EER: the rate at which as many genuine pairs are refused as impostors are let in.

    genuine: (N,), infinite where no face was found. weights: (B, N), how often each pair counts; the answer is (B,).
    """
    order = np.argsort(genuine)
    counts = np.ones((1, len(genuine))) if weights is None else weights[:, order]
    accepted = counts.cumsum(1) / counts.sum(1, keepdims=True)
    let_in = impostors.rate(genuine[order])
    # Beyond the i-th genuine distance 1 - accepted[i] are refused; the curves cross where that first falls to FAR.
    crossing = (1 - accepted <= let_in + 1e-12).argmax(1)
    draws = np.arange(len(counts))
    refused = np.where(crossing > 0, 1 - accepted[draws, crossing - 1], 1.0)
    return np.minimum(refused, let_in[crossing])


def det(genuine: np.ndarray, impostors: Impostors, fars: Sequence[float]) -> list[float]:
    """Share of genuine pairs that are refused at each FAR."""
    return [float(np.mean(~(genuine < impostors.threshold(far)))) for far in fars]


def _finite(distances: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(distances), np.inf, distances).astype(np.float64)
