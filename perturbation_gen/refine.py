"""Refinement: gradient steps on the one photo, towards the secret's identity, inside the template and the budget."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np

from mask_template.truth import Gradient
from perturbation_gen.budget import Budget, grey, ssim_with_gradient, texture
from perturbation_gen.journey import PURIFIED_EVERY, Journey, draw_journey, purifier_at
from perturbation_gen.scene import Scene
from perturbation_gen.target import TARGET_WEIGHT, IdentitySpace, pull

STEP = 5.0
"""First step of Adam, in grey levels, where the image varies as much as TEXTURE."""
TEXTURE = 20.0
"""Local standard deviation, in grey levels, that hides a full step; steps are smaller on smooth skin."""
CHROMA = 0.25
"""How far colour follows the gradient; grey follows in full. Eyes mind colour more than recognizers do."""
FIRST_MOMENT, SECOND_MOMENT = 0.7, 0.95
VISIBLE_WEIGHT = 0.45
"""How much the gradient of visibility counts against the identity's when the budget is used up."""
MISSING_WEIGHT = 6.0
"""How strongly a recognizer counts more while its margin is missing: e to this power, from no distance to all of it."""
INERTIA = 0.5
"""Share of the distance seen before in the one that weights go by; each look goes through another journey."""
CALM = 4
"""So many steps in a row all must have kept their margins, each when it last looked, before the steps end early."""


@dataclass(frozen=True)
class Attacked:
    """One recognizer that the face is moved in.

    gradient: (input, v) -> (embedding, J^T v). to_input: (2, 3) lattice -> aligned input of `size` pixels.
    own_embedding: (D,) of the clean face by the same port. target: (D,) unit vector. distance: the recognizer's.
    leave: distance that a protected face should keep from its clean one; arrive: cosine to the target it should reach.
    target_weight: how much nearing the target counts against leaving. meets: faces meet at the target, as under a
    pseudonym; they come nearer to it where leaving goes on counting.
    """

    gradient: Gradient
    space: IdentitySpace
    to_input: np.ndarray
    size: int
    own_embedding: np.ndarray
    target: np.ndarray
    distance: Callable[[np.ndarray, np.ndarray], np.ndarray]
    leave: float
    arrive: float
    target_weight: float = TARGET_WEIGHT
    meets: bool = False

    @property
    def own(self) -> np.ndarray:
        """Unit vector (D,) to the clean face."""
        return self.space.direction(self.own_embedding)

    def travelled(self, embedding: np.ndarray) -> float:
        """Distance of an embedding (D,) from the clean face's."""
        return float(self.distance(self.space.place(embedding), self.space.place(self.own_embedding)))

    def pull(self, embedding: np.ndarray) -> np.ndarray:
        """Where an embedding (D,) should go: away from the clean face and to the target; from far enough away, to the
        target alone, or whoever pushes it away from where it is then would find it falling back."""
        if not self.meets and self.travelled(embedding) >= self.leave:
            return self.space.slope(embedding, self.target)
        return pull(embedding, self.own, self.target, self.space, self.target_weight)

    def satisfied(self, embedding: np.ndarray) -> bool:
        """Whether an embedding (D,) keeps both margins."""
        far = self.travelled(embedding) >= self.leave
        return bool(far and self.space.direction(embedding) @ self.target >= self.arrive)


