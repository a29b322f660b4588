"""Projected gradient descent, away from the own identity or towards another one."""

from abc import abstractmethod

import numpy as np

from veilkey.evaluation.methods.base import Method, Outcome
from veilkey.evaluation.methods.region import Region
from veilkey.evaluation.methods.views import Views
from veilkey.evaluation.sample import Sample

STEPS = 20
STEP = 0.25
"""In eps."""


class _Descent(Method):
    """Madry, Makelov, Schmidt, Tsipras, Vladu, "Towards deep learning models resistant to adversarial attacks", 2018.

    L-infinity, from a random start, 20 steps of eps / 4, as theirs for CIFAR-10 (20 steps of 2, eps 8). eps is that of
    noise +-eps which uses up the budget; the end is scaled to it.
    """

    bounded = True
    uses_attacked = True

    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        region = Region.of(sample)
        views = Views(region, self.attacked)
        wanted, sign = self._goal(views, random)
        _, eps = region.fit(random.choice(np.array([-1, 1], np.float32), region.image.shape), self.ssim, random)
        low, high = np.maximum(-eps, -region.image), np.minimum(eps, 255 - region.image)
        change = random.uniform(low, high).astype(np.float32)
        seen = views.embed(region.image + change)
        for _ in range(STEPS):
            _, slope, seen = views.cosine(region.image + change, wanted, seen)
            change = np.clip(change + sign * STEP * eps * np.sign(slope), low, high)
        return Outcome(region.fit(change, self.ssim, random)[0])

    @abstractmethod
    def _goal(self, views: Views, random: np.random.Generator) -> tuple[list[np.ndarray], float]:
        """Unit vectors (D,), one a recognizer, and whether to near (1) or to leave (-1) them."""


class Pgd(_Descent):
    __doc__ = _Descent.__doc__
    name = "pgd"
    title = "PGD, untargeted"

    def _goal(self, views: Views, random: np.random.Generator) -> tuple[list[np.ndarray], float]:
        return views.own, -1.0


class TargetedPgd(_Descent):
    __doc__ = _Descent.__doc__
    name = "pgd-targeted"
    title = "PGD, towards another identity"

    def _goal(self, views: Views, random: np.random.Generator) -> tuple[list[np.ndarray], float]:
        return views.person(int(random.integers(views.people()))), 1.0
