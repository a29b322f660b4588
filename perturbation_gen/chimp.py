"""Chimp optimization algorithm (ChOA): a minimum of a function of a few numbers, of which only values are known.

M. Khishe, M. R. Mosavi: Chimp optimization algorithm. Expert Systems with Applications 149, 2020, 113338.

The four best points so far (attacker, barrier, chaser, driver) lead. In each step a chimp either goes to the mean of
the four places to which the leaders call it (equations 3 to 8), where a coefficient f, which falls in its own way in
each of four groups, says how far from a leader that may be; or, as often, breaks away to a chaotic place (equation 9).

What was chosen where the description is open, or says two things:
- f falls to 0, as the text says, along the four curves that the authors publish as ChOA2, which end at 0.5.
- The chaotic map is the Gauss map, one for each coordinate of each chimp; a chaotic place is one anywhere in the box.
- A large f leads away from the leaders by itself. The pseudocode's random prey is left out, as in the authors' program.
- Places are measured from the box's centre. For a box around the origin that is the published method; for others it
  makes the search independent of units and of where the box lies.

A known weakness stays: the nearer the centre (published: the origin), the smaller the steps, so that an optimum there
is found far more exactly than one elsewhere. `scripts/compare_optimizers.py` shows it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LEADERS = 4
START = 2.5
"""Where f begins."""


@dataclass(frozen=True)
class Result:
    """x: (d,) float64, the best point found. value: the objective's there. evaluations: how often it was asked.

    history: (evaluations,) float64, the best value after each evaluation.
    """

    x: np.ndarray
    value: float
    evaluations: int
    history: np.ndarray


def minimize(
    objective: Callable[[np.ndarray], float],
    low: np.ndarray,
    high: np.ndarray,
    population: int,
    evaluations: int,
    random: np.random.Generator,
) -> Result:
    """Search the box `low` <= x <= `high`, both (d,), by exactly `evaluations` calls of the objective.

    objective: (d,) float64 -> a value, infinity included; it is never asked outside the box. population: chimps, at
    least 4; each moves about evaluations / population times. The same state of `random` gives the same result.

    Raises ValueError for a box without inside, fewer than 4 chimps, fewer evaluations than chimps, or a value of NaN.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    if low.ndim != 1 or low.size == 0 or low.shape != high.shape:
        raise ValueError(f"`low` and `high` must be of one shape (d,). Received: {low.shape} and {high.shape}")
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low < high).all()):
        raise ValueError(f"`low` must be finite and below `high`. Received: low={low}, high={high}")
    if population < LEADERS:
        raise ValueError(f"`population` must be at least {LEADERS}. Received: {population}")
    if evaluations < population:
        raise ValueError(f"`evaluations` must be at least `population`, {population}. Received: {evaluations}")

    chimps = random.uniform(low, high, (population, low.size))
    groups = random.permutation(population) % LEADERS
    chaos = random.random(chimps.shape)
    leaders, best = np.empty((0, low.size)), np.empty(0)
    history: list[float] = []
    steps = -(-evaluations // population)
    for step in range(1, steps + 1):
        asked = chimps[: evaluations - len(history)]
        values = [_value(objective, chimp) for chimp in asked]
        history.extend(values)
        known, worth = np.concatenate([leaders, asked]), np.concatenate([best, values])
        order = np.argsort(worth, kind="stable")[:LEADERS]
        leaders, best = known[order], worth[order]
        if step < steps:
            chaos = 1 / np.maximum(chaos, np.finfo(np.float64).tiny) % 1
            called = _call(chimps, leaders, (low + high) / 2, _falling(step, steps)[groups], chaos, random)
            breaks_away = random.random((population, 1)) >= 0.5
            chimps = np.clip(np.where(breaks_away, low + chaos * (high - low), called), low, high)
    return Result(leaders[0], float(best[0]), len(history), np.minimum.accumulate(history))


def _value(objective: Callable[[np.ndarray], float], x: np.ndarray) -> float:
    value = float(objective(x))
    if np.isnan(value):
        raise ValueError(f"`objective` must return a number. Received: {value} at {x}")
    return value


def _falling(step: int, steps: int) -> np.ndarray:
    """f of each group, (4,), in step 1, 2, ... of `steps`, at least 2."""
    t = step / steps
    return START * np.array([1 - np.log(step) / np.log(steps), 1 - t**3, np.exp(-((4 * t) ** 2)), (1 - t) ** 2])


def _call(
    chimps: np.ndarray,
    leaders: np.ndarray,
    centre: np.ndarray,
    f: np.ndarray,
    m: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    """Where the leaders (4, d) call each of the chimps (n, d); f (n,), m (n, d) chaotic in 0..1."""
    shape = (len(leaders), *chimps.shape)
    a = f[:, None] * (2 * random.random(shape) - 1)
    c = 2 * random.random(shape)
    distance = np.abs(c * (leaders - centre)[:, None] - m * (chimps - centre))
    return (leaders[:, None] - a * distance).mean(axis=0)
