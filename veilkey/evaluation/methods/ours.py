"""veilkey itself, at each strength, in one pass, and with a pseudonym for each person."""

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from veilkey.carriers import Picture, Pixels
from veilkey.evaluation.methods.base import Method, Outcome
from veilkey.evaluation.sample import Sample
from veilkey.pseudonym import pseudonym_of
from veilkey.restorer import take_off_all

if TYPE_CHECKING:
    from veilkey.protector import Protector, Settings

# One study for all runs: photos that an earlier run left in the store went to the same places.
STUDY_KEY = bytes(range(32))


@cache
def protector(attacked: tuple[str, ...]) -> "Protector":
    from veilkey.protector import Protector

    return Protector(attacked)


class _Veilkey(Method):
    """What `veilkey protect` does, every face of the photo; the budget is that of its strength.

    The secret is drawn by the operating system, not from `random`: two runs give two pictures.

    Raises (by `protect`):
        NoFace: the program finds no face in the photo.
    """

    strength: ClassVar[str]
    refine: ClassVar[int | None] = None
    """Gradient steps; None for as many as the program takes unless it is told."""
    uses_attacked = True
    version = 15

    def settings(self, sample: Sample) -> "Settings":
        """What to protect a photo with."""
        from veilkey.protector import Settings

        settings = Settings(strength=self.strength)
        return settings if self.refine is None else replace(settings, refine=self.refine)

    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        photo = Pixels(Picture(sample.image, "RGB"))
        protected, payload, _ = protector(self.attacked).protect(photo, self.settings(sample))
        return Outcome(protected.picture.rgb(), take_off_all(protected, payload.faces).picture.rgb())


class Light(_Veilkey):
    __doc__ = _Veilkey.__doc__
    name = "veilkey-light"
    title = "veilkey, light"
    strength = "light"


class Standard(_Veilkey):
    __doc__ = _Veilkey.__doc__
    name = "veilkey-standard"
    title = "veilkey, standard"
    strength = "standard"


class Strong(_Veilkey):
    __doc__ = _Veilkey.__doc__
    name = "veilkey-strong"
    title = "veilkey, strong"
    strength = "strong"


class OnePass(_Veilkey):
    __doc__ = _Veilkey.__doc__
    name = "veilkey-one-pass"
    title = "veilkey, standard, --refine 0"
    strength = "standard"
    refine = 0


class Pseudonym(_Veilkey):
    """What `veilkey protect --pseudonym` does with the largest face: one study, the person's name as the code.

    Raises (by `protect`):
        NoFace: the program finds no face in the photo.
        UsageError: the person's name is no code.
    """

    name = "veilkey-pseudonym"
    title = "veilkey, standard, pseudonym"
    strength = "standard"

    def settings(self, sample: Sample) -> "Settings":
        """What to protect a photo with."""
        return replace(super().settings(sample), faces=(1,), pseudonym=pseudonym_of(sample.person, STUDY_KEY))
