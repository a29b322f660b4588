"""Pixel confusion, the source paper's "p"."""

import cv2
import numpy as np

from veilkey.evaluation.methods.base import Method, Outcome
from veilkey.evaluation.methods.features import feature_areas
from veilkey.evaluation.sample import Sample


class PixelConfusion(Method):
    """Wang, Bai, Sun, Liu, "Privacy protection based on mask template", compare with it: the pixels of eyes, brows,
    nose and mouth trade places at random. Who knows the permutation gets the photo back."""

    name = "pixel-confusion"
    title = "pixel confusion (p)"

    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        mask = np.zeros(sample.image.shape[:2], np.uint8)
        for points in feature_areas(sample.face.landmarks):
            cv2.fillConvexPoly(mask, cv2.convexHull(np.rint(points).astype(np.int32)), 1)
        inside = mask.astype(bool)
        order = random.permutation(np.count_nonzero(inside))
        image, restored = sample.image.copy(), sample.image.copy()
        image[inside] = sample.image[inside][order]
        restored[inside] = image[inside][np.argsort(order)]
        return Outcome(image, restored)
