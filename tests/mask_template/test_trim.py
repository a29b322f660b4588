import numpy as np
import pytest

from mask_template.grid import BLOCK, BLOCKS, CROP, GRID
from mask_template.template import Template, superpose
from mask_template.trim import conflict, trim

RANDOM = np.random.default_rng(0)


def template(recognizer: int, blocks: np.ndarray) -> Template:
    count = len(blocks)
    return Template(
        blocks.astype(np.uint16), np.full(count, recognizer, np.uint8), np.zeros(count, np.uint8), np.ones(count, "f4")
    )


def pixels(blocks: np.ndarray) -> np.ndarray:
    """Mask (256, 256) bool of blocks."""
    grid = np.isin(np.arange(BLOCKS), blocks).reshape(GRID, GRID)
    return grid.repeat(BLOCK, 0).repeat(BLOCK, 1)


def test_conflict_is_between_directions_not_lengths() -> None:
    one = RANDOM.normal(size=(CROP, CROP, 3)).astype(np.float32)
    assert conflict(one[None]).shape == (BLOCKS,) and conflict(one[None]).dtype == np.float32
    for others, expected in (([one], 0), ([7 * one], 0), ([-one], 1), ([0 * one], 0), ([one, -2 * one], 2 / 3)):
        assert np.allclose(conflict(np.stack([one, *others])), expected, atol=1e-5)
    # Directions that have nothing to do with each other: the sum of R unit vectors is about as long as R's root.
    independent = conflict(RANDOM.normal(size=(4, CROP, CROP, 3)))
    assert abs(independent.mean() - 0.5) < 0.02
    assert not conflict(np.zeros((3, CROP, CROP, 3))).any()


def test_the_blocks_in_conflict_go_first() -> None:
    blocks = RANDOM.permutation(BLOCKS)[:800]
    both = superpose([template(0, blocks[:500]), template(1, blocks[300:])])
    odd = blocks[250:350]  # some chosen by one recognizer, some by both
    slopes = RANDOM.normal(size=(1, CROP, CROP, 3)).repeat(2, axis=0)
    slopes[1, pixels(odd)] *= -1
    left = trim(both, slopes, 100 / 800)
    assert set(left.blocks) == set(blocks) - set(odd)
    assert set(left.blocks[left.recognizer == 0]) == set(blocks[:250]) | set(blocks[350:500])
    assert set(left.blocks[left.recognizer == 1]) == set(blocks[350:])
    assert len(np.unique(trim(both, slopes, 0.5).blocks)) == 400
    assert np.array_equal(trim(both, slopes, 0).blocks, both.blocks)


def test_shares_that_leave_nothing_are_refused() -> None:
    one = template(0, np.arange(500))
    for share in (1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="share"):
            trim(one, np.zeros((1, CROP, CROP, 3)), share)
