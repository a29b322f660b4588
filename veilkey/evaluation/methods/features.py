"""The areas of a face that the paper's own methods work on: eyes with their brows, nose, mouth."""

import numpy as np

# Which of the 68 landmarks are around each.
_RIGHT_EYE, _LEFT_EYE = [*range(17, 22), *range(36, 42)], [*range(22, 27), *range(42, 48)]
_NOSE, _MOUTH = list(range(27, 36)), list(range(48, 60))


def feature_areas(landmarks: np.ndarray) -> list[np.ndarray]:
    """Points (K, 2) float64 around the right and left eye with the brow, the nose, and the mouth.

    `landmarks` are (68, 2) in pixels, as the points are.
    """
    return [landmarks[area] for area in (_RIGHT_EYE, _LEFT_EYE, _NOSE, _MOUTH)]
