"""What every recognizer offers: where it looks, what it sees there, and how it compares."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import numpy as np

from veilkey.faces.geometry import crop
from veilkey.recognizers import store


class Recognizer(ABC):
    """A face recognizer that judges. One subclass a file; `veilkey.recognizers.get` finds it by `name`."""

    name: str
    dimension: int
    input_size: int
    """Side of the square aligned crop, in pixels."""
    metric: Literal["cosine", "euclidean"]
    """How embeddings compare: 1 - cosine, in 0..2, or the length of their difference."""
    threshold: float
    """Usual threshold: two faces with a smaller distance count as one person. The subclass says where it is from."""

    @classmethod
    def is_available(cls) -> bool:
        """Whether the files that it needs are here."""
        return store.is_installed(cls.name)

    @abstractmethod
    def transform(self, landmarks: np.ndarray) -> np.ndarray:
        """Photo -> aligned crop, a (2, 3) similarity, for landmarks (68, 2) in photo pixels."""

    def align(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """The aligned crop (input_size, input_size, 3) uint8 RGB of `image` (H, W, 3) uint8 RGB that it looks at."""
        return crop(image, self.transform(landmarks), self.input_size)

    @abstractmethod
    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Embeddings (N, dimension) float32 of aligned crops (N, input_size, input_size, 3) uint8 RGB.

        Of length 1 wherever lengths do not count, so that their mean over photos of a person means something.
        """

    def distance(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Distances between embeddings, over the last axis; compared with `threshold`."""
        if self.metric == "cosine":
            return 1 - (normalized(first) * normalized(second)).sum(-1)
        return np.linalg.norm(first - second, axis=-1)

    def embed_face(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Embedding (dimension,) of the face with these landmarks in `image` (H, W, 3) uint8 RGB."""
        return self.embed(self.align(image, landmarks)[None])[0]


def normalized(embeddings: np.ndarray) -> np.ndarray:
    """Embeddings (..., D), each divided by its length; a zero stays one."""
    return embeddings / np.maximum(np.linalg.norm(embeddings, axis=-1, keepdims=True), 1e-12)


def by_batches(run: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray, size: int) -> np.ndarray:
    """`run` over `inputs` (N, ...), N at least 1, always `size` at once, as networks of a fixed batch want it."""
    short = -len(inputs) % size
    filled = np.concatenate([inputs, np.repeat(inputs[-1:], short, axis=0)])
    # What `run` returns may be its own memory, which the next batch overwrites.
    outputs = [np.array(run(filled[start : start + size])) for start in range(0, len(filled), size)]
    return np.concatenate(outputs)[: len(inputs)]
