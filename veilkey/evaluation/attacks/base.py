"""What every attack offers: protected probes in, which of them match again out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from tqdm import tqdm

from veilkey.evaluation import scores
from veilkey.evaluation.attacks.others import Others
from veilkey.evaluation.cases import Case
from veilkey.evaluation.figures import Ground
from veilkey.evaluation.measured import Measured
from veilkey.evaluation.pool import Workers
from veilkey.evaluation.work import Bench, Known, Task

FAR = f"{1e-3:g}"


@dataclass(frozen=True)
class Result:
    """What an attack brought back.

    title: what tables call it. probes: numbers (M,) of the attacked probes. after: judge -> which of them match at FAR
    1e-3, (M,) bool; None where the attack proves nothing, and then `note` says why.
    """

    title: str
    probes: np.ndarray
    after: dict[str, np.ndarray] | None
    note: str = ""


@dataclass(frozen=True)
class Field:
    """What attacks are tried on: the protected probes of one case.

    row: the case's number. probes: numbers (N,) of its protected probes of people who are judged. attacked: names of
    the recognizers that an attacker works through.
    """

    measured: Measured
    row: int
    probes: np.ndarray
    attacked: tuple[str, ...]
    others: Others
    pool: Workers

    @property
    def case(self) -> Case:
        return self.measured.cases[self.row]

    def known(self, probes: np.ndarray) -> list[Known]:
        """The photos that were protected."""
        return [self.measured.photos.probes[probe] for probe in probes]

    def digests(self, probes: np.ndarray) -> list[str]:
        """Names of their protected pictures."""
        return [self.measured.probes[self.row][probe].digest for probe in probes]

    def matches(self, probes: np.ndarray, digests: Sequence[str], view: str | None = None) -> dict[str, np.ndarray]:
        """Judge -> which pictures `digests`, made of the probes, match the clean galleries at FAR 1e-3, (M,) bool."""
        return {base.judge: self.match(base, probes, digests, view) for base in self.measured.grounds}

    def match(
        self,
        base: Ground,
        probes: np.ndarray,
        digests: Sequence[str],
        view: str | None = None,
        own: np.ndarray | None = None,
    ) -> np.ndarray:
        """As `matches`, by one judge. own: galleries (P, D) that take the place of the clean ones."""
        seen = self.measured.embeddings.of(base.judge, digests, self.known(probes), view)
        against = scores.compare(base.distance, seen, base.owners[probes], base.templates, own)
        return against.match(base.thresholds[FAR])

    def gallery(self, one_each: bool) -> list[tuple[Known, str]]:
        """The judged people's gallery photos, or the first of each, with the names of their protected pictures."""
        people = {known.photo.person for known in self.known(self.probes)}
        photos = [known for known in self.measured.photos.gallery if known.photo.person in people]
        if one_each:
            photos = list({known.photo.person: known for known in reversed(photos)}.values())
        tasks = [Task(self.case, known, False, False) for known in photos]
        results = self.pool.map(Bench.examine, tasks)
        made = list(tqdm(results, "protecting galleries", len(tasks), unit="photo", leave=False, disable=None))
        return [(known, each.digest) for known, each in zip(photos, made, strict=True) if each.failure is None]


class Attack(ABC):
    """A way to get at a face that was protected. One subclass a file; `veilkey.evaluation.attacks.get` finds it."""

    name: ClassVar[str]
    version: ClassVar[int] = 1
    """For caches: raised whenever what the attack makes changes."""
    needs_keys: ClassVar[bool] = False
    """Whether it can be tried on veilkey alone."""

    @abstractmethod
    def run(self, field: Field) -> list[Result]:
        """Try it, in each of its variants.

        Raises:
            NoFace: the method leaves the attack no face to learn from.
        """
