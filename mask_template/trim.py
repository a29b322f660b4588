"""Trimming: leaving out the blocks on which recognizers want different things (the paper's feature confusion)."""

import numpy as np

from mask_template.grid import BLOCK, BLOCKS, GRID
from mask_template.template import Template


def conflict(slopes: np.ndarray) -> np.ndarray:
    """How far recognizers are at odds over each block, (4096,) float32: 0 where all pull one way, 1 where they cancel.

    1 - |the sum of the unit gradients of the block| / the number of recognizers that see it. `slopes` (R, 256, 256, 3)
    is each recognizer's descent direction on the canonical crop, of any length; one that is zero on a block does not
    see it.
    """
    count = len(slopes)
    blocks = slopes.reshape(count, GRID, BLOCK, GRID, BLOCK, 3).swapaxes(2, 3).reshape(count, BLOCKS, -1)
    lengths = np.linalg.norm(blocks, axis=-1, keepdims=True)
    units = np.divide(blocks, lengths, out=np.zeros_like(blocks), where=lengths > 0)
    seen = np.count_nonzero(lengths[..., 0], axis=0)
    together = np.linalg.norm(units.sum(0), axis=-1)
    return np.where(seen > 0, 1 - together / np.maximum(seen, 1), 0).astype(np.float32)


def trim(template: Template, slopes: np.ndarray, share: float) -> Template:
    """A superposed template without the `share`, at least 0 and below 1, of its blocks that conflict most.

    A block that several recognizers chose counts once, and stays or goes for all of them. `slopes` as in `conflict`.
    """
    if not 0 <= share < 1:
        raise ValueError(f"`share` must be at least 0 and below 1. Received: {share}")
    blocks = np.unique(template.blocks)
    most_first = blocks[np.argsort(-conflict(slopes)[blocks], kind="stable")]
    stays = np.isin(template.blocks, most_first[round(share * len(blocks)) :])
    return Template(template.blocks[stays], template.recognizer[stays], template.group[stays], template.tau[stays])
