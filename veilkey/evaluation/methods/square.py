"""Square Attack: random search, no gradient, against the recognizers themselves."""

from collections.abc import Callable, Sequence

import numpy as np

from veilkey.evaluation.methods.base import Method, Outcome
from veilkey.evaluation.methods.region import Region
from veilkey.evaluation.methods.views import recognizer
from veilkey.evaluation.sample import Sample

QUERIES = 50
"""Photos shown to each recognizer, besides the clean one."""
SHARE = 0.05
"""Of the pixels, in the first square."""
HALVED = 10
"""After so many queries the share is halved, as in their schedule, which then keeps it up to the 50th."""


class Square(Method):
    """Andriushchenko, Croce, Flammarion, Hein, "Square Attack: a query-efficient black-box adversarial attack via
    random search", 2020, the L-infinity variant.

    Vertical stripes of +-eps, then squares of +-eps, each kept when the mean distance to the clean face grows: the
    first 50 of their usual 10,000 queries, no more. eps is that of the stripes which use up the budget; the end is
    scaled to it.
    """

    name = "square"
    title = "Square Attack"
    bounded = True
    uses_attacked = True

    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        region = Region.of(sample)
        distance = _distance(region, self.attacked)
        height, width = region.image.shape[:2]
        signs = np.array([-1, 1], np.float32)
        change = np.broadcast_to(random.choice(signs, (1, width, 3)), region.image.shape)
        _, eps = region.fit(change, self.ssim, random)
        change = change * np.float32(eps)
        best = distance(change)
        for query in range(1, QUERIES):
            share = SHARE if query <= HALVED else SHARE / 2
            side = int(np.clip(round(np.sqrt(share * height * width)), 1, min(height, width) - 1))
            y, x = random.integers(0, height - side + 1), random.integers(0, width - side + 1)
            trial = change.copy()
            trial[y : y + side, x : x + side] = eps * random.choice(signs, 3)
            reached = distance(trial)
            if reached > best:
                change, best = trial, reached
        image, _ = region.fit(change, self.ssim, random)
        return Outcome(image, queries=len(self.attacked) * (QUERIES + 1))


def _distance(region: Region, attacked: Sequence[str]) -> Callable[[np.ndarray], float]:
    """Distance to the clean face, in usual thresholds, the mean over recognizers, of a change (h, w, 3)."""
    judges = [recognizer(name) for name in attacked]

    def embed(change: np.ndarray | float) -> list[np.ndarray]:
        seen = np.clip(np.rint(region.image + change), 0, 255).astype(np.uint8)
        return [judge.embed_face(seen, region.landmarks) for judge in judges]

    clean = embed(0.0)

    def distance(change: np.ndarray) -> float:
        pairs = zip(judges, embed(change), clean, strict=True)
        return float(np.mean([judge.distance(now, before) / judge.threshold for judge, now, before in pairs]))

    return distance
