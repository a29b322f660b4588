"""Scores: against scikit-learn, against a whole matrix, and the known answers."""

import dataclasses
import time
import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from veilkey.evaluation import figures, scores
from veilkey.evaluation.intervals import wilson
from veilkey.evaluation.scores import Impostors

USUAL = 0.6


def euclidean(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.linalg.norm(first - second, axis=-1)


def crowd(people: int, photos: int, seed: int = 0, spread: float = 0.12) -> tuple[np.ndarray, np.ndarray]:
    """Photos (N, 32) of people, and their owners; people are about 1.4 apart, photos of one about 1."""
    random = np.random.default_rng(seed)
    centres = random.normal(0, 0.13, (people, 32))
    owners = np.repeat(np.arange(people), photos)
    return (centres[owners] + random.normal(0, spread, (len(owners), 32))).astype(np.float32), owners


@pytest.fixture(scope="module")
def setup() -> tuple[figures.Ground, np.ndarray]:
    """Sixty people with one gallery photo and three probes."""
    photos, owners = crowd(60, 4)
    first = np.arange(len(owners)) % 4 == 0
    names = [f"p{n:02}" for n in range(60)]
    base = figures.ground("test", USUAL, euclidean, names, photos[first], owners[first], photos[~first], owners[~first])
    matrix = euclidean(photos[~first][:, None], photos[first][None]).astype(float)
    return base, matrix


def test_streamed_is_the_whole_matrix(
    setup: tuple[figures.Ground, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    base, matrix = setup
    monkeypatch.setattr(scores, "BLOCK", 7 * base.templates.size)
    impostors = Impostors(USUAL)
    against = scores.compare(euclidean, base.probes, base.owners, base.templates, impostors=impostors)
    here = np.arange(len(matrix))
    assert against.genuine == pytest.approx(matrix[here, base.owners], abs=1e-6)
    assert np.array_equal(against.nearest, matrix.argmin(1) == base.owners)
    others = matrix[base.owners[:, None] != np.arange(60)]
    assert impostors.pairs == others.size == base.impostors.pairs
    for far in (0.5, 1e-1, 1e-2, 1e-3):
        assert impostors.threshold(far) == pytest.approx(np.quantile(others, far), abs=impostors.resolution)


def test_thresholds_and_rates_are_scikit_learns(setup: tuple[figures.Ground, np.ndarray]) -> None:
    base, matrix = setup
    mine = np.arange(60)[None] == base.owners[:, None]
    far, hits, cuts = roc_curve(mine.ravel(), -matrix.ravel(), drop_intermediate=False)
    step = 1 / base.impostors.pairs
    for wanted in (1e-1, 1e-2, 1e-3):
        threshold = base.impostors.threshold(wanted)
        # Their curve at our threshold: the same rate, to the pairs that share a bin of the histogram.
        under = np.searchsorted(-cuts, threshold) - 1
        let_in = far[under]
        assert let_in == pytest.approx(wanted, abs=3 * step)
        assert base.clean.match(threshold).mean() == pytest.approx(hits[under], abs=1.01 / len(matrix))
        assert base.impostors.rate(np.array([threshold]))[0] == pytest.approx(wanted, abs=3 * step)
    equal = np.argmin(np.abs(1 - hits - far))
    theirs = (1 - hits[equal] + far[equal]) / 2
    assert 0.005 < theirs < 0.5
    assert scores.equal_error(base.clean.genuine, base.impostors)[0] == pytest.approx(theirs, abs=1 / len(matrix))


def test_equal_error_weights_are_copies(setup: tuple[figures.Ground, np.ndarray]) -> None:
    base, _ = setup
    times = np.random.default_rng(0).integers(0, 4, len(base.owners))
    weighted = scores.equal_error(base.clean.genuine, base.impostors, times[None])[0]
    assert weighted == pytest.approx(scores.equal_error(np.repeat(base.clean.genuine, times), base.impostors)[0])


def test_equal_error_of_faces_that_are_not_found() -> None:
    impostors = Impostors(USUAL)
    impostors.add(np.linspace(0.5, 1, 100))
    assert scores.equal_error(np.full(5, 0.1), impostors)[0] == 0
    assert scores.equal_error(np.full(5, np.inf), impostors)[0] == 1
    assert scores.equal_error(np.array([0.1, np.inf]), impostors)[0] == pytest.approx(0.5)


def test_nothing_changed_gives_the_clean_figures(setup: tuple[figures.Ground, np.ndarray]) -> None:
    base, _ = setup
    everything = np.arange(len(base.owners))
    seen = figures.view_figures(base, everything, base.probes, curves=True)
    for far, threshold in base.thresholds.items():
        assert seen["match"][far]["value"] == pytest.approx(base.clean.match(threshold).mean(), abs=1e-5)
    assert seen["rank1"]["value"] == pytest.approx(base.clean.nearest.mean(), abs=1e-5)
    merit = figures.merit_figures(base, everything, base.probes, base.probes)
    assert merit["T_o"] == merit["T_r"]
    assert merit["F_c"]["value"] == pytest.approx(1 - merit["T_o"]["value"], abs=1e-5)
    assert figures.restored_figures(base, everything, base.probes)["exact"]
    assert not figures.restored_figures(base, everything, base.probes + 1e-3)["exact"]
    assert np.all(np.diff(seen["curve"]["match"]) >= 0) and np.all(np.diff(seen["det"]["fnmr"]) <= 0)


def test_no_face_matches_nobody(setup: tuple[figures.Ground, np.ndarray]) -> None:
    base, _ = setup
    kept = np.arange(30)
    gone = figures.view_figures(base, kept, np.full_like(base.probes[:30], np.nan), curves=True)
    assert gone["found"]["value"] == gone["rank1"]["value"] == gone["match"]["0.01"]["value"] == 0
    assert gone["found"]["n"] == 30 and gone["eer"]["value"] == 1
    linked = figures.linked_figures(base, kept, np.full_like(base.probes[:30], np.nan))
    assert linked["0.001"]["value"] == 0 and linked["0.001"]["n"] == 30


def test_shuffled_embeddings_match_at_the_far_itself() -> None:
    """A recognizer that knows nothing: every probe has the embedding of somebody else's photo."""
    photos, owners = crowd(400, 6, seed=5)
    first = np.arange(len(owners)) % 6 == 0
    names = [f"p{n:03}" for n in range(400)]
    base = figures.ground("test", USUAL, euclidean, names, photos[first], owners[first], photos[~first], owners[~first])
    assert "0.0001" in base.thresholds
    random, count, matches = np.random.default_rng(6), len(base.owners), 0
    rounds = 5
    for _ in range(rounds):
        strangers = base.probes[random.permutation(count)]
        against = scores.compare(euclidean, strangers, base.owners, base.templates)
        matches += int(against.match(base.thresholds["0.01"]).sum())
    low, high = wilson(matches, rounds * count)
    # One in 400 keeps its own embedding by chance.
    assert low - 1 / 400 <= 0.01 <= high, (low, high)


def test_photos_of_two_people(setup: tuple[figures.Ground, np.ndarray]) -> None:
    base, _ = setup
    everything = np.arange(180)
    far = figures.stranger_figures(base, everything, base.probes)
    # Not all pairs: 180 photos make 16,110, of which 10,000 are drawn.
    assert 0.97 * scores.APART < far["0.01"]["n"] < scores.APART and far["0.01"]["people"] == 60
    assert far["0.01"]["low"] <= 0.01 <= far["0.01"]["high"]
    # Everybody moved to one of three places: 19 of 59 others are there, too.
    moved = (base.owners % 3)[:, None] * np.ones((1, 32), np.float32) * 10
    met = figures.stranger_figures(base, everything, moved)["0.001"]
    assert met["low"] < 19 / 59 < met["high"] and met["high"] - met["low"] < 0.1
    assert figures.linked_figures(base, everything, moved)["0.001"]["value"] == 1
    # Of two people's photos alone, some without a face.
    kept = np.flatnonzero(base.owners < 2)
    few = np.zeros((6, 32), np.float32)
    few[0] = np.nan
    share = figures.stranger_figures(base, kept, few)["0.001"]
    assert 0 < share["n"] <= 9 and share["value"] > 0.5


def test_pairs_of_two_people_are_all_there_once() -> None:
    owners = np.repeat(np.arange(10), 3)
    pairs = scores.pairs_of_two(owners)
    assert len(pairs) == len({frozenset(pair) for pair in pairs.tolist()}) == 30 * 29 // 2 - 10 * 3
    assert (owners[pairs[:, 0]] != owners[pairs[:, 1]]).all()
    first = np.bincount(pairs[:, 0], minlength=30)
    assert 0 < first.min() and first.max() < 27


def test_the_people_of_whom_targets_are_mixed(
    setup: tuple[figures.Ground, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    base, _ = setup
    everything = np.arange(180)
    assert figures.mixed_figures(base, everything, base.probes) is None
    random = np.random.default_rng(3)
    people = random.normal(0, 0.13, (200, 32)).astype(np.float32)
    known = dataclasses.replace(base, mixed=people)
    assert figures.mixed_figures(known, everything, people[everything])["0.001"]["value"] == 1
    # As far from them as the threshold is, more or less; and half without a face.
    near = people[:180] + random.normal(0, base.thresholds["0.01"] / np.sqrt(32), (180, 32))
    near[90:] = np.nan
    monkeypatch.setattr(scores, "BLOCK", 7 * people.size)
    nearest = euclidean(near[:90, None], people[None]).min(1)
    share = figures.mixed_figures(known, everything, near)["0.01"]
    assert share["value"] == pytest.approx((nearest < base.thresholds["0.01"]).sum() / 180, abs=1e-5)
    assert 0 < share["value"] < 0.5


def test_enrolled_protected_photos(setup: tuple[figures.Ground, np.ndarray]) -> None:
    base, _ = setup
    people = np.arange(60)
    same = figures.gallery_figures(base, base.templates, people)
    assert same["rank1"]["value"] == pytest.approx(base.clean.nearest.mean(), abs=1e-5)
    # Galleries that all lie far away match nobody; everyone else's clean one is nearer.
    far = figures.gallery_figures(base, base.templates + 10, people)
    assert far["rank1"]["value"] == far["match"]["0.01"]["value"] == 0
    # A person whose protected photos show no face has no gallery.
    gone = base.templates.copy()
    gone[3] = np.nan
    missing = figures.gallery_figures(base, gone, people)
    assert missing["rank1"]["value"] <= same["rank1"]["value"]


def test_groups_name_the_worst(setup: tuple[figures.Ground, np.ndarray]) -> None:
    base, _ = setup
    everything = np.arange(len(base.owners))
    near = base.owners < 10
    seen = np.where(near[:, None], base.templates[base.owners], np.nan).astype(np.float32)
    labels = {"tone": np.where(near, "tan", "light").tolist(), "size": ["large"] * 5 + ["small"] * 175}
    found = figures.group_figures(base, everything, seen, labels)
    assert found["tone"]["tan"]["value"] == 1 and found["tone"]["tan"]["n"] == 30
    assert found["tone"]["light"]["value"] == 0
    # The five large ones match, too, but are too few to say so.
    assert found["size"]["large"]["value"] == 1
    assert (found["worst"]["kind"], found["worst"]["group"]) == ("tone", "tan")


def test_strangers_are_drawn_evenly_and_never_of_one_person() -> None:
    photos, owners = crowd(300, 2, spread=0.0)
    impostors = Impostors(USUAL)
    scores.strangers(euclidean, photos, owners, impostors)
    assert 0.98 * 600 * scores.STRANGERS < impostors.pairs <= 600 * scores.STRANGERS
    # Photos of one person are the same here: a pair of them would be at distance 0.
    assert impostors.threshold(0.0) > 0.3
    every = euclidean(photos[:, None], photos[None])[owners[:, None] != owners[None]]
    assert impostors.threshold(0.1) == pytest.approx(np.quantile(every, 0.1), rel=0.01)


def test_pairs_of_one_person() -> None:
    owners = np.array([0, 1, 0, 0, 2, *[3] * 40])
    pairs = scores.pairs_of_one(owners)
    assert pairs[:3].tolist() == [[0, 2], [0, 3], [2, 3]]
    assert len(pairs) == 3 + 45 and (owners[pairs[:, 0]] == owners[pairs[:, 1]]).all()


def test_cost_and_memory_of_an_added_probe_are_constant() -> None:
    """From 100 to 10,000 probes; a whole matrix with its differences would take 300 MB."""
    galleries, _ = crowd(60, 1, seed=1)
    seconds, memory = {}, {}
    for count in (100, 1000, 10_000):
        probes, owners = np.tile(galleries, (167, 1))[:count], (np.arange(count) % 60)
        taken = []
        for _ in range(3):
            start = time.process_time()
            scores.compare(euclidean, probes, owners, galleries, impostors=Impostors(USUAL))
            taken.append(time.process_time() - start)
        tracemalloc.start()
        scores.compare(euclidean, probes, owners, galleries, impostors=Impostors(USUAL))
        memory[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        seconds[count] = min(taken)
    added = [(seconds[b] - seconds[a]) / (b - a) for a, b in ((100, 1000), (1000, 10_000))]
    assert added[1] < 2.5 * max(added[0], 1e-6), seconds
    # What each probe keeps is a distance and a bit; the rest is one block.
    assert memory[10_000] - memory[1000] < 64e6 and memory[10_000] < 100e6, memory
