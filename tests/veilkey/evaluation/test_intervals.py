"""Intervals: held against an outside implementation, and against how often they hold what they should."""

import numpy as np
import pytest
from scipy import stats

from veilkey.evaluation.intervals import People, wilson
from veilkey.evaluation.merit import merit, success


@pytest.mark.parametrize(("hits", "n"), [(0, 140), (1, 140), (70, 140), (139, 140), (140, 140), (1, 1), (3, 7)])
def test_wilson_is_scipys(hits: int, n: int) -> None:
    theirs = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
    assert wilson(hits, n) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_nothing_of_many_is_wilsons() -> None:
    figure = People([f"p{n // 2}" for n in range(140)]).share(np.zeros(140, bool))
    assert (figure["value"], figure["low"], figure["interval"]) == (0.0, 0.0, "wilson")
    assert figure["high"] == pytest.approx(0.0267, abs=1e-4)
    assert (figure["n"], figure["people"]) == (140, 70)


def test_bootstrap_over_people_is_scipys() -> None:
    random = np.random.default_rng(1)
    rates = random.random(40)
    values = (random.random((40, 5)) < rates[:, None]).astype(float)
    ours = People(np.repeat(np.arange(40).astype(str), 5)).mean(values.ravel())
    theirs = stats.bootstrap(
        (values.mean(1),), np.mean, confidence_level=0.95, n_resamples=4000, method="percentile", rng=2
    ).confidence_interval
    assert (ours["low"], ours["high"]) == pytest.approx((theirs.low, theirs.high), abs=0.015)


def test_photos_of_one_person_do_not_count_as_many() -> None:
    """Twenty copies of each photo say nothing new."""
    random = np.random.default_rng(3)
    hits = random.random(30) < 0.5
    alone = People([str(n) for n in range(30)]).share(hits)
    copied = People([str(n) for n in range(30) for _ in range(20)]).share(np.repeat(hits, 20))
    assert (copied["low"], copied["high"]) == pytest.approx((alone["low"], alone["high"]))


def test_nothing_to_measure() -> None:
    assert People([]).share(np.zeros(0, bool))["value"] is None


@pytest.mark.parametrize(
    ("t_o", "f_c", "r_s"), [(0.829, 0.971, 1.1317), (1.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.9, 0.95, 1.0)]
)
def test_success(t_o: float, f_c: float, r_s: float) -> None:
    assert success(t_o, f_c) == pytest.approx(r_s, abs=1e-4)
    assert success(t_o, f_c) == pytest.approx(f_c / (1 + t_o - f_c))


def test_merit_of_known_people() -> None:
    people = People(["a", "a", "b", "c"])
    clean, protected = np.array([True, True, True, False]), np.array([True, False, False, False])
    found = merit(people, clean, protected, clean)
    assert [found[name]["value"] for name in ("T_o", "F_c", "T_r", "r_s")] == [0.75, 0.75, 0.75, 0.75]
    assert merit(people, clean, protected, None)["T_r"] is None
    # Nobody identified before or after: the ratio has no value.
    assert merit(people, ~np.ones(4, bool), ~np.ones(4, bool), None)["r_s"] is None
