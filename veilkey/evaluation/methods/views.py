"""What the attacked recognizers see of a face, through their ports, and the way back to the photo's pixels."""

from collections.abc import Sequence
from functools import cache

import cv2
import numpy as np

from perturbation_gen.target import load_space
from veilkey import recognizers
from veilkey.evaluation.methods.region import Region
from veilkey.recognizers import Recognizer
from veilkey.recognizers.gradient import load_gradient

# Loaded once a process.
recognizer = cache(recognizers.get)
_gradient = cache(load_gradient)
_space = cache(load_space)


class Views:
    """The attacked recognizers' views of one region. `own` has a unit vector (D,) for each: where the clean face is.

    Every direction is taken from the mean of a recognizer's space (see `IdentitySpace`), so that losses of different
    recognizers count alike.
    """

    def __init__(self, region: Region, attacked: Sequence[str]) -> None:
        self._views = [_View(recognizer(name), name, region.landmarks) for name in attacked]
        self.own = self._directions(self.embed(region.image))

    def person(self, number: int) -> list[np.ndarray]:
        """Where one of the training identities is, a unit vector (D,) for each recognizer."""
        alone = np.eye(self.people(), dtype=np.float32)[number]
        return [view.space.target(alone) for view in self._views]

    def people(self) -> int:
        """How many training identities there are, the same ones for all recognizers."""
        return len(self._views[0].space.identities)

    def embed(self, image: np.ndarray) -> list[np.ndarray]:
        """Embedding (D,) by each recognizer of the region changed to `image` (h, w, 3) float32 RGB in 0..255."""
        return [view.look(image, np.zeros_like(view.space.mean))[0] for view in self._views]

    def cosine(
        self, image: np.ndarray, wanted: Sequence[np.ndarray], before: Sequence[np.ndarray]
    ) -> tuple[float, np.ndarray, list[np.ndarray]]:
        """Cosine of `image`'s directions to the wanted ones, the mean over recognizers, and its gradient.

        The derivative of the cosine is taken at the embeddings of the step before, as in `perturbation_gen.refine`,
        which saves a pass through the networks; where `before` is `embed(image)`, it is exact.

        Args:
            image: (h, w, 3) float32 RGB in 0..255, the region as it is changed so far.
            wanted, before: a unit vector and an embedding (D,) for each recognizer.

        Returns:
            The cosine, -1 to 1; its gradient (h, w, 3) float32 in `image`; the embeddings of `image`.
        """
        slope, embeddings = np.zeros_like(image), []
        for view, direction, last in zip(self._views, wanted, before, strict=True):
            embedding, part = view.look(image, view.space.slope(last, direction))
            slope += part / len(self._views)
            embeddings.append(embedding)
        pairs = zip(self._directions(embeddings), wanted, strict=True)
        return float(np.mean([now @ direction for now, direction in pairs])), slope, embeddings

    def _directions(self, embeddings: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [view.space.direction(one) for view, one in zip(self._views, embeddings, strict=True)]


class _View:
    """One recognizer's port, looking at a region."""

    def __init__(self, judge: Recognizer, name: str, landmarks: np.ndarray) -> None:
        self.space = _space(name)
        self._gradient = _gradient(name)
        self._to_input = judge.transform(landmarks)
        self._size = (judge.input_size, judge.input_size)

    def look(self, image: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Embedding (D,) of the region `image` (h, w, 3) and J^T v on it."""
        crop = cv2.warpAffine(image, self._to_input, self._size, flags=cv2.INTER_LINEAR)
        embedding, slope = self._gradient(crop, v)
        # The transpose of a bilinear warp is the warp back, times the crop's pixels for each of the region's.
        back = cv2.warpAffine(slope, self._to_input, image.shape[1::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        return embedding, back * np.float32(np.linalg.det(self._to_input[:, :2]))
