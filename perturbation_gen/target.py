"""The synthetic identity that the secret draws: a mixture of training identities, the same for every recognizer."""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from mask_template.randomness import stream

MIXED = 4
LARGEST = 2.0
"""Nobody has more than so many times an even share of a mixture: no face is steered onto one real person."""
TARGET_WEIGHT = 0.7
"""How much nearing the target counts against leaving the own identity; more arrives nearer, less leaves farther."""
IDENTITIES_FILE = Path(__file__).parent / "weights" / "identities.h5"


@dataclass(frozen=True)
class IdentitySpace:
    """One recognizer's space: `mean` (D,) of all faces, and `identities` (K, D), the mean embedding of each person.

    Embeddings of strangers share a large mean (cosine 0.83 for dlib), so every direction is taken from it.
    `angular`: the recognizer compares embeddings by their angle, so they count here, and are meant, at length 1.
    """

    mean: np.ndarray
    identities: np.ndarray
    angular: bool = False

    def place(self, embedding: np.ndarray) -> np.ndarray:
        """An embedding (D,) as the recognizer compares it."""
        return _unit(embedding) if self.angular else embedding

    def direction(self, embedding: np.ndarray) -> np.ndarray:
        """Unit vector (D,) from the mean to an embedding (D,)."""
        return _unit(self.place(embedding) - self.mean)

    def target(self, mixture: np.ndarray) -> np.ndarray:
        """Unit vector (D,) from the mean to the synthetic identity of `mixture` (K,), weights of sum 1."""
        return _unit(mixture @ self.identities - self.mean)

    def slope(self, embedding: np.ndarray, wish: np.ndarray) -> np.ndarray:
        """Gradient (D,) in the embedding of the product of its direction with `wish` (D,)."""
        if not self.angular:
            return _turn(embedding - self.mean, wish)
        return _turn(embedding, _turn(_unit(embedding) - self.mean, wish))


def load_space(recognizer: str) -> IdentitySpace:
    """The identity space that ships for a recognizer."""
    with h5py.File(IDENTITIES_FILE, "r") as file:
        group = file[recognizer]
        mean, identities = (group[name][()].astype(np.float32) for name in ("mean", "identities"))
        return IdentitySpace(mean, identities, bool(group.attrs["angular"]))


def draw_mixture(secret: bytes, identities: int, mixed: int = MIXED) -> np.ndarray:
    """Weights (identities,) float32 of the identity that a secret draws: of so many people, their shares flat Dirichlet
    under the condition that none exceeds LARGEST / `mixed`."""
    return random_mixture(stream(secret, "identity"), identities, mixed)


def random_mixture(random: np.random.Generator, identities: int, mixed: int = MIXED) -> np.ndarray:
    """As `draw_mixture`, from any generator."""
    mixture = np.zeros(identities, np.float32)
    people = random.choice(identities, mixed, replace=False)
    while True:
        shares = random.dirichlet(np.ones(mixed))
        if shares.max() <= LARGEST / mixed:
            mixture[people] = shares
            return mixture


def pull(
    embedding: np.ndarray,
    own: np.ndarray,
    target: np.ndarray,
    space: IdentitySpace,
    target_weight: float = TARGET_WEIGHT,
) -> np.ndarray:
    """Descent direction (D,) of the identity loss at `embedding`; see `identity_loss`."""
    return space.slope(embedding, target_weight * target - own)


def identity_loss(embedding: np.ndarray, own: np.ndarray, target: np.ndarray, space: IdentitySpace) -> float:
    """Cosine to the own direction minus TARGET_WEIGHT times the cosine to the target, both unit vectors (D,)."""
    unit = space.direction(embedding)
    return float(unit @ own - TARGET_WEIGHT * (unit @ target))


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _turn(vector: np.ndarray, wish: np.ndarray) -> np.ndarray:
    """Gradient in `vector` of the product of its unit vector with `wish`."""
    length = np.linalg.norm(vector)
    unit = vector / length
    return (wish - (wish @ unit) * unit) / length
