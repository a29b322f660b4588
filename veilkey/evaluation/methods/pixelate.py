"""Pixelation (mosaicing) of the face box."""

import cv2
import numpy as np

from veilkey.carriers.noise import window
from veilkey.evaluation.methods.base import Method, Outcome
from veilkey.evaluation.sample import Sample

BLOCKS = 8
"""Blocks along the longer side of the face box."""


class Pixelate(Method):
    """Squares of one colour. McPherson, Shokri, Shmatikov, "Defeating image obfuscation with deep learning", 2016,
    judge such mosaics: a network that was trained on them still tells people apart."""

    name = "pixelate"
    title = "pixelation"

    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        image = sample.image.copy()
        face = image[window(sample.face.box)]
        height, width = face.shape[:2]
        block = max(height, width) / BLOCKS
        size = (max(1, round(width / block)), max(1, round(height / block)))
        small = cv2.resize(face, size, interpolation=cv2.INTER_AREA)
        face[:] = cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
        return Outcome(image)
