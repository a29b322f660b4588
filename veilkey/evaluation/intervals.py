"""How far a figure can be trusted: intervals of 95 % over people, or Wilson's where nothing varies.

Photos of one person are not independent, so whole people are drawn with replacement (Efron and Tibshirani 1993). Where
all or none of the photos count the bootstrap says nothing; Wilson's interval (1927) does.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

DRAWS = 2000
Z = 1.959963984540054


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson's interval of 95 % for `successes` of `n`."""
    if n == 0:
        return 0.0, 1.0
    share, z2 = successes / n, Z * Z
    centre, half = share + z2 / (2 * n), Z * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # The ends at 0 and 1 are exact; floating point would leave them a hair off.
    low = 0.0 if successes == 0 else (centre - half) / (1 + z2 / n)
    high = 1.0 if successes == n else (centre + half) / (1 + z2 / n)
    return float(low), float(high)


class People:
    """Whose photo each value belongs to, and the draws of people that all intervals of a run share."""

    def __init__(self, people: Sequence[str]) -> None:
        self.names, self.index = np.unique(np.asarray(people), return_inverse=True)
        random, count = np.random.default_rng(0), len(self.names)
        self.times = np.stack(
            [np.bincount(random.integers(0, count, count), minlength=count) for _ in range(DRAWS if count else 0)]
            or [np.zeros(0, int)]
        ).astype(np.int32)
        self._sizes = self.times @ np.bincount(self.index, minlength=count)

    def means(self, values: np.ndarray) -> np.ndarray:
        """The mean of `values` (N,) in every draw, (DRAWS,)."""
        sums = self.times @ np.bincount(self.index, values.astype(float), len(self.names))
        return sums / np.maximum(self._sizes, 1)

    def mean(self, values: np.ndarray) -> dict[str, Any]:
        """Mean of `values` (N,) with its interval: value, low, high, n, people, interval."""
        return self.figure(values.mean(), self.means(values)) if len(values) else self._nothing()

    def share(self, hits: np.ndarray) -> dict[str, Any]:
        """Share of `hits` (N,) bool that are true, with its interval: value, low, high, n, people, interval."""
        if not len(hits):
            return self._nothing()
        if hits.all() or not hits.any():
            low, high = wilson(int(hits.sum()), len(hits))
            return {**self.figure(hits.mean(), np.array([low, high])), "low": _round(low), "high": _round(high),
                    "interval": "wilson"}  # fmt: skip
        return self.mean(hits)

    def figure(self, value: float, draws: np.ndarray) -> dict[str, Any]:
        """A figure whose value in every draw is known; draws in which it has none, infinite ones, do not count."""
        low, high = np.percentile(draws[np.isfinite(draws)], [2.5, 97.5])
        return {"value": _round(value), "low": _round(low), "high": _round(high), "n": len(self.index),
                "people": len(self.names), "interval": "bootstrap"}  # fmt: skip

    def _nothing(self) -> dict[str, Any]:
        return {"value": None, "low": None, "high": None, "n": 0, "people": 0, "interval": "none"}


def _round(value: float) -> float:
    return round(float(value), 5)
