"""tau: how much more, or less, a recognizer makes of a feature group than a distribution over the blocks says.

Fitted from what hiding the groups costs, so that a black box will do: it is asked for embeddings and nothing else.
"""

import numpy as np

from mask_template.grid import BLOCK, GRID, GROUPS
from mask_template.truth import blur


def group_masses(distribution: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """What a distribution (4096,) gives each of GROUPS, (6,) float64, for blocks of these `groups` (4096,) uint8."""
    return np.bincount(groups, distribution, len(GROUPS))


def hide_groups(crop: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """A canonical crop (256, 256, 3) uint8, then the crop with each of GROUPS blurred alone: (7, 256, 256, 3) uint8."""
    grid = groups.reshape(GRID, GRID).repeat(BLOCK, 0).repeat(BLOCK, 1)
    dull = blur(crop)
    return np.stack([crop, *(np.where((grid == g)[..., None], dull, crop) for g in range(len(GROUPS)))])


def occlusion_shares(embeddings: np.ndarray) -> np.ndarray:
    """Share of each group in what hiding the groups one by one costs of the likeness: (N, 6), rows of sum 1.

    `embeddings` (N, 7, D) of `hide_groups`' pictures of N faces. Likeness is the cosine to the embedding of the whole
    face, taken from the mean of all N; what a face gains by hiding a group counts as nothing, and the row of a face
    that hiding costs nothing is 0.
    """
    away = embeddings - embeddings[:, :1].mean(0)
    away /= np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-12)
    cost = np.maximum(1 - (away[:, 1:] * away[:, :1]).sum(-1), 0)
    return cost / np.maximum(cost.sum(1, keepdims=True), 1e-12)


def fit(masses: np.ndarray, shares: np.ndarray) -> dict[str, float]:
    """The weights >= 0, one a group, that bring masses (N, 6) of N faces nearest to shares (N, 6), by least squares.

    Non-negative least squares of Lawson and Hanson, "Solving least squares problems", 1974.
    """
    # Only fitting needs scipy, which is slow to load.
    from scipy.optimize import nnls

    rows = masses[:, :, None] * np.eye(len(GROUPS))
    weights, _ = nnls(rows.reshape(-1, len(GROUPS)), shares.ravel())
    return {name: round(float(weight), 4) for name, weight in zip(GROUPS, weights, strict=True)}
