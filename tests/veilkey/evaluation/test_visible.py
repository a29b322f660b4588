"""What a person sees, against outside implementations."""

import io

import numpy as np
import pytest
from PIL import Image
from skimage import color, metrics

from veilkey.evaluation import transforms, visible

BOX = (60, 40, 91, 114)


@pytest.fixture(scope="module")
def pair(close_up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return close_up, transforms.jpeg(close_up, 40)


def test_ssim_psnr_and_ciede_are_skimages(pair: tuple[np.ndarray, np.ndarray]) -> None:
    before, after = pair
    first, second = (image[40:154, 60:151] for image in pair)
    found = visible.face_measures(before, after, BOX)
    assert found["ssim"] == pytest.approx(
        metrics.structural_similarity(first, second, channel_axis=2, data_range=255), abs=1e-4
    )
    assert found["psnr"] == pytest.approx(metrics.peak_signal_noise_ratio(first, second), abs=1e-3)
    apart = color.deltaE_ciede2000(color.rgb2lab(first), color.rgb2lab(second))
    assert found["ciede_mean"] == pytest.approx(apart.mean()) and found["ciede_p99"] > found["ciede_mean"]
    whole = visible.slow_measures(before, after, BOX)
    assert whole["whole_psnr"] == pytest.approx(metrics.peak_signal_noise_ratio(before, after), abs=1e-3)


def test_small_sizes_are_thumbnails(pair: tuple[np.ndarray, np.ndarray]) -> None:
    """Fine noise is gone at 16x16; a redrawn half of the face is not."""
    before, _ = pair
    noisy, redrawn = transforms.noise(before, 4), before.copy()
    redrawn[100:154, 60:151] = redrawn[100:154, 60:151][:, ::-1]
    fine, coarse = (visible.face_measures(before, after, BOX) for after in (noisy, redrawn))
    assert fine["ssim_16"] > 0.995 > 0.9 > coarse["ssim_16"]
    assert fine["ciede_16"] < 1 < coarse["ciede_16"]


def test_nothing_changed(close_up: np.ndarray) -> None:
    found = {**visible.face_measures(close_up, close_up, BOX), **visible.slow_measures(close_up, close_up, BOX)}
    assert found["psnr"] is None and found["whole_psnr"] is None
    assert found["ssim"] == found["ssim_32"] == found["whole_ssim"] == pytest.approx(1)
    assert found["flip"] == found["ciede_mean"] == found["ciede_p99"] == found["whole_flip"] == 0


def test_ssimulacra2_is_its_packages(pair: tuple[np.ndarray, np.ndarray]) -> None:
    package = pytest.importorskip("ssimulacra2")
    sides = [np.ascontiguousarray(image) for image in pair]
    files = []
    for image in sides:
        files.append(io.BytesIO())
        Image.fromarray(image).save(files[-1], "PNG")
    assert visible.ssimulacra2(*sides) == pytest.approx(package.compute_ssimulacra2(*files))
    assert visible.ssimulacra2(sides[0], sides[0]) == pytest.approx(100)
