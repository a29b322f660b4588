"""Find every face in a photo: box, 68 landmarks, and the way to the canonical crop and back.

What finds them needs dlib, so it is loaded when it is asked for; the way there and back does not.
"""

from typing import TYPE_CHECKING, Any

from veilkey.faces.geometry import CROP_SIZE, canonical_transform, compose, crop, fit_similarity, invert, map_points

if TYPE_CHECKING:
    from veilkey.faces.face import Face, FaceFinder

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


def __getattr__(name: str) -> Any:
    if name not in ("Face", "FaceFinder"):
        raise AttributeError(name)
    from veilkey.faces import face

    return getattr(face, name)
