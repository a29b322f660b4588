import numpy as np

from mask_template.grid import BLOCK, BLOCKS, CROP, GRID, GROUPS
from mask_template.tau import fit, group_masses, hide_groups, occlusion_shares
from mask_template.truth import blur

RANDOM = np.random.default_rng(0)
GROUP_OF = RANDOM.integers(0, len(GROUPS), BLOCKS).astype(np.uint8)


def test_masses_are_what_the_groups_hold() -> None:
    distribution = RANDOM.dirichlet(np.ones(BLOCKS)).astype(np.float32)
    masses = group_masses(distribution, GROUP_OF)
    assert np.isclose(masses.sum(), 1, atol=1e-5)
    assert np.isclose(masses[2], distribution[GROUP_OF == 2].sum())
    # A group that no block shows has none.
    assert group_masses(distribution, np.minimum(GROUP_OF, 4)).shape == (len(GROUPS),)
    assert group_masses(distribution, np.minimum(GROUP_OF, 4))[5] == 0


def test_each_group_is_hidden_alone(close_up: np.ndarray) -> None:
    pictures = hide_groups(close_up, GROUP_OF)
    assert pictures.shape == (1 + len(GROUPS), CROP, CROP, 3) and pictures.dtype == np.uint8
    assert np.array_equal(pictures[0], close_up)
    dull = blur(close_up)
    for group, picture in enumerate(pictures[1:]):
        hidden = (GROUP_OF == group).reshape(GRID, GRID).repeat(BLOCK, 0).repeat(BLOCK, 1)
        assert np.array_equal(picture[hidden], dull[hidden])
        assert np.array_equal(picture[~hidden], close_up[~hidden])


def test_shares_say_which_group_counts() -> None:
    """Faces in many directions; hiding group 1 turns the embedding by 0.3 radians, group 4 by 0.1, others not."""
    faces = RANDOM.normal(size=(400, 32))
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    aside = RANDOM.normal(size=faces.shape)
    aside -= (aside * faces).sum(1, keepdims=True) * faces
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    turns = np.array([0, 0, 0.3, 0, 0, 0.1, 0])
    seen = faces[:, None] * np.cos(turns)[:, None] + aside[:, None] * np.sin(turns)[:, None]
    shares = occlusion_shares(seen + 5.0)  # what all have in common does not count
    assert np.allclose(shares.sum(1), 1)
    assert np.allclose(shares.mean(0), np.array([0, 0.9, 0, 0, 0.1, 0]), atol=0.01)
    assert occlusion_shares(np.repeat(seen[:, :1], 7, axis=1)).max() < 1e-3


def test_a_known_tau_is_found_again() -> None:
    tau = dict(zip(GROUPS, (1.4, 0.7, 0.0, 2.0, 0.5, 0.9), strict=True))
    masses = RANDOM.dirichlet(np.ones(len(GROUPS)), 50)
    found = fit(masses, masses * list(tau.values()) + RANDOM.normal(0, 0.01, masses.shape))
    assert tuple(found) == GROUPS
    assert np.allclose(list(found.values()), list(tau.values()), atol=0.05)
    # Where a group works against likeness the weight is 0, never less.
    assert min(fit(masses, masses * [-1, 1, 1, 1, 1, 1]).values()) == 0
