import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from perturbation_gen.chimp import Result, minimize

SEEDS = range(10)


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[2] / "scripts" / "compare_optimizers.py"
    spec = importlib.util.spec_from_file_location("compare_optimizers", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bowl(x: np.ndarray) -> float:
    return float(np.sum((x - 1) ** 2))


def search(objective: Callable[[np.ndarray], float] = bowl, seed: int = 0, **changed: Any) -> Result:
    settings = {"low": np.full(3, -4.0), "high": np.full(3, 4.0), "population": 8, "evaluations": 400} | changed
    return minimize(objective, **settings, random=np.random.default_rng(seed))


# The largest share of what random search leaves, for any seed; and how many times what differential evolution leaves,
# in the median. The optimum is anywhere in the inner half of the box; evaluations and populations are equal.
@pytest.mark.parametrize(
    ("name", "of_random", "of_evolution"),
    [
        ("sphere", 0.002, None),
        ("rosenbrock", 0.005, 100),
        ("rastrigin", 0.9, 8),
        ("ackley", 0.5, None),
        ("griewank", 0.1, 12),
    ],
)
def test_better_than_random_search_and_no_match_for_differential_evolution(
    script: ModuleType, name: str, of_random: float, of_evolution: float | None
) -> None:
    problems = [script.shifted(getattr(script, name), seed) for seed in SEEDS]
    chimps = np.array([script.by_chimps(problem, seed) for seed, problem in enumerate(problems)])
    random = np.array([script.at_random(problem, seed) for seed, problem in enumerate(problems)])
    evolution = np.array([script.by_evolution(problem, seed) for seed, problem in enumerate(problems)])
    assert np.all(chimps < of_random * random)
    assert np.median(evolution) < np.median(chimps)
    if of_evolution is None:  # the two are orders of magnitude apart
        assert np.median(chimps) > 1000 * np.median(evolution)
    else:
        assert np.median(chimps) < of_evolution * np.median(evolution)


@pytest.mark.parametrize("name", ["sphere", "ackley"])
def test_an_optimum_in_the_centre_is_found_far_more_exactly(script: ModuleType, name: str) -> None:
    function = getattr(script, name)
    centre = np.median([script.by_chimps(script.centred(function), seed) for seed in SEEDS])
    elsewhere = np.median([script.by_chimps(script.shifted(function, seed), seed) for seed in SEEDS])
    assert centre < 0.01 * elsewhere


# 8 chimps: the least there can be, whole generations, one that is cut short.
@pytest.mark.parametrize("evaluations", [8, 400, 403])
def test_it_asks_as_often_as_told_and_inside_the_box_only(evaluations: int) -> None:
    low, high = np.array([-1.0, 0.0, 5.0]), np.array([-0.5, 3.0, 5.1])
    asked = []

    def sum_of(x: np.ndarray) -> float:  # least in a corner, where leaders call past the bounds
        asked.append(x.copy())
        return float(x.sum())

    found = search(sum_of, low=low, high=high, evaluations=evaluations)
    assert len(asked) == found.evaluations == evaluations
    assert all(x.shape == (3,) and np.all(low <= x) and np.all(x <= high) for x in asked)
    assert np.array_equal(found.history, np.minimum.accumulate([x.sum() for x in asked]))
    assert found.value == found.history[-1] == found.x.sum()
    if evaluations > 8:
        assert np.array_equal(found.x, low)


def test_the_seed_decides_and_nothing_global() -> None:
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    first = search()
    assert np.array_equal(np.random.get_state()[1], before)
    np.random.seed(2)
    again, other = search(), search(seed=1)
    assert np.array_equal(first.x, again.x) and np.array_equal(first.history, again.history)
    assert not np.array_equal(first.x, other.x)


def test_neither_units_nor_place_of_the_box_matter() -> None:
    here = search()
    there = search(lambda x: bowl((x - 64) / 8), low=np.full(3, 32.0), high=np.full(3, 96.0))
    assert np.allclose((there.x - 64) / 8, here.x, atol=1e-9)


def test_values_of_infinity_are_avoided() -> None:
    found = search(lambda x: bowl(x) if x[0] < 0 else np.inf)
    assert found.x[0] < 0 and found.value < 1.5  # the least is 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"low": np.zeros(2)}, r"`low` and `high` must be of one shape \(d,\). Received: \(2,\) and \(3,\)"),
        ({"low": 0.0, "high": 1.0}, r"must be of one shape \(d,\). Received: \(\) and \(\)"),
        ({"low": np.zeros(0), "high": np.zeros(0)}, r"must be of one shape \(d,\). Received: \(0,\) and \(0,\)"),
        ({"low": np.full(3, 4.0)}, r"`low` must be finite and below `high`. Received: low=\[4. 4. 4.\]"),
        ({"high": np.full(3, np.inf)}, "`low` must be finite and below `high`. Received: .* high=.*inf"),
        ({"low": np.full(3, np.nan)}, "`low` must be finite and below `high`. Received: low=.*nan"),
        ({"population": 3}, "`population` must be at least 4. Received: 3"),
        ({"evaluations": 7}, "`evaluations` must be at least `population`, 8. Received: 7"),
        ({"objective": lambda x: np.nan}, r"`objective` must return a number. Received: nan at \["),
    ],
)
def test_bad_arguments(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search(**changed)
