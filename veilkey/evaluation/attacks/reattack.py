"""Push the protected photo away from where it is now, in the hope that it falls back."""

import numpy as np

from perturbation_gen.budget import STRENGTHS
from veilkey.evaluation import methods
from veilkey.evaluation.attacks.each_photo import PhotoAttack, Victim
from veilkey.evaluation.cases import Case
from veilkey.evaluation.methods.region import Region
from veilkey.evaluation.methods.views import Views

STEPS = 20
PACE = 0.5
"""Of a step, in grey levels, root mean square."""
MOMENTUM = 0.8


class Reattack(PhotoAttack):
    """An unsteered method leaves a face beside the one it came from, so any way out may lead back.

    The protected photo is pushed away from its own embedding through the attacked recognizers: by PGD (Madry et al.
    2018, see the method `pgd`), once with the method's own budget and once with half of the dissimilarity that it
    allows, as a long push passes the face that it is to come back to; and by gradient steps with momentum (Dong et al.,
    "Boosting adversarial attacks with momentum", 2018, in L2), which go where the method went.
    """

    name = "reattack"
    version = 2
    titles = {
        "signs": "pushed away from its own embedding (PGD)",
        "half": "pushed away (PGD), half the budget",
        "momentum": "pushed away (momentum)",
    }

    def attack(self, victim: Victim, random: np.random.Generator) -> dict[str, np.ndarray]:
        budget = _budget(victim.case)
        signs, half = (
            methods.get("pgd", victim.attacked, ssim).protect(victim.protected, random).image
            for ssim in (budget, (1 + budget) / 2)
        )
        return {"signs": signs, "half": half, "momentum": _momentum(victim, budget, random)}


def _momentum(victim: Victim, budget: float, random: np.random.Generator) -> np.ndarray:
    region = Region.of(victim.protected)
    views = Views(region, victim.attacked)
    pace = PACE * np.sqrt(region.image.size)
    # Where the photo is, there is no way away from it: the gradient of a maximum is 0.
    change = random.normal(0, PACE, region.image.shape).astype(np.float32)
    speed, seen = np.zeros_like(change), views.embed(region.image + change)
    for _ in range(STEPS):
        _, slope, seen = views.cosine(region.image + change, views.own, seen)
        speed = MOMENTUM * speed + slope / np.linalg.norm(slope)
        change = np.clip(region.image + change - pace * speed, 0, 255) - region.image
    return region.fit(change.astype(np.float32), budget, random)[0]


def _budget(case: Case) -> float:
    if case.is_own:
        return STRENGTHS[case.method.split("-")[1]].ssim
    return methods.DEFAULT_SSIM if case.ssim is None else case.ssim
