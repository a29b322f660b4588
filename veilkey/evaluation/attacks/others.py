"""Photos of people who are not judged: an attacker protects them to learn what the method does."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
from tqdm import tqdm

from veilkey.errors import NoFace, UsageError
from veilkey.evaluation.attacks.canonical import cut, to_canonical
from veilkey.evaluation.cases import Case
from veilkey.evaluation.photos import Photos
from veilkey.evaluation.pool import workers
from veilkey.evaluation.protocol import SUFFIXES, Photo
from veilkey.evaluation.work import Bench, Plan, Task

# With fewer other people, half of the protocol's are kept for the attacker.
LEAST_PEOPLE = 10
SIBLING = "train"


@dataclass(frozen=True)
class Pair:
    """A photo of `person` before and after: canonical crops (S, S, 3) uint8 RGB, aligned by the face that is found in
    the protected one. digest: of the protected photo. landmarks: (68, 2) in its pixels. transform: (2, 3), to crops."""

    person: str
    digest: str
    original: np.ndarray
    protected: np.ndarray
    landmarks: np.ndarray
    transform: np.ndarray


@dataclass(frozen=True)
class Others:
    """photos: of other people, in the order in which an attacker takes them. held_out: people of the protocol who are
    not judged because their photos are among these."""

    photos: tuple[Photo, ...]
    held_out: frozenset[str]
    plan: Plan
    jobs: int

    def pairs(self, case: Case, count: int, size: int) -> list[Pair]:
        """Up to `count` pairs, protected as the case does it, in crops of `size` pixels.

        Raises:
            NoFace: no face is found in any of the protected photos.
        """
        jobs = [(case, photo, size) for photo in self.photos[:count]]
        # Nobody has to recognize these people, so these workers load no recognizers but those that protect.
        plan = Plan((), (), (), self.plan.seed, self.plan.store)
        with workers(plan, self.jobs) as pool:
            bar = tqdm(pool.map(_pair, jobs), "protecting others", len(jobs), unit="photo", leave=False, disable=None)
            pairs = [pair for pair in bar if pair is not None]
        if not pairs:
            raise NoFace("no face is found in the protected photos of other people, so there is nothing to learn from")
        return pairs


def find_others(faces: Path, folder: Path | None, photos: Photos, plan: Plan, jobs: int) -> Others:
    """People in `folder` who are not in the protocol; without it those in the folder `train` beside `faces`, or else in
    `faces`. Where there are too few, every second person of the protocol is held out.

    Raises:
        UsageError: `folder` holds no photos of other people.
    """
    sibling = faces.resolve().parent / SIBLING
    where = folder or (sibling if sibling.is_dir() else faces)
    people = {
        path.name: [
            Photo(path.name, f"{path.name}/{file.name}", file)
            for file in sorted(path.iterdir())
            if file.suffix.lower() in SUFFIXES
        ]
        for path in (sorted(where.iterdir()) if where.is_dir() else ())
        if path.is_dir() and path.name not in photos.names
    }
    people = {name: found for name, found in people.items() if found}
    if folder is not None and not people:
        raise UsageError(f"{folder} holds no folders with photos of people who are not in the protocol")
    held_out: Sequence[str] = ()
    if folder is None and len(people) < LEAST_PEOPLE:
        held_out = photos.names[1::2]
        people = {name: [] for name in held_out}
        for known in (*photos.gallery, *photos.probes):
            if known.photo.person in people:
                people[known.photo.person].append(known.photo)
    return Others(_dealt(list(people.values())), frozenset(held_out), plan, jobs)


def digest(pairs: Sequence[Pair]) -> str:
    """What names a set of pairs in the store."""
    return hashlib.sha256(" ".join(pair.digest for pair in pairs).encode()).hexdigest()


def count(pairs: Sequence[Pair]) -> str:
    """How many pairs, in words."""
    return f"{len(pairs)} photos of {len({pair.person for pair in pairs})} other people"


def _dealt(people: list[list[Photo]]) -> tuple[Photo, ...]:
    """A photo of everybody, then another one of everybody, and so on; each person's in an order that is drawn."""
    random = np.random.default_rng(0)
    mixed = [[photos[number] for number in random.permutation(len(photos))] for photos in people]
    return tuple(photo for photo in chain.from_iterable(zip_longest(*mixed)) if photo is not None)


def _pair(bench: Bench, job: tuple[Case, Photo, int]) -> Pair | None:
    case, photo, size = job
    known = bench.read(photo)
    if isinstance(known, str):
        return None
    made = bench.examine(Task(case, known, False, False))
    protected = None if made.failure is not None else bench.look(known, made.digest)
    if protected is None:
        return None
    transform = to_canonical(protected.face, size)
    return Pair(
        photo.person,
        made.digest,
        cut(bench.sample(known).image, transform, size),
        cut(protected.image, transform, size),
        protected.face.landmarks,
        transform,
    )
