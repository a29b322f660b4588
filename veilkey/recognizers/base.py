"""What every recognizer offers: where it looks, what it sees there, and how it compares."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np


class Recognizer(ABC):
    """A face recognizer that judges. One subclass a file; `veilkey.recognizers.get` finds it by `name`."""

    name: ClassVar[str]
    dimension: ClassVar[int]
    input_size: ClassVar[int]
    """Side of the square aligned crop, in pixels."""
    threshold: ClassVar[float]
    """Usual threshold: two faces with a smaller distance count as one person."""
    install: ClassVar[str]
    """What to type when `is_available()` is false."""

    @classmethod
    @abstractmethod
    def is_available(cls) -> bool:
        """Whether the packages and files that it needs are here."""

    @abstractmethod
    def transform(self, landmarks: np.ndarray) -> np.ndarray:
        """Photo -> aligned crop, a (2, 3) similarity, for landmarks (68, 2) in photo pixels."""

    @abstractmethod
    def align(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """The aligned crop (input_size, input_size, 3) uint8 RGB that the recognizer itself would cut."""

    @abstractmethod
    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Embeddings (N, dimension) float32 of aligned crops (N, input_size, input_size, 3) uint8 RGB."""

    @abstractmethod
    def distance(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Distances between embeddings, over the last axis; compared with `threshold`."""

    def embed_face(self, image: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
        """Embedding (dimension,) of the face with these landmarks in `image` (H, W, 3) uint8 RGB."""
        return self.embed(self.align(image, landmarks)[None])[0]
