"""Attacks that make a picture out of a protected photo, each photo by itself, in worker processes."""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from tqdm import tqdm

from veilkey.errors import NoFace
from veilkey.evaluation import attacks
from veilkey.evaluation.attacks.base import Attack, Field, Result
from veilkey.evaluation.cases import Case
from veilkey.evaluation.sample import Sample, digest_of
from veilkey.evaluation.store import Key, Store
from veilkey.evaluation.work import Bench, Known


@dataclass(frozen=True)
class Learned:
    """What an attack learned from other people. key: where in the store it lies. note: from what, and whether it works.
    works: False where it does not, so that what it leaves of a match says nothing."""

    key: Key
    note: str
    works: bool = True


@dataclass(frozen=True)
class Victim:
    """One protected photo, and what an attacker may have beside it.

    protected: the photo with the face that is found in it. original: for what its owner does. attacked: names of the
    recognizers to work through. known: another photo of the person before and after, where the attack asks for one.
    learned: what `learn` kept. store: for what several photos share.
    """

    case: Case
    protected: Sample
    original: Callable[[], Sample]
    attacked: tuple[str, ...]
    known: tuple[Sample, Sample] | None
    learned: np.ndarray | None
    store: Store


class PhotoAttack(Attack):
    """An attack on one photo at a time."""

    titles: ClassVar[dict[str, str]]
    """Its variants, and what tables call each."""
    most: ClassVar[int | None] = None
    """At most so many probes, spread evenly, for what takes long."""
    uses_known: ClassVar[bool] = False
    """Whether it wants another photo of the person, before and after."""

    @abstractmethod
    def attack(self, victim: Victim, random: np.random.Generator) -> dict[str, np.ndarray]:
        """A picture (H, W, 3) uint8 RGB for each variant.

        Raises:
            NoFace: there is no face to work on; the photo then counts as it is.
        """

    def learn(self, field: Field) -> Learned | None:
        """Learn from other people's photos, once for all probes.

        Raises:
            NoFace: there is nothing to learn from.
        """
        return None

    def note(self, variant: str, before: Sequence[str], after: Sequence[str]) -> str:
        """What a reader has to know of a variant; the pictures' digests before and after it."""
        return ""

    def run(self, field: Field) -> list[Result]:
        learned = self.learn(field)
        probes = field.probes
        if self.most is not None and len(probes) > self.most:
            probes = probes[np.linspace(0, len(probes) - 1, self.most).astype(int)]
        if learned is not None and not learned.works:
            return [Result(title, probes, None, learned.note) for title in self.titles.values()]
        known: dict[str, tuple[Known, str]] = {}
        if self.uses_known:
            known = {photo.photo.person: (photo, digest) for photo, digest in field.gallery(one_each=True)}
            people = [photo.photo.person for photo in field.known(probes)]
            probes = probes[np.array([person in known for person in people], bool)]
        before = field.digests(probes)
        key = learned.key if learned else None
        jobs = [
            _Job(self.name, field.case, photo, digest, field.attacked, known.get(photo.photo.person), key)
            for photo, digest in zip(field.known(probes), before, strict=True)
        ]
        bar = tqdm(field.pool.map(_try, jobs), self.name, len(jobs), unit="photo", leave=False, disable=None)
        made = list(bar)
        results = []
        for variant, title in self.titles.items():
            after = [each[variant] for each in made]
            note = learned.note if learned else self.note(variant, before, after)
            results.append(Result(title, probes, field.matches(probes, after), note))
        return results


@dataclass(frozen=True)
class _Job:
    """`digest` of the protected picture that was made of `photo`."""

    attack: str
    case: Case
    photo: Known
    digest: str
    attacked: tuple[str, ...]
    known: tuple[Known, str] | None
    learned: Key | None


def _try(bench: Bench, job: _Job) -> dict[str, str]:
    """Attack a photo and embed what comes out; a digest for each variant."""
    attack = _attack(job.attack)
    known = job.known and (job.known[0].digest, job.known[1])
    key = ("attack", job.attack, attack.version, job.case.key, bench.plan.seed, job.photo.digest, job.digest,
           job.attacked, known, job.learned)  # fmt: skip

    def make() -> dict[str, str]:
        images = _images(bench, job, attack, np.random.default_rng(list(hashlib.sha256(str(key).encode()).digest())))
        for image in images.values():
            bench.store.keep_picture(digest_of(image), image)
        return {variant: digest_of(images[variant]) if images else job.digest for variant in attack.titles}

    made = bench.store.figures(key, make)
    for digest in made.values():
        bench.embed(digest, None, job.photo.box, cache(lambda digest=digest: bench.store.picture(digest)))
    return made


def _images(bench: Bench, job: _Job, attack: PhotoAttack, random: np.random.Generator) -> dict[str, np.ndarray]:
    """What the attack makes, or nothing where it finds no face."""
    protected = bench.look(job.photo, job.digest)
    after = bench.look(*job.known) if job.known else None
    if protected is None or (job.known and after is None):
        return {}
    victim = Victim(
        case=job.case,
        protected=protected,
        original=lambda: bench.sample(job.photo),
        attacked=job.attacked,
        known=(bench.sample(job.known[0]), after) if job.known and after else None,
        learned=None if job.learned is None else bench.store.array(job.learned),
        store=bench.store,
    )
    try:
        return attack.attack(victim, random)
    except NoFace:
        return {}


@cache
def _attack(name: str) -> PhotoAttack:
    attack = attacks.get(name)
    assert isinstance(attack, PhotoAttack)
    return attack
