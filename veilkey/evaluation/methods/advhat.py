"""AdvHat-style patch: a printed sticker on the forehead."""

import cv2
import numpy as np

from veilkey.evaluation.methods.base import Method, Outcome
from veilkey.evaluation.methods.region import Region
from veilkey.evaluation.methods.views import Views
from veilkey.evaluation.sample import Sample
from veilkey.faces import canonical_transform, compose, invert

TEXELS = (90, 40)
"""Width and height of the sticker: the authors' 900 x 400, at a tenth."""
CORNER, WIDTH = (72.5, 12.0), 110.0
"""Its upper left corner and its width in the canonical crop: the forehead, above the brows."""
STEPS = 40
STEP, MOMENTUM = 5 / 255, 0.9
SMOOTHNESS = 1e-4
"""Weight of the total variation, as theirs."""


class AdvHat(Method):
    """Komkov, Petiushko, "AdvHat: real-world adversarial attack on ArcFace Face ID system", 2019.

    Minimises the cosine to the own embedding plus the total variation of an opaque sticker, starting from grey, by
    signs of the gradient with momentum: their first stage, 40 steps where they take 100 or more, without the second
    stage and without what they do for print (bending, and random placement).
    """

    name = "advhat"
    title = "AdvHat forehead patch"
    uses_attacked = True

    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        region = Region.of(sample)
        views = Views(region, self.attacked)
        place = _place(region.landmarks)
        size = region.image.shape[1::-1]
        bare = region.image * (1 - cv2.warpAffine(np.ones((*TEXELS[::-1], 3), np.float32), place, size))
        sticker = np.full((*TEXELS[::-1], 3), 0.5, np.float32)
        momentum = np.zeros_like(sticker)
        seen = views.embed(bare + 255 * cv2.warpAffine(sticker, place, size))
        for _ in range(STEPS):
            image = bare + 255 * cv2.warpAffine(sticker, place, size)
            _, slope, seen = views.cosine(image, views.own, seen)
            # The transpose of the warp, as in `Views`.
            back = cv2.warpAffine(slope, place, TEXELS, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            wish = 255 * np.linalg.det(place[:, :2]) * back + SMOOTHNESS * _roughness_slope(sticker)
            momentum = MOMENTUM * momentum + (1 - MOMENTUM) * wish
            sticker = np.clip(sticker - STEP * np.sign(momentum), 0, 1).astype(np.float32)
        # Once more at the photo's own resolution.
        return Outcome(
            region.with_area(_stick(sample.image[region.area], sticker, sample.face.landmarks - region.origin))
        )


def _place(landmarks: np.ndarray) -> np.ndarray:
    """Sticker -> photo, (2, 3), for landmarks (68, 2) in the photo's pixels."""
    texel = WIDTH / TEXELS[0]
    return compose(invert(canonical_transform(landmarks)), np.array([[texel, 0, CORNER[0]], [0, texel, CORNER[1]]]))


def _stick(pixels: np.ndarray, sticker: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Pixels (H, W, 3) uint8 with the sticker (40, 90, 3), in 0..1, on the forehead above landmarks (68, 2)."""
    place, size = _place(landmarks), pixels.shape[1::-1]
    cover = cv2.warpAffine(np.ones_like(sticker), place, size)
    return np.rint(pixels * (1 - cover) + 255 * cv2.warpAffine(sticker, place, size)).astype(np.uint8)


def _roughness_slope(sticker: np.ndarray) -> np.ndarray:
    """Gradient of the total variation, the sum of absolute differences of neighbours, of a sticker (h, w, 3)."""
    slope = np.zeros_like(sticker)
    for axis in (0, 1):
        rise = np.sign(np.diff(sticker, axis=axis))
        slope += -np.diff(rise, axis=axis, prepend=0, append=0)
    return slope
