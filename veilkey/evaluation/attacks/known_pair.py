"""Use one photo of which the original is known to open another."""

import cv2
import numpy as np

from veilkey.evaluation.attacks.canonical import add, cut, to_canonical
from veilkey.evaluation.attacks.each_photo import PhotoAttack, Victim
from veilkey.faces import compose, invert


class KnownPair(PhotoAttack):
    """The two-time pad: where two photos share their noise, one known original opens the other (Shannon,
    "Communication theory of secrecy systems", 1949, wants a key used once).

    Known is a gallery photo of the same person, before and after. What changed there, laid on this face by way of the
    canonical crop, is subtracted; and the plane original XOR protected is XORed with the photo.
    """

    name = "known-pair"
    titles = {"residual": "change of a known pair subtracted", "xor": "XOR plane of a known pair applied"}
    version = 2
    uses_known = True

    def attack(self, victim: Victim, random: np.random.Generator) -> dict[str, np.ndarray]:
        assert victim.known is not None
        (original, protected), image = victim.known, victim.protected.image
        before, after = (cut(each.image, to_canonical(protected.face)) for each in victim.known)
        residual = before.astype(np.float32) - after
        # Pixel to pixel: a mean of two XOR planes is none.
        way = compose(invert(victim.protected.face.transform), protected.face.transform)
        plane = cv2.warpAffine(original.image ^ protected.image, way, image.shape[1::-1], flags=cv2.INTER_NEAREST)
        return {"residual": add(image, to_canonical(victim.protected.face), residual), "xor": image ^ plane}
