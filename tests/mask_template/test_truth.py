"""Attribution of a real recognizer's embedding."""

import cv2
import numpy as np

from mask_template.grid import GRID
from mask_template.truth import attribute, blur
from perturbation_gen.target import load_space
from veilkey.faces import FaceFinder, compose, crop, invert
from veilkey.recognizers.dlib_resnet import DlibResNet
from veilkey.recognizers.gradient import load_gradient


def test_attributions_add_up_to_the_likeness_that_blurring_costs(close_up: np.ndarray) -> None:
    """Completeness, the axiom of integrated gradients, as nearly as four steps bring it."""
    judge, gradient, space = DlibResNet(), load_gradient("dlib"), load_space("dlib")
    (face,) = FaceFinder().find(close_up)
    clean = crop(close_up, face.transform)
    to_input = compose(judge.transform(face.landmarks), invert(face.transform))

    def embed(image: np.ndarray) -> np.ndarray:
        seen = cv2.warpAffine(image.astype(np.float32), to_input, (150, 150), borderMode=cv2.BORDER_REPLICATE)
        return gradient.forward(seen)

    own = space.direction(embed(clean))
    found = attribute(clean, to_input, judge.input_size, gradient, own)
    assert found.shape == (GRID, GRID) and found.dtype == np.float32
    lost = float((embed(clean) - embed(blur(clean.astype(np.float32)))) @ own)
    assert lost > 0.1
    assert abs(found.sum() - lost) < 0.25 * lost
