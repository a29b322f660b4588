import numpy as np
import pytest

from mask_template.grid import BLOCK, BLOCKS, CROP, GRID, GROUPS
from perturbation_gen.sigma import sigma_map

SIGMA = dict(zip(GROUPS, np.linspace(0.5, 1.0, len(GROUPS)), strict=True))


@pytest.fixture
def groups() -> np.ndarray:
    """Stripes of 8 blocks, so that most of a stripe is away from its edges."""
    return (np.arange(BLOCKS) % GRID // 8 % len(GROUPS)).astype(np.uint8)


@pytest.mark.parametrize("scale", [0.25, 1.0, 2.0])
def test_each_block_gets_the_share_of_its_group(groups: np.ndarray, scale: float) -> None:
    """On lattices of other resolutions, too, whose points lie where resizing puts them."""
    side = round(CROP * scale)
    to_lattice = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]])
    shares = sigma_map(SIGMA, groups, to_lattice, (side, side))[..., 0]
    wide = round(BLOCK * scale)
    middles = shares.reshape(GRID, wide, GRID, wide).mean((1, 3))
    expected = np.array([SIGMA[name] for name in GROUPS])[groups].reshape(GRID, GRID)
    away_from_edges = np.isin(np.arange(GRID) % 8, range(1, 7))
    assert np.abs(middles - expected)[:, away_from_edges].max() < 1e-3


def test_beyond_the_crop_its_edge_counts(groups: np.ndarray) -> None:
    to_lattice = np.array([[1.0, 0, 40], [0, 1.0, 40]])
    shares = sigma_map(SIGMA, groups, to_lattice, (CROP + 80, CROP + 80))
    assert shares[0, 0] == pytest.approx(SIGMA[GROUPS[groups[0]]])
    assert shares[-1, -1] == pytest.approx(SIGMA[GROUPS[groups[-1]]])
