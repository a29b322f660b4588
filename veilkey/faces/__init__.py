"""Find every face in a photo: box, 68 landmarks, and the way to the canonical crop and back."""

from veilkey.faces.face import Face, FaceFinder
from veilkey.faces.geometry import CROP_SIZE, canonical_transform, compose, crop, fit_similarity, invert, map_points

__all__ = [
    "CROP_SIZE",
    "Face",
    "FaceFinder",
    "canonical_transform",
    "compose",
    "crop",
    "fit_similarity",
    "invert",
    "map_points",
]
