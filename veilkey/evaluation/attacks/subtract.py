"""Subtract what the method adds to everybody."""

import numpy as np

from veilkey.evaluation.attacks.base import Field
from veilkey.evaluation.attacks.canonical import SIZE, add, to_canonical
from veilkey.evaluation.attacks.each_photo import Learned, PhotoAttack, Victim
from veilkey.evaluation.attacks.others import count, digest

PAIRS = 200


class Subtract(PhotoAttack):
    """The estimate of a watermark that all pictures share from known originals (Cayre, Fontaine, Furon, "Watermarking
    security: theory and practice", 2005): the mean change of 200 known pairs of other people, on aligned faces. It
    undoes what a method does to everybody alike, such as a universal perturbation or a hurried generator's one
    pattern."""

    name = "subtract"
    titles = {"mean": "mean change of other people subtracted"}

    def learn(self, field: Field) -> Learned:
        pairs = field.others.pairs(field.case, PAIRS, SIZE)
        key = ("mean change", self.version, digest(pairs))
        field.measured.store.array(
            key, lambda: np.mean([pair.protected.astype(np.float32) - pair.original for pair in pairs], 0)
        )
        return Learned(key, f"from {count(pairs)}")

    def attack(self, victim: Victim, random: np.random.Generator) -> dict[str, np.ndarray]:
        assert victim.learned is not None
        return {"mean": add(victim.protected.image, to_canonical(victim.protected.face), -victim.learned)}
