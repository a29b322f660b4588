"""Nothing: the photo as it is. Its figures must be the clean ones."""

import numpy as np

from veilkey.evaluation.methods.base import Method, Outcome
from veilkey.evaluation.sample import Sample


class Nothing(Method):
    """Changes nothing."""

    name = "none"
    title = "nothing"

    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        return Outcome(sample.image.copy(), sample.image.copy())
