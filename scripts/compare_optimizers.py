"""How good is the chimp optimization algorithm? Beside differential evolution and random search, at equal evaluations.

    python scripts/compare_optimizers.py

Prints, for five standard functions of ten numbers whose least value is 0, the median over ten seeds of the least value
found in 6,000 evaluations. Each seed puts the optimum elsewhere in the inner half of the box; one column has it in the
centre, which ChOA favours. Differential evolution (DE) is SciPy's with its default settings, not stopped early nor
polished by a gradient method: once with as many points as there are chimps, once with the 150 that SciPy would take.
Half a minute of processor time.
"""

from collections.abc import Callable
from dataclasses import dataclass

import click
import numpy as np
from scipy.optimize import differential_evolution

from perturbation_gen import chimp

DIMENSIONS = 10
EVALUATIONS = 6000
POPULATION = 30
SCIPYS_POPULATION = 150
SEEDS = range(10)

Function = Callable[[np.ndarray], np.ndarray]


def sphere(x: np.ndarray) -> np.ndarray:
    return np.sum(x**2, axis=-1)


def rosenbrock(x: np.ndarray) -> np.ndarray:
    x = x + 1  # its optimum is at (1, ..., 1)
    return np.sum(100 * (x[..., 1:] - x[..., :-1] ** 2) ** 2 + (1 - x[..., :-1]) ** 2, axis=-1)


def rastrigin(x: np.ndarray) -> np.ndarray:
    return np.sum(x**2 - 10 * np.cos(2 * np.pi * x) + 10, axis=-1)


def ackley(x: np.ndarray) -> np.ndarray:
    distance, waves = np.sqrt(np.mean(x**2, axis=-1)), np.mean(np.cos(2 * np.pi * x), axis=-1)
    return 20 - 20 * np.exp(-0.2 * distance) + np.e - np.exp(waves)


def griewank(x: np.ndarray) -> np.ndarray:
    return 1 + np.sum(x**2, axis=-1) / 4000 - np.prod(np.cos(x / np.sqrt(np.arange(1, DIMENSIONS + 1))), axis=-1)


@dataclass(frozen=True)
class Problem:
    """A function (..., d) -> (...), least in `optimum` (d,), to be searched within -size..size in each dimension."""

    function: Function
    size: float
    optimum: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.function(x - self.optimum)


FUNCTIONS = {sphere: 100.0, rosenbrock: 30.0, rastrigin: 5.12, ackley: 32.0, griewank: 600.0}
"""Each with half the width of the box in which it is usually searched."""


def centred(function: Function) -> Problem:
    return Problem(function, FUNCTIONS[function], np.zeros(DIMENSIONS))


def shifted(function: Function, seed: int) -> Problem:
    size = FUNCTIONS[function]
    return Problem(function, size, np.random.default_rng([seed, 1]).uniform(-size / 2, size / 2, DIMENSIONS))


def by_chimps(problem: Problem, seed: int) -> float:
    high = np.full(DIMENSIONS, problem.size)
    return chimp.minimize(problem, -high, high, POPULATION, EVALUATIONS, np.random.default_rng(seed)).value


def by_evolution(problem: Problem, seed: int, population: int = POPULATION) -> float:
    found = differential_evolution(
        problem,
        [(-problem.size, problem.size)] * DIMENSIONS,
        popsize=population // DIMENSIONS,
        maxiter=EVALUATIONS // population - 1,
        tol=0,
        polish=False,
        rng=np.random.default_rng(seed),
    )
    assert found.nfev == EVALUATIONS
    return float(found.fun)


def at_random(problem: Problem, seed: int) -> float:
    points = np.random.default_rng(seed).uniform(-problem.size, problem.size, (EVALUATIONS, DIMENSIONS))
    return float(problem(points).min())


@click.command()
def main() -> None:
    click.echo(
        f"| least value found, median | ChOA, {POPULATION} chimps | the same, optimum in the centre "
        f"| DE, {POPULATION} points | DE, {SCIPYS_POPULATION} points | random search |"
    )
    click.echo("|---|---|---|---|---|---|")
    for function in FUNCTIONS:
        found = [
            [
                by_chimps(shifted(function, seed), seed),
                by_chimps(centred(function), seed),
                by_evolution(shifted(function, seed), seed),
                by_evolution(shifted(function, seed), seed, SCIPYS_POPULATION),
                at_random(shifted(function, seed), seed),
            ]
            for seed in SEEDS
        ]
        click.echo(
            f"| {function.__name__} | " + " | ".join(f"{value:.2g}" for value in np.median(found, axis=0)) + " |"
        )


if __name__ == "__main__":
    main()
