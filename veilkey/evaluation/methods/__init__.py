"""What veilkey is compared with, and veilkey itself: every method on the same faces, budget and recognizers.

To add one: a subclass of `Method` in a file of its own, with its source in the docstring, and a line in the table here.
"""

import importlib
from collections.abc import Sequence

from perturbation_gen.budget import STRENGTHS
from veilkey.errors import UsageError
from veilkey.evaluation.methods.base import Method, Outcome

__all__ = ["DEFAULT_SSIM", "Method", "Outcome", "get", "names"]

DEFAULT_SSIM = STRENGTHS["standard"].ssim

_METHODS = {
    "none": "none:Nothing",
    "bar": "bar:Bar",
    "pixelate": "pixelate:Pixelate",
    "blur": "blur:Blur",
    "pixel-confusion": "pixel_confusion:PixelConfusion",
    "twist": "twist:Twist",
    "advhat": "advhat:AdvHat",
    "fawkes": "fawkes:Fawkes",
    "pgd": "pgd:Pgd",
    "pgd-targeted": "pgd:TargetedPgd",
    "square": "square:Square",
    "veilkey-light": "ours:Light",
    "veilkey-standard": "ours:Standard",
    "veilkey-strong": "ours:Strong",
    "veilkey-one-pass": "ours:OnePass",
    "veilkey-pseudonym": "ours:Pseudonym",
}


def names() -> tuple[str, ...]:
    """Names of all methods, in the order of tables."""
    return tuple(_METHODS)


def get(name: str, attacked: Sequence[str] = (), ssim: float = DEFAULT_SSIM) -> Method:
    """A method by its name; see `Method` for the arguments. Models are loaded with the first photo.

    Raises:
        UsageError: no method is called so, or it needs recognizers and `attacked` is empty.
    """
    if name not in _METHODS:
        raise UsageError(f"no method is called {name!r}; there are {', '.join(_METHODS)}")
    module, kind = _METHODS[name].split(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), kind)(attacked, ssim)
