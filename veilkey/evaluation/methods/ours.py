"""veilkey itself, at each strength, and in one pass."""

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from veilkey.carriers import Picture, Pixels
from veilkey.evaluation.methods.base import Method, Outcome
from veilkey.evaluation.sample import Sample
from veilkey.restorer import take_off_all

if TYPE_CHECKING:
    from veilkey.protector import Protector


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

    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        from veilkey.protector import Settings

        photo = Pixels(Picture(sample.image, "RGB"))
        settings = Settings(strength=self.strength)
        if self.refine is not None:
            settings = replace(settings, refine=self.refine)
        protected, payload, _ = protector(self.attacked).protect(photo, settings)
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
