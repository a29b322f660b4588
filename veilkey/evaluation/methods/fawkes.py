"""Fawkes-style cloak: towards the features of the most distant identity, under a DSSIM budget."""

import numpy as np

from perturbation_gen.budget import ssim_with_gradient
from veilkey.evaluation.methods.base import Method, Outcome
from veilkey.evaluation.methods.region import Region
from veilkey.evaluation.methods.views import Views
from veilkey.evaluation.sample import Sample

STEPS = 30
STEP = 1.0
"""Of Adam, in grey levels."""
WEIGHT = 1e5
"""Of the square of the DSSIM that is over the budget, as the authors set it."""
FIRST_MOMENT, SECOND_MOMENT = 0.9, 0.999


class Fawkes(Method):
    """Shan, Wenger, Zhang, Li, Zheng, Zhao, "Fawkes: protecting privacy against unauthorized deep learning models",
    2020.

    Minimises the distance of the features to those of the target, the training identity farthest from the own one, plus
    a penalty on DSSIM = (1 - SSIM) / 2 over the budget. Here 30 steps, not their 1,000, each of them larger; on the
    photo's pixels, not in tanh space; and at the end scaled to the budget.
    """

    name = "fawkes"
    title = "Fawkes cloak"
    bounded = True
    uses_attacked = True

    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        region = Region.of(sample)
        views = Views(region, self.attacked)
        target = views.person(_farthest(views))
        dssim = (1 - self.ssim) / 2
        change = np.zeros_like(region.image)
        first, second = np.zeros_like(change), np.zeros_like(change)
        seen = views.embed(region.image)
        for step in range(1, STEPS + 1):
            image = region.image + change
            cosine, slope, seen = views.cosine(image, target, seen)
            # The distance of unit vectors is the root of 2 - 2 cosine.
            wish = -slope / np.sqrt(2 - 2 * cosine)
            windows, visible = ssim_with_gradient(region.image, image)
            over = max((1 - float(windows.mean())) / 2 - dssim, 0.0)
            wish -= WEIGHT * over * visible
            first = FIRST_MOMENT * first + (1 - FIRST_MOMENT) * wish
            second = SECOND_MOMENT * second + (1 - SECOND_MOMENT) * wish**2
            pace = STEP * np.sqrt(1 - SECOND_MOMENT**step) / (1 - FIRST_MOMENT**step)
            change -= pace * first / (np.sqrt(second) + 1e-12)
            change = np.clip(region.image + change, 0, 255) - region.image
        return Outcome(region.fit(change, self.ssim, random)[0])


def _farthest(views: Views) -> int:
    """The training identity with the smallest cosine to the clean face, the mean over recognizers."""
    cosines = [
        np.mean([own @ other for own, other in zip(views.own, views.person(number), strict=True)])
        for number in range(views.people())
    ]
    return int(np.argmin(cosines))
