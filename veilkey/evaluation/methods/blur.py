"""Gaussian blur of the face box."""

import cv2
import numpy as np

from veilkey.carriers.noise import window
from veilkey.evaluation.methods.base import Method, Outcome
from veilkey.evaluation.sample import Sample

SIGMA = 0.1
"""Standard deviation, in longer sides of the face box."""


class Blur(Method):
    """What newsrooms and YouTube put over faces. McPherson, Shokri, Shmatikov, "Defeating image obfuscation with deep
    learning", 2016, judge it: a network that was trained on blurred faces still tells people apart."""

    name = "blur"
    title = "Gaussian blur"

    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        image = sample.image.copy()
        face = image[window(sample.face.box)]
        sigma = SIGMA * max(face.shape[:2])
        face[:] = cv2.GaussianBlur(face, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        return Outcome(image)
