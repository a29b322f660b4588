"""Refinement: gradient steps on the one photo, towards the secret's identity, inside the template and the budget."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from mask_template.truth import Gradient
from perturbation_gen.budget import Budget, grey, ssim, ssim_with_gradient, texture
from perturbation_gen.scene import Scene
from perturbation_gen.target import TARGET_WEIGHT, IdentitySpace, pull

STEP = 5.0
"""First step of Adam, in grey levels, where the image varies as much as TEXTURE."""
TEXTURE = 20.0
"""Local standard deviation, in grey levels, that hides a full step; steps are smaller on smooth skin."""
CHROMA = 0.1
"""How far colour follows the gradient; grey follows in full. Recognizers care little, eyes do."""
FIRST_MOMENT, SECOND_MOMENT = 0.7, 0.95
VISIBLE_WEIGHT = 0.2
"""How much the gradient of visibility counts against the identity's when the budget is used up."""
CALM = 4
"""So many changed copies in a row must keep the margins before the steps end early."""


@dataclass(frozen=True)
class Attacked:
    """One recognizer that the face is moved in.

    gradient: (input, v) -> (embedding, J^T v). to_input: (2, 3) lattice -> aligned input of `size` pixels.
    own_embedding: (D,) of the clean face by the same port. target: (D,) unit vector. distance: the recognizer's.
    leave: distance that a protected face should keep from its clean one; arrive: cosine to the target it should reach.
    target_weight: how much nearing the target counts against leaving.
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

    @property
    def own(self) -> np.ndarray:
        """Unit vector (D,) to the clean face."""
        return self.space.direction(self.own_embedding)

    def pull(self, embedding: np.ndarray) -> np.ndarray:
        """Where an embedding (D,) should go."""
        return pull(embedding, self.own, self.target, self.space, self.target_weight)

    def satisfied(self, embedding: np.ndarray) -> bool:
        """Whether an embedding (D,) keeps both margins."""
        far = self.distance(self.space.place(embedding), self.space.place(self.own_embedding)) >= self.leave
        return bool(far and self.space.direction(embedding) @ self.target >= self.arrive)


def refine(
    scene: Scene, start: np.ndarray, attacked: list[Attacked], budget: Budget, steps: int, random: np.random.Generator
) -> tuple[np.ndarray, int]:
    """Improve `start` (h, w, C) float32 by at most `steps` steps; returns the residual and how many were taken.

    Each step sees the face a little moved, scaled and recompressed, as it will be seen by others. The derivative of the
    loss is taken at the embedding of the step before, which saves a pass through the network.
    """
    room = texture(scene.image) / TEXTURE * scene.gate
    residual = scene.confine(start)
    first, second = np.zeros_like(residual), np.zeros_like(residual)
    wishes = [one.pull(one.own_embedding) for one in attacked]
    calm = 0
    for step in range(steps):
        changed = scene.apply(residual)
        travelled = _recompress(changed, random)
        wish = np.zeros_like(changed)
        calm += 1
        for index, one in enumerate(attacked):
            embedding, slope = _look(one, travelled, wishes[index], random)
            wishes[index] = one.pull(embedding)
            wish += slope / (cv2.norm(slope) + 1e-12)
            if step == 0 or not one.satisfied(embedding):
                calm = 0
        if calm >= CALM:
            return residual, step
        whole, visible = ssim_with_gradient(scene.image, changed)
        face = ssim(scene.image[scene.box], changed[scene.box])
        used = (1 - min(whole, face)) / (1 - budget.ssim)
        if used > 1:
            # Back to the budget, taking the loss of similarity as quadratic in the amplitude.
            residual = residual / np.sqrt(used)
        wish += visible * (VISIBLE_WEIGHT * min(1.0, used) * cv2.norm(wish) / (cv2.norm(visible) + 1e-12))
        wish = grey(wish) if scene.low.shape[2] == 1 else mute(wish, CHROMA)
        wish = wish * scene.gate
        first = FIRST_MOMENT * first + (1 - FIRST_MOMENT) * wish
        second = SECOND_MOMENT * second + (1 - SECOND_MOMENT) * wish**2
        unbiased = first / (1 - FIRST_MOMENT ** (step + 1))
        scale = grey(np.sqrt(second / (1 - SECOND_MOMENT ** (step + 1))))
        pace = STEP * (1 - 0.7 * step / steps) * room
        residual = scene.confine(residual + pace * unbiased / (scale + 0.1 * scale.max() + 1e-12))
    return residual, steps


def mute(residual: np.ndarray, share: float) -> np.ndarray:
    """A residual (h, w, C) with only a share of its colour left."""
    plain = grey(residual)
    return plain + share * (residual - plain)


def _look(
    one: Attacked, image: np.ndarray, v: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Embedding of `image` (h, w, 3) and J^T v on it, through an input that is turned, scaled and shifted a little."""
    turn, grow = random.normal(0, 0.02), random.normal(1, 0.02)
    linear = grow * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    centre = np.full(2, (one.size - 1) / 2)
    shift = centre - linear @ centre + random.normal(0, 1, 2)
    matrix = np.column_stack([linear @ one.to_input[:, :2], linear @ one.to_input[:, 2] + shift])
    seen = cv2.warpAffine(image, matrix, (one.size, one.size), flags=cv2.INTER_LINEAR)
    embedding, slope = one.gradient(seen, v)
    # The transpose of a bilinear warp is, up to a factor, the warp back.
    size = (image.shape[1], image.shape[0])
    return embedding, cv2.warpAffine(slope, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _recompress(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """`image` (h, w, 3) after JPEG at a random quality, every second time."""
    if random.random() < 0.5:
        return image
    pixels = np.clip(image, 0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(60, 96))])[1]
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return decoded[..., ::-1].astype(np.float32)