def refine(
    scene: Scene,
    start: np.ndarray,
    attacked: list[Attacked],
    purifiers: Sequence[Journey],
    budget: Budget,
    steps: int,
    random: np.random.Generator,
) -> tuple[np.ndarray, int]:
    """Improve `start` (h, w, C) float32 by at most `steps` steps; returns the residual and how many were taken.

    At each step each recognizer sees the face a little moved and scaled, after a journey of its own through the world,
    at some of them as a purifier leaves it, and counts by how much of its margin is missing: of several, one gives way
    long before another, and must not spend the other's budget.
    The derivative of the loss is taken at the embedding of the last look, which saves a pass through the network. Each
    is asked as often as it counts: at every step if it counts for its share or more, at every other if for half of it.
    """
    room = texture(scene.image) / TEXTURE * scene.gate
    residual = scene.confine(start)
    first, second = np.zeros_like(residual), np.zeros_like(residual)
    opinions = [_Opinion(one, np.zeros_like(scene.image)) for one in attacked]
    calm = 0
    # Regular, as by chance some photos would hardly ever be seen purified; when the first time is, the secret says.
    turn = int(random.integers(PURIFIED_EVERY * max(1, len(purifiers))))
    with ThreadPoolExecutor(len(attacked)) as pool:
        for step in range(steps):
            changed = scene.apply(residual)
            asked = [opinion for opinion in opinions if opinion.due >= 1]
            left, back = purifier_at(turn + step, purifiers)(changed)
            ways = [(draw_journey(random), _view(opinion.one, random)) for opinion in asked]
            answers = [pool.submit(opinion.ask, left, *way) for opinion, way in zip(asked, ways, strict=True)]
            # While they look.
            windows, visible = ssim_with_gradient(scene.image, changed)
            for answer in answers:
                answer.result()
            calm = calm + 1 if step and all(opinion.satisfied for opinion in opinions) else 0
            if calm >= CALM:
                return residual, step
            weights = shares(np.array([opinion.missing for opinion in opinions], np.float32))
            for opinion, weight in zip(opinions, weights, strict=True):
                opinion.due += len(opinions) * weight
            # A slope that was kept from an earlier step takes this step's way back, too.
            wish = back(sum(weight * one.slope for weight, one in zip(weights, opinions, strict=True)))
            used = (1 - scene.similarity_in(windows)) / (1 - budget.ssim)
            if used > 1:
                # Back to the budget, taking the loss of similarity as quadratic in the amplitude.
                residual = residual / np.sqrt(used)
            wish = wish + visible * (VISIBLE_WEIGHT * min(1.0, used) * cv2.norm(wish) / (cv2.norm(visible) + 1e-12))
            wish = grey(wish) if scene.low.shape[2] == 1 else mute(wish, CHROMA)
            wish = wish * scene.gate
            first = FIRST_MOMENT * first + (1 - FIRST_MOMENT) * wish
            second = SECOND_MOMENT * second + (1 - SECOND_MOMENT) * wish**2
            unbiased = first / (1 - FIRST_MOMENT ** (step + 1))
            scale = grey(np.sqrt(second / (1 - SECOND_MOMENT ** (step + 1))))
            pace = STEP * (1 - 0.7 * step / steps) * room
            residual = scene.confine(residual + pace * unbiased / (scale + 0.1 * scale.max() + 1e-12))
    return residual, steps


class _Opinion:
    """What a recognizer said last: where the face is, and `slope` (h, w, 3), of norm 1, which way what it saw should
    change."""

    def __init__(self, one: Attacked, slope: np.ndarray) -> None:
        self.one, self.slope = one, slope
        self.satisfied = False
        self.missing = 1.0
        """Share of the distance to be kept that is missing, smoothed over looks; negative beyond it."""
        self.due = 1.0
        """How much it came to count since it was asked, in shares of an equal among all; at 1 it is asked again."""
        self._distance: float | None = None
        self._wish = one.pull(one.own_embedding)

    def ask(self, image: np.ndarray, journey: Journey, view: np.ndarray) -> None:
        """Look at `image` (h, w, 3) after a journey, through `view` (2, 3), image -> input."""
        one, self.due = self.one, 0.0
        arrived, back = journey(image)
        seen = cv2.warpAffine(arrived, view, (one.size, one.size), flags=cv2.INTER_LINEAR)
        embedding, slope = one.gradient(seen, self._wish)
        self.satisfied = one.satisfied(embedding)
        self._wish = one.pull(embedding)
        distance = one.travelled(embedding)
        before = distance if self._distance is None else self._distance
        self._distance = INERTIA * before + (1 - INERTIA) * distance
        self.missing = 1 - self._distance / one.leave
        # The transpose of a bilinear warp is, up to a factor, the warp back.
        size = (image.shape[1], image.shape[0])
        slope = back(cv2.warpAffine(slope, view, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))
        self.slope = slope / (cv2.norm(slope) + 1e-12)


def shares(missing: np.ndarray) -> np.ndarray:
    """How much each recognizer counts, (R,) float32, sum 1, by the share of its margin that is missing, (R,)."""
    weights = np.exp(MISSING_WEIGHT * missing)
    return weights / weights.sum()


def mute(residual: np.ndarray, share: float) -> np.ndarray:
    """A residual (h, w, C) with only a share of its colour left."""
    plain = grey(residual)
    return plain + share * (residual - plain)


def _view(one: Attacked, random: np.random.Generator) -> np.ndarray:
    """Lattice -> aligned input, (2, 3), turned, scaled and shifted a little, as landmarks that are found again are."""
    turn, grow = random.normal(0, 0.02), random.normal(1, 0.02)
    linear = grow * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = np.full(2, (one.size - 1) / 2)
    shift = centre - linear @ centre + random.normal(0, 1, 2)
    return np.column_stack([linear @ one.to_input[:, :2], linear @ one.to_input[:, 2] + shift])
