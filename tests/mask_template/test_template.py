from collections.abc import Callable, Sequence
from itertools import combinations

import cv2
import numpy as np
import pytest

from mask_template.grid import BLOCK, BLOCKS, CROP, GRID, GROUPS, block_groups, block_sums
from mask_template.network import HEADS, load_tau, predict
from mask_template.randomness import SECRET_BYTES, derive, stream
from mask_template.template import MAX_BLOCKS, Template, choose, fixed_point, mask_in_photo, superpose
from mask_template.truth import blur, truth
from veilkey import recognizers
from veilkey.faces import FaceFinder, compose, crop, invert, map_points
from veilkey.recognizers import names

SECRETS = [bytes([i]) * SECRET_BYTES for i in range(1, 5)]
FLAT_TAU = dict.fromkeys(GROUPS, 1.0)


@pytest.fixture(scope="module")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.fixture(scope="module")
def faced(finder: FaceFinder, close_up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Canonical crop (256, 256, 3), and landmarks (68, 2) in it."""
    (face,) = finder.find(close_up)
    return crop(close_up, face.transform), map_points(face.transform, face.landmarks)


@pytest.fixture(scope="module")
def distribution(faced: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return predict(faced[0])["dlib"]


@pytest.fixture(scope="module")
def templates(faced: tuple[np.ndarray, np.ndarray], distribution: np.ndarray) -> list[Template]:
    """The same face's template for four secrets."""
    groups = block_groups(faced[1])
    return [choose(distribution, groups, load_tau("dlib"), 0, secret) for secret in SECRETS]


def test_the_network_gives_each_recognizer_a_distribution(faced: tuple[np.ndarray, np.ndarray]) -> None:
    looks = predict(faced[0])
    assert tuple(looks) == HEADS == names()
    for distribution in looks.values():
        assert distribution.shape == (BLOCKS,) and distribution.dtype == np.float32
        assert distribution.min() >= 0
        assert abs(distribution.sum() - 1) < 1e-3
        assert distribution.max() > 4 / BLOCKS
    best = [set(np.argsort(-distribution)[:MAX_BLOCKS]) for distribution in looks.values()]
    for one, other in combinations(best, 2):
        assert 0.3 * MAX_BLOCKS < len(one & other) < MAX_BLOCKS


@pytest.mark.parametrize("name", HEADS)
def test_tau_has_a_weight_for_each_group(name: str) -> None:
    tau = load_tau(name)
    assert tuple(tau) == GROUPS
    assert all(np.isfinite(weight) and weight > 0 for weight in tau.values())


def test_features_lie_where_the_landmarks_are(faced: tuple[np.ndarray, np.ndarray]) -> None:
    landmarks = faced[1]
    groups = block_groups(landmarks).reshape(GRID, GRID)
    for name, points in {"eyes": range(36, 48), "brows": range(17, 27), "mouth": range(48, 60)}.items():
        at = (landmarks[list(points)] / BLOCK).astype(int)
        inside = groups[at[:, 1], at[:, 0]] == GROUPS.index(name)
        assert inside.mean() > 0.8, name
    assert groups[0, 0] == GROUPS.index("other")
    assert set(np.unique(groups)) == set(range(len(GROUPS)))


def test_groups_of_landmarks_outside_the_crop() -> None:
    groups = block_groups(np.random.default_rng(0).uniform(-300, 600, (68, 2)))
    assert groups.shape == (BLOCKS,) and groups.max() < len(GROUPS)


def test_block_sums_are_sums() -> None:
    values = np.random.default_rng(0).normal(size=(CROP, CROP))
    sums = block_sums(values)
    assert np.isclose(sums[3, 60], values[12:16, 240:244].sum())
    assert np.isclose(sums.sum(), values.sum())


def test_a_template_is_500_different_blocks(templates: list[Template]) -> None:
    for template in templates:
        assert len(template.blocks) == MAX_BLOCKS == len(np.unique(template.blocks))
        assert template.blocks.dtype == np.uint16 and template.blocks.max() < BLOCKS
        assert template.group.max() < len(GROUPS)
        tau = load_tau("dlib")
        assert np.allclose(template.tau, [tau[GROUPS[group]] for group in template.group])


def test_the_secret_and_it_alone_decides(
    faced: tuple[np.ndarray, np.ndarray], distribution: np.ndarray, templates: list[Template]
) -> None:
    groups = block_groups(faced[1])
    again = choose(distribution, groups, load_tau("dlib"), 0, SECRETS[0])
    assert np.array_equal(again.blocks, templates[0].blocks)
    for other in templates[1:]:
        shared = len(np.intersect1d(other.blocks, templates[0].blocks))
        assert 0.3 * MAX_BLOCKS < shared < 0.95 * MAX_BLOCKS
    other = choose(distribution, groups, load_tau("dlib"), 1, SECRETS[0])
    assert np.all(other.recognizer == 1)
    assert not np.array_equal(other.blocks, templates[0].blocks)


def test_likely_blocks_are_chosen(distribution: np.ndarray, templates: list[Template]) -> None:
    for template in templates:
        chosen = np.isin(np.arange(BLOCKS), template.blocks)
        assert distribution[chosen].mean() > 3 * distribution[~chosen].mean()


def test_tau_weighs_groups() -> None:
    groups = np.repeat(np.arange(6, dtype=np.uint8), BLOCKS // 6 + 1)[:BLOCKS]
    flat = np.full(BLOCKS, 1 / BLOCKS, np.float32)
    even = choose(flat, groups, FLAT_TAU, 0, SECRETS[0])
    mouth = choose(flat, groups, {**FLAT_TAU, "mouth": 20.0}, 0, SECRETS[0])
    share = [(template.group == GROUPS.index("mouth")).mean() for template in (even, mouth)]
    assert share[0] < 0.3 and share[1] > 0.8


def test_the_mask_shows_the_blocks(templates: list[Template]) -> None:
    template = templates[0]
    mask = template.to_mask()
    assert mask.shape == (CROP, CROP) and mask.sum() == MAX_BLOCKS * BLOCK**2
    y, x = divmod(int(template.blocks[123]), GRID)
    assert mask[y * BLOCK : (y + 1) * BLOCK, x * BLOCK : (x + 1) * BLOCK].all()
    assert np.array_equal(template.to_mask(64).repeat(2, 0).repeat(2, 1), template.to_mask(128))
    with pytest.raises(ValueError, match="multiple of 64"):
        template.to_mask(100)


def test_superposition_keeps_recognizers_apart(
    faced: tuple[np.ndarray, np.ndarray], distribution: np.ndarray, templates: list[Template]
) -> None:
    second = choose(distribution, block_groups(faced[1]), FLAT_TAU, 1, SECRETS[1])
    both = superpose([templates[0], second])
    assert len(both.blocks) == 2 * MAX_BLOCKS
    assert np.array_equal(both.to_mask(), templates[0].to_mask() | second.to_mask())
    for index, one in enumerate([templates[0], second]):
        rows = both.recognizer == index
        for name in ("blocks", "recognizer", "group", "tau"):
            assert np.array_equal(getattr(both, name)[rows], getattr(one, name))


def turned(scale: float, degrees: float, x: float, y: float) -> np.ndarray:
    turn = np.deg2rad(degrees)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return np.column_stack([linear, np.array([128, 128]) - linear @ [x, y]])


@pytest.mark.parametrize(
    ("transform", "region"),
    [
        (turned(1, 0, 128, 128), (0, 0, 256, 256)),
        (turned(0.31, 17, 900, 500), (500, 100, 800, 800)),
        (turned(2.4, -50, 60, 60), (0, 0, 120, 130)),
        (turned(0.05, 170, 4000, 3000), (3500, 2500, 300, 200)),
    ],
)
def test_the_mask_in_the_photo(templates: list[Template], transform: np.ndarray, region: tuple) -> None:
    """Integer arithmetic against floating point: the same but for pixels whose centre is on a block's edge."""
    x, y, width, height = region
    mask = mask_in_photo(templates[0].blocks, fixed_point(transform), region)
    assert mask.shape == (height, width)
    rows, columns = np.mgrid[y : y + height, x : x + width]
    at = map_points(transform, np.stack([columns, rows], -1).reshape(-1, 2).astype(float)) + 0.5
    block = np.floor(at / BLOCK).astype(int)
    inside = np.all((block >= 0) & (block < GRID), axis=1)
    chosen = np.isin(block[:, 1] * GRID + block[:, 0], templates[0].blocks) & inside
    edge = (np.abs(at / BLOCK - np.rint(at / BLOCK)) < 0.03).any(1)
    assert edge.mean() < 0.3 or region == (0, 0, 256, 256)
    assert np.array_equal(mask.ravel()[~edge], chosen[~edge])
    assert mask.any()


def test_the_mask_in_a_crop_is_the_templates(templates: list[Template]) -> None:
    mask = mask_in_photo(templates[0].blocks, fixed_point(np.eye(2, 3)), (0, 0, CROP, CROP))
    assert np.array_equal(mask, templates[0].to_mask())


def test_the_mask_of_a_part_is_part_of_the_mask(templates: list[Template]) -> None:
    transform = fixed_point(turned(0.4, 12, 300, 300))
    whole = mask_in_photo(templates[0].blocks, transform, (0, 0, 600, 600))
    part = mask_in_photo(templates[0].blocks, transform, (123, 77, 301, 299))
    assert np.array_equal(part, whole[77 : 77 + 299, 123 : 123 + 301])


def test_streams_are_independent_and_repeatable() -> None:
    numbers = {
        (secret, purpose): stream(secret, purpose).normal(size=2000)
        for secret in SECRETS[:2]
        for purpose in ("noise", "template 0")
    }
    for key, values in numbers.items():
        assert np.array_equal(values, stream(*key).normal(size=2000))
    assert np.abs(np.corrcoef(list(numbers.values())) - np.eye(4)).max() < 0.1
    # The same on every machine and with every later version: an old key's secret must keep its meaning.
    assert stream(bytes(32), "noise").integers(0, 1000, 5).tolist() == STREAM_OF_ZEROS
    with pytest.raises(ValueError, match="32 bytes"):
        stream(b"short", "noise")


STREAM_OF_ZEROS = [365, 337, 911, 335, 699]


def test_derived_secrets_differ() -> None:
    derived = {derive(secret, f"face {i}") for secret in SECRETS for i in range(3)}
    assert len(derived) == 3 * len(SECRETS)
    assert not derived & set(SECRETS)
    assert all(len(secret) == SECRET_BYTES for secret in derived)


def test_truth_is_a_distribution_where_the_recognizer_looks(faced: tuple[np.ndarray, np.ndarray]) -> None:
    attribution = np.zeros((GRID, GRID), np.float32)
    attribution[40:44, 30:34] = 1
    attribution[:10, :10] = -5
    found = truth(attribution, faced[1]).reshape(GRID, GRID)
    assert found.min() >= 0 and abs(found.sum() - 1) < 1e-5
    assert found[38:46, 28:36].sum() > 0.7
    assert found[:8, :8].sum() < 1e-3


def test_the_template_stays_with_the_face(finder: FaceFinder, close_up: np.ndarray, distribution: np.ndarray) -> None:
    """Equation 2 of the paper: the same face at another scale, shifted or rolled, has much the same template."""
    best = np.argsort(-distribution)[:MAX_BLOCKS]
    for scale, degrees in [(0.6, 0), (2.5, 0), (1.0, 12)]:
        change = turned(scale, degrees, 128, 128)
        change[:, 2] = np.array([128, 128]) * scale - change[:, :2] @ [128, 128]
        side = round(256 * scale)
        changed = cv2.warpAffine(close_up, change, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
        face = finder.find(changed)[0]
        there = np.argsort(-predict(crop(changed, face.transform))["dlib"])[:MAX_BLOCKS]
        assert len(np.intersect1d(best, there)) > 0.6 * MAX_BLOCKS


@pytest.mark.parametrize("name", ["dlib", "sface"])
def test_it_has_learned_where_the_recognizer_looks(
    name: str, finder: FaceFinder, some_faces: Callable[[int], Sequence[np.ndarray]]
) -> None:
    """Blurring its head's blocks costs a recognizer's likeness more than blurring as many of the face at random."""
    judge, random = recognizers.get(name), np.random.default_rng(0)
    size = (judge.input_size, judge.input_size)
    gains = []
    for photo in some_faces(12):
        face = max(finder.find(photo), key=lambda found: found.box[2], default=None)
        if face is None:
            continue
        clean = crop(photo, face.transform)
        landmarks = map_points(face.transform, face.landmarks)
        hull = cv2.fillConvexPoly(
            np.zeros((GRID, GRID), np.uint8), cv2.convexHull(np.rint(landmarks / BLOCK).astype(np.int32)), 1
        )
        own = np.argsort(-predict(clean)[name])[:MAX_BLOCKS]
        on_face = np.flatnonzero(hull.ravel())
        chance = [random.choice(on_face, min(MAX_BLOCKS, len(on_face)), replace=False) for _ in range(3)]
        to_input = compose(judge.transform(face.landmarks), invert(face.transform))
        seen = [clean, *(blurred(clean, blocks) for blocks in (own, *chance))]
        first, *others = judge.embed(np.stack([cv2.warpAffine(x, to_input, size) for x in seen]))
        lost = [float(judge.distance(first, other)) for other in others]
        gains.append(lost[0] - np.mean(lost[1:]))
    assert np.mean(gains) > 0.02


def blurred(image: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    grid = np.zeros(BLOCKS, bool)
    grid[blocks] = True
    mask = grid.reshape(GRID, GRID).repeat(BLOCK, 0).repeat(BLOCK, 1)
    return np.where(mask[..., None], blur(image), image)
