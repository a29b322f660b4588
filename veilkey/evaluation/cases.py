"""What is compared: a method with the recognizers that it attacks and the budget that it keeps to."""

from collections.abc import Sequence
from dataclasses import dataclass

from veilkey.evaluation import methods
from veilkey.evaluation.methods.base import Method
from veilkey.evaluation.references import REFERENCES

OWN = "veilkey"


@dataclass(frozen=True)
class Case:
    """One row of the report. `attacked` is empty for methods that attack nobody, `ssim` None without a budget."""

    method: str
    attacked: tuple[str, ...]
    ssim: float | None
    title: str
    version: int

    @property
    def is_reference(self) -> bool:
        """An everyday change, measured so that a reader knows what a figure means."""
        return self.method in REFERENCES

    @property
    def is_own(self) -> bool:
        """Veilkey itself, at any strength."""
        return self.method.split("-")[0] == OWN

    @property
    def key(self) -> tuple[str, int, tuple[str, ...], float | None]:
        """What a protected picture depends on, beside the photo and the seed."""
        return self.method, self.version, self.attacked, self.ssim

    def load(self) -> Method:
        """The method, ready to protect."""
        return _make(self.method, self.attacked, methods.DEFAULT_SSIM if self.ssim is None else self.ssim)


def _make(name: str, attacked: tuple[str, ...], ssim: float) -> Method:
    return REFERENCES[name](attacked, ssim) if name in REFERENCES else methods.get(name, attacked, ssim)


def make_case(name: str, attacked: tuple[str, ...], ssim: float) -> Case:
    """A method or reference by name; arguments that it has no use for are dropped.

    Raises UsageError where there is no such method, or it needs somebody to attack.
    """
    method = _make(name, attacked, ssim)
    return Case(
        name,
        attacked if method.uses_attacked else (),
        ssim if method.bounded else None,
        method.title,
        method.version,
    )


def make_cases(
    names: Sequence[str],
    target: tuple[str, ...],
    budgets: Sequence[float],
    leave_one_out: bool = False,
    superpose: bool = False,
) -> list[Case]:
    """All rows: nothing and the references first, then the methods, each once for every budget it can keep.

    `leave_one_out` adds each method with all targets but one, for every target; `superpose` adds veilkey with the first
    1, 2, ... of the targets.
    """
    attacked = [target]
    if leave_one_out:
        attacked += [tuple(name for name in target if name != left) for left in target if len(target) > 1]
    cases = [make_case(name, target, budgets[0]) for name in ("none", *REFERENCES)]
    for name in names:
        for against in attacked:
            cases += [make_case(name, against, ssim) for ssim in budgets]
        if superpose and cases[-1].is_own:
            cases += [make_case(name, target[:count], budgets[0]) for count in range(1, len(target))]
    return list(dict.fromkeys(cases))
