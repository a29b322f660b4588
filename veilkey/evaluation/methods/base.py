"""What every method offers: one photo in, the photo with its face changed out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from veilkey.errors import UsageError
from veilkey.evaluation.sample import Sample


@dataclass(frozen=True)
class Outcome:
    """What a method made of a photo.

    image: (H, W, 3) uint8 RGB. restored: what its owner gets back, the same shape; None where there is no way back.
    queries: how often recognizers were asked for an embedding, all of them together; 0 for a method that asks none.
    """

    image: np.ndarray
    restored: np.ndarray | None = None
    queries: int = 0


class Method(ABC):
    """A way to keep a face from being recognized. One subclass a file; `veilkey.evaluation.methods.get` finds it.

    Args:
        attacked: names of the recognizers that it may work against; of no account where `uses_attacked` is false.
        ssim: least mean structural similarity of the face box; of no account where `bounded` is false.

    Raises:
        UsageError: it needs recognizers and `attacked` is empty.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    """What tables call it."""
    version: ClassVar[int] = 1
    """For caches: raised whenever the method's output changes."""
    bounded: ClassVar[bool] = False
    """Whether it uses up the budget `ssim`, no more and no less. The others run at their usual strength."""
    uses_attacked: ClassVar[bool] = False

    def __init__(self, attacked: Sequence[str], ssim: float) -> None:
        if self.uses_attacked and not attacked:
            raise UsageError(f"the method {self.name} works against recognizers: name at least one")
        self.attacked = tuple(attacked)
        self.ssim = ssim

    @abstractmethod
    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        """Change the face that counts; pixels far from it stay."""
