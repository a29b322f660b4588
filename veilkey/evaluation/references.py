"""Everyday changes that a reader knows, measured like methods: they say what a figure means."""

from abc import abstractmethod

import numpy as np

from veilkey.evaluation import transforms
from veilkey.evaluation.methods.base import Method, Outcome
from veilkey.evaluation.sample import Sample


class Reference(Method):
    """A transform of the whole photo. It protects nothing on purpose."""

    @staticmethod
    @abstractmethod
    def change(image: np.ndarray) -> np.ndarray:
        """The photo (H, W, 3) uint8 RGB, changed."""

    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        return Outcome(self.change(sample.image))


class Jpeg75(Reference):
    name, title = "jpeg75", "JPEG 75"

    @staticmethod
    def change(image: np.ndarray) -> np.ndarray:
        return transforms.jpeg(image, 75)


class Jpeg30(Reference):
    name, title = "jpeg30", "JPEG 30"

    @staticmethod
    def change(image: np.ndarray) -> np.ndarray:
        return transforms.jpeg(image, 30)


class Noise4(Reference):
    name, title = "noise4", "noise of ±4"

    @staticmethod
    def change(image: np.ndarray) -> np.ndarray:
        return transforms.noise(image, 4)


class Blur1(Reference):
    name, title = "blur1", "blur of 1 px"

    @staticmethod
    def change(image: np.ndarray) -> np.ndarray:
        return transforms.blur(image, 1.0)


REFERENCES: dict[str, type[Reference]] = {kind.name: kind for kind in (Jpeg75, Jpeg30, Noise4, Blur1)}
