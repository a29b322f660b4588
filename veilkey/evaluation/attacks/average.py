"""Average many protected versions: what the secrets draw cancels out, what they share remains."""

import numpy as np

from veilkey.evaluation.attacks.each_photo import PhotoAttack, Victim
from veilkey.evaluation.attacks.regenerate import load

MANY = 5


class Average(PhotoAttack):
    """The collusion attack on watermarks (Cox, Kilian, Leighton, Shamoon, "Secure spread spectrum watermarking for
    multimedia", 1997): the mean of copies that were marked independently.

    Once with what the attacker makes, five re-protections of the protected photo: the first alone, the mean of all, and
    the photo minus the mean of what they add. Once with what a careless owner gives away, five protected versions of
    one original.
    """

    name = "average"
    version = 2
    titles = {
        "once": "protected once more",
        "averaged": f"{MANY} re-protections averaged",
        "subtracted": f"{MANY} re-protections, their mean change subtracted",
        "published": f"{MANY} protected versions of one original averaged",
    }
    most = 40

    def attack(self, victim: Victim, random: np.random.Generator) -> dict[str, np.ndarray]:
        method, image = load(victim.case), victim.protected.image
        more = [method.protect(victim.protected, random).image for _ in range(MANY)]
        again = _mean(more)
        versions = [image, *(method.protect(victim.original(), random).image for _ in range(MANY - 1))]
        pictures = {"once": more[0], "averaged": again, "subtracted": 2.0 * image - again, "published": _mean(versions)}
        return {name: np.clip(np.rint(each), 0, 255).astype(np.uint8) for name, each in pictures.items()}


def _mean(images: list[np.ndarray]) -> np.ndarray:
    return np.mean(np.stack(images), 0)
