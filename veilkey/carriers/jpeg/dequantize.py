"""What was under a residual before a JPEG was quantized: the likeliest, and how sure that is."""

import cv2
import numpy as np

from veilkey.carriers.jpeg.carrier import JpegCarrier
from veilkey.carriers.jpeg.quantized import SIDE, to_rgb
from veilkey.carriers.orientation import stored_region, to_stored, to_upright

FLAT = 1e4  # the mean absolute value of DC: none is likelier than another
ROWS = 16  # rows of blocks that are worked on at once, which bounds memory


def expected(
    copy: JpegCarrier, region: tuple[int, int, int, int], residual: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What leads from a JPEG to what is expected to be under a residual (h, w, C) over a region of it, and the variance
    of that, both (h, w, C); no change in blocks that the residual does not touch.

    A quantized coefficient says between which bounds the original's coefficient plus the residual's was. A photo's are
    distributed as Laplace found; so what is expected between the bounds is known, and its variance. Price, Rabbani,
    "Biased reconstruction for JPEG decoding", 1999, do so without a residual.
    """
    frame = copy.coefficients
    x, y, width, height = stored_region(region, copy.orientation, copy.picture.width, copy.picture.height)
    most = [max(part.sampling[axis] for part in frame.components) for axis in (0, 1)]
    wide, high = SIDE * most[0], SIDE * most[1]
    left, top, right, bottom = x // wide, y // high, -(-(x + width) // wide), -(-(y + height) // high)
    inside = slice(y - top * high, y - top * high + height), slice(x - left * wide, x - left * wide + width)
    to_colour = to_rgb(list(np.eye(len(frame.components))), frame.colour)
    canvas = np.zeros(((bottom - top) * high, (right - left) * wide, len(to_colour)), np.float32)
    canvas[inside] = to_stored(residual, copy.orientation) @ np.linalg.inv(to_colour)
    changes, variances = np.zeros_like(canvas), np.zeros_like(canvas)
    for index, part in enumerate(frame.components):
        step = most[0] // part.sampling[0], most[1] // part.sampling[1]
        rows = slice(top * part.sampling[1], bottom * part.sampling[1])
        columns = slice(left * part.sampling[0], right * part.sampling[0])
        here = part.blocks[rows, columns]
        samples = canvas[..., index].reshape(canvas.shape[0] // step[1], step[1], -1, step[0]).mean((1, 3))
        change, variance = _dequantized(here, part.quantization.astype(np.float64), samples)
        size = change.shape[1] * step[0], change.shape[0] * step[1]
        # Decoders smooth what was averaged in the same way.
        changes[: size[1], : size[0], index] = cv2.resize(change, size, interpolation=cv2.INTER_LINEAR)
        variances[: size[1], : size[0], index] = cv2.resize(variance, size, interpolation=cv2.INTER_NEAREST)
    change = to_upright(changes[inside] @ to_colour, copy.orientation)
    return change, to_upright(variances[inside] @ to_colour**2, copy.orientation)


def _dequantized(blocks: np.ndarray, quantization: np.ndarray, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of one component: blocks (r, c, 8, 8) int16 and the residual's samples (8 r or more, 8 c or more) -> the expected
    change of its samples (8 r, 8 c), and its variance, float32."""
    from scipy.fft import dctn, idctn

    rows, columns = blocks.shape[:2]
    residual = samples[: rows * SIDE, : columns * SIDE].reshape(rows, SIDE, columns, SIDE).swapaxes(1, 2)
    spread = _spread(blocks, quantization)
    change, variance = np.zeros(residual.shape, np.float32), np.zeros((rows, columns), np.float32)
    for start in range(0, rows, ROWS):
        part = slice(start, start + ROWS)
        added = dctn(residual[part], axes=(2, 3), norm="ortho")
        low, high = (blocks[part] - 0.5) * quantization - added, (blocks[part] + 0.5) * quantization - added
        mean, around = _between(low, high, spread)
        touched = residual[part].any((2, 3), keepdims=True)
        change[part] = idctn((mean - blocks[part] * quantization) * touched, axes=(2, 3), norm="ortho")
        variance[part] = around.mean((2, 3))
    plane = change.swapaxes(1, 2).reshape(rows * SIDE, columns * SIDE)
    return plane, variance.repeat(SIDE, 0).repeat(SIDE, 1)


def _spread(blocks: np.ndarray, quantization: np.ndarray) -> np.ndarray:
    """The mean absolute value (8, 8) of a component's coefficients before they were quantized.

    Each frequency's likeliest one has a closed form. Frequencies of which nothing is left are taken from the law that
    the others follow: photos fall off by a power of the frequency.
    """
    count = blocks.shape[0] * blocks.shape[1]
    levels = np.abs(blocks.astype(np.int64)).sum((0, 1))
    kept = np.count_nonzero(blocks, (0, 1))
    a, b, c = count + 2 * levels, count - kept, 2 * levels - kept
    beyond = (np.sqrt(b * b + 4 * a * c) - b) / (2 * a)  # probability to be over half a quantization step
    frequency = np.hypot(*np.mgrid[:SIDE, :SIDE])
    frequency[0, 0] = 1
    known = kept > 0
    known[0, 0] = False
    if np.count_nonzero(known) > 2:
        likeliest = -quantization[known] / (2 * np.log(beyond[known]))
        power, level = np.polyfit(np.log(frequency[known]), np.log(likeliest), 1, w=np.sqrt(kept[known]))
        spread = np.exp(level + power * np.log(frequency))
    else:
        spread = quantization / 20
    spread[0, 0] = FLAT
    return spread


def _between(low: np.ndarray, high: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of what a Laplace distribution of such a mean absolute value has from `low` to `high`.

    That is an exponential distribution on each side of 0, cut off at both ends.
    """
    mass, first, second = np.zeros(low.shape), np.zeros(low.shape), np.zeros(low.shape)
    for sign, start, end in ((1, low, high), (-1, -high, -low)):
        start = np.maximum(start, 0)
        width = np.maximum(end - start, 0)
        decay = np.clip(width / spread, 1e-3, 500)
        share = np.where(width > 0, -np.expm1(-decay), 0)
        mean = start + width * (1 / decay - 1 / np.expm1(decay))
        variance = width**2 * (1 / decay**2 - 0.25 / np.sinh(decay / 2) ** 2)
        mass += share
        first += share * sign * mean
        second += share * (variance + mean**2)
    mean = first / mass
    return mean, np.maximum(second / mass - mean**2, 0)
