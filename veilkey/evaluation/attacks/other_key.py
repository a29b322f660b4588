"""Try the key of another photo."""

from collections.abc import Sequence

import numpy as np

from keys.payload import Payload, from_bytes, to_bytes
from mask_template.template import fixed_point, mask_in_photo
from perturbation_gen.lattice import expand
from veilkey.carriers import Picture, Pixels
from veilkey.carriers.noise import window
from veilkey.errors import ForeignKey
from veilkey.evaluation.attacks.each_photo import PhotoAttack, Victim
from veilkey.evaluation.methods import ours
from veilkey.evaluation.sample import Sample
from veilkey.faces import CROP_SIZE
from veilkey.faces.geometry import source_box
from veilkey.restorer import restore


class OtherKey(PhotoAttack):
    """Kerckhoffs' question ("La cryptographie militaire", 1883): what is left when all but this photo's key is known?

    The key is that of a gallery photo of the same person, opened by whom it was issued to. First as the program
    restores, which has to refuse it; then by force, its lattice and template laid on this face, and no check made.
    """

    name = "other-key"
    titles = {"restore": "restored with another photo's key", "force": "another key's lattice subtracted"}
    needs_keys = True
    uses_known = True

    def attack(self, victim: Victim, random: np.random.Generator) -> dict[str, np.ndarray]:
        assert victim.known is not None
        key = _key(victim, victim.known[0])
        try:
            restored = restore(Pixels(Picture(victim.protected.image, "RGB")), [key]).picture.rgb()
        except ForeignKey:
            restored = victim.protected.image
        return {"restore": restored, "force": _forced(victim.protected, key)}

    def note(self, variant: str, before: Sequence[str], after: Sequence[str]) -> str:
        refused = sum(old == new for old, new in zip(before, after, strict=True))
        return f"refused {refused} of {len(before)} times" if variant == "restore" else ""


def _key(victim: Victim, other: Sample) -> Payload:
    """What the key says that another photo gets when it is protected; issued once."""

    def issue() -> np.ndarray:
        from veilkey.protector import Settings

        settings = Settings(strength=victim.case.method.split("-")[1])
        _, payload, _ = ours.protector(victim.case.attacked).protect(Pixels(Picture(other.image, "RGB")), settings)
        return np.frombuffer(to_bytes(payload), np.uint8)

    return from_bytes(victim.store.array(("issued key 2", victim.case.key, other.digest), issue).tobytes())


def _forced(protected: Sample, key: Payload) -> np.ndarray:
    """The largest face's residual, put where this face is, subtracted; (H, W, 3) uint8."""
    face, image = key.faces[0], protected.image
    x0, y0, x1, y1 = source_box(protected.face.transform, CROP_SIZE, image.shape[1], image.shape[0])
    region = (x0, y0, x1 - x0, y1 - y0)
    mask = mask_in_photo(face.blocks, fixed_point(protected.face.transform), region)
    changed, area = image.copy(), window(region)
    residual = expand(face.lattice, region[2], region[3]) * mask[..., None]
    changed[area] = np.clip(image[area] - residual, 0, 255)
    return changed
