"""Where networks want the face in their square crop: landmarks (68, 2), size in pixels -> photo to crop, (2, 3)."""

import numpy as np

from veilkey.faces.geometry import fit_similarity, five_points

# Eye centres, nose tip and mouth corners in a crop of 112 pixels, as ArcFace (Deng et al. 2019) and what follows it
# were trained with.
ARCFACE_SIZE = 112
ARCFACE_POINTS = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
# Side of the upright square, relative to the larger side of the landmarks' box.
UPRIGHT_EXTENT = 1.35


def arcface(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Five points on ArcFace's template, scaled to `size`."""
    return fit_similarity(five_points(landmarks), ARCFACE_POINTS * (size / ARCFACE_SIZE))


def upright(landmarks: np.ndarray, size: int) -> np.ndarray:
    """An upright square around the landmarks' box, 1.35 times as large: close to a detector's box with a margin."""
    low, high = landmarks.min(0), landmarks.max(0)
    scale = size / (UPRIGHT_EXTENT * (high - low).max())
    shift = (size - 1) / 2 - scale * (low + high) / 2
    return np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])


TEMPLATES = {"arcface": arcface, "upright": upright}
