"""Feature-area twist, the source paper's "pressure"."""

import numpy as np

from veilkey.evaluation.methods.base import Method, Outcome
from veilkey.evaluation.methods.features import feature_areas
from veilkey.evaluation.methods.region import Region
from veilkey.evaluation.sample import Sample

STRENGTH = 4.0
"""Turn at an area's centre, in radians."""
REACH = 2.5
"""Where the turn has died out, in half the area's longer side; most of it is over far before."""


class Twist(Method):
    """Wang, Bai, Sun, Liu, "Privacy protection based on mask template", compare with it: eyes, nose and mouth are each
    turned around their centre, less and less towards the edge. Turned back, they lack what interpolation lost."""

    name = "twist"
    title = "feature twist (pressure)"

    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        region = Region.of(sample)
        areas = feature_areas(sample.face.landmarks - region.origin)
        pixels = _turn(sample.image[region.area], areas, STRENGTH)
        return Outcome(region.with_area(pixels), region.with_area(_turn(pixels, areas[::-1], -STRENGTH)))


def _turn(pixels: np.ndarray, areas: list[np.ndarray], strength: float) -> np.ndarray:
    from skimage.transform import swirl

    turned = pixels.astype(np.float64)
    for points in areas:
        centre = (points.min(0) + points.max(0)) / 2
        radius = REACH * np.ptp(points, axis=0).max() / 2
        turned = swirl(turned, centre, strength, radius, mode="edge", preserve_range=True)
    return np.clip(np.rint(turned), 0, 255).astype(np.uint8)
