"""Run the method again, and subtract what it adds."""

from functools import lru_cache

import numpy as np

from veilkey.evaluation.attacks.each_photo import PhotoAttack, Victim
from veilkey.evaluation.cases import Case
from veilkey.evaluation.methods.base import Method


class Regenerate(PhotoAttack):
    """The attack that a plain generator falls to: everybody has its weights, and if its noise depended on the face more
    than on the secret, the noise it makes for the protected photo would be the noise that is on it. veilkey's networks
    and refinement run on the protected photo with a secret of the attacker's; so does any other method."""

    name = "regenerate"
    titles = {"subtracted": "regenerated and subtracted"}

    def attack(self, victim: Victim, random: np.random.Generator) -> dict[str, np.ndarray]:
        image = victim.protected.image.astype(np.int16)
        again = load(victim.case).protect(victim.protected, random).image
        return {"subtracted": np.clip(2 * image - again, 0, 255).astype(np.uint8)}


@lru_cache(1)
def load(case: Case) -> Method:
    """The method of a case, one at a time: some hold hundreds of megabytes."""
    return case.load()
