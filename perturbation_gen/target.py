"""The synthetic identity that the secret draws: a mixture of training identities, the same for every recognizer."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from mask_template.randomness import stream

MIXED = 4
TARGET_WEIGHT = 2.0
"""How much nearing the target counts against leaving the own identity; with 2, photos of a person stay apart."""
IDENTITIES_FILE = Path(__file__).parent / "weights" / "identities.h5"


@dataclass(frozen=True)
class IdentitySpace:
    """One recognizer's space: `mean` (D,) of all faces, and `identities` (K, D), the mean embedding of each person.

    Embeddings of strangers share a large mean (cosine 0.83 for dlib), so every direction is taken from it.
    """

    mean: np.ndarray
    identities: np.ndarray

    def direction(self, embedding: np.ndarray) -> np.ndarray:
        """Unit vector (D,) from the mean to an embedding (D,)."""
        away = embedding - self.mean
        return away / np.linalg.norm(away)

    def target(self, mixture: np.ndarray) -> np.ndarray:
        """Unit vector (D,) from the mean to the synthetic identity of `mixture` (K,), weights of sum 1."""
        return self.direction(mixture @ self.identities)


def load_space(recognizer: str) -> IdentitySpace:
    """The identity space that ships for a recognizer."""
    with h5py.File(IDENTITIES_FILE, "r") as file:
        group = file[recognizer]
        return IdentitySpace(group["mean"][()].astype(np.float32), group["identities"][()].astype(np.float32))


def draw_mixture(secret: bytes, identities: int) -> np.ndarray:
    """Weights (identities,) float32 of the identity that a face's secret draws: four people, flat Dirichlet."""
    return random_mixture(stream(secret, "identity"), identities)


def random_mixture(random: np.random.Generator, identities: int) -> np.ndarray:
    """As `draw_mixture`, from any generator."""
    mixture = np.zeros(identities, np.float32)
    mixture[random.choice(identities, MIXED, replace=False)] = random.dirichlet(np.ones(MIXED))
    return mixture


def pull(embedding: np.ndarray, own: np.ndarray, target: np.ndarray, space: IdentitySpace) -> np.ndarray:
    """Descent direction (D,) of the identity loss at `embedding`; see `identity_loss`."""
    away = embedding - space.mean
    length = np.linalg.norm(away)
    unit = away / length
    wish = TARGET_WEIGHT * target - own
    return (wish - (wish @ unit) * unit) / length


def identity_loss(embedding: np.ndarray, own: np.ndarray, target: np.ndarray, space: IdentitySpace) -> float:
    """Cosine to the own direction minus TARGET_WEIGHT times the cosine to the target, both unit vectors (D,)."""
    unit = space.direction(embedding)
    return float(unit @ own - TARGET_WEIGHT * (unit @ target))
