"""Groups of photos by skin tone and face size: a mean can hide whom a method fails.

Skin tone is the individual typology angle (Chardon, Cretois, Hourseau 1991), arctan((L* - 50) / b*) in degrees, of the
cheeks' median colour, with the usual limits (Del Bino, Bernerd 2013). It sees light and camera as well as skin: it is
an estimate for a group, never a statement about a person.
"""

import cv2
import numpy as np

from veilkey.faces import Face

# Least angle of each class, in degrees.
ITA_LIMITS = (
    (55.0, "very light"),
    (41.0, "light"),
    (28.0, "intermediate"),
    (10.0, "tan"),
    (-30.0, "brown"),
    (-np.inf, "dark"),
)
GREY = "grey photo"
# Least longer side of the face box of each class, in pixels.
SIZE_LIMITS = ((256, "256 px or more"), (128, "128 to 255 px"), (64, "64 to 127 px"), (0, "under 64 px"))
# Of the 68 landmarks: from the jaw over the mouth's corner to the nose, below the eyes.
CHEEKS = ([1, 2, 3, 4, 48, 31], [15, 14, 13, 12, 54, 35])
# A group with fewer photos says nothing alone.
LEAST = 10


def skin_tone(image: np.ndarray, face: Face) -> float | None:
    """The angle in degrees for a photo (H, W, 3) uint8 RGB; None where the photo is grey or shows no cheek."""
    from skimage.color import rgb2lab

    mask = np.zeros(image.shape[:2], np.uint8)
    for cheek in CHEEKS:
        cv2.fillPoly(mask, [np.rint(face.landmarks[cheek]).astype(np.int32)], 1)
    pixels = image[mask > 0]
    if not len(pixels) or (np.ptp(pixels.astype(int), axis=1) == 0).all():
        return None
    lightness, _, blue_yellow = np.median(rgb2lab(pixels[None])[0], axis=0)
    return float(np.degrees(np.arctan2(lightness - 50, blue_yellow)))


def tone_group(angle: float | None) -> str:
    """Name of the class of an angle."""
    return GREY if angle is None else next(name for least, name in ITA_LIMITS if angle > least)


def size_group(box: tuple[int, int, int, int]) -> str:
    """Name of the class of a face box (x, y, w, h)."""
    return next(name for least, name in SIZE_LIMITS if max(box[2:]) >= least)
