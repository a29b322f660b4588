"""Black bar: an opaque lower bound, nothing of the face is left."""

import numpy as np

from veilkey.carriers.noise import window
from veilkey.evaluation.methods.base import Method, Outcome
from veilkey.evaluation.sample import Sample


class Bar(Method):
    """Newton, Sweeney, Malin, "Preserving privacy by de-identifying face images", 2005, test bars over the eyes, which
    recognizers see past; this one covers the face box."""

    name = "bar"
    title = "black bar"

    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        image = sample.image.copy()
        image[window(sample.face.box)] = 0
        return Outcome(image)
