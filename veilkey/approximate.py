"""What a key still gives of a copy that was recompressed, resized or cropped: an estimate, never the original.

The residual is known, and the copy is the original plus that residual, resampled and perhaps quantized. So the residual
is found in the copy by correlation, and taken off at the copy's own resolution, where the key's thumbnail of the face
says that this is the photo and that its noise is on it.
"""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice, product

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from keys.payload import THUMBNAIL, FaceKey, Payload
from mask_template.template import FRACTION_BITS
from veilkey.carriers import Carrier, Picture
from veilkey.carriers.jpeg.carrier import JpegCarrier
from veilkey.carriers.jpeg.dequantize import expected
from veilkey.carriers.noise import face_residual, window
from veilkey.errors import ForeignKey
from veilkey.faces.geometry import compose, invert, map_points, scale_of
from veilkey.thumbnail import Likeness, compare

# What is compared is what is finer than this, where a photo has least of its own; each pixel counts by how little
# there is around it, so that hair and edges do not outvote the skin. Pixels, pixels, grey levels.
DETAIL = 1.0
NEIGHBOURHOOD = 3.0
QUIET = 0.5
# How far a detector may be wrong: factors of the scale, and the place as a share of the face's region.
SCALES = np.linspace(0.9, 1.1, 21)
REACH = 0.15
# Of a face of the key and one in the copy; each takes about half a second.
PAIRS = 40
# A copy counts as cropped and not resized where that correlates nearly as well as the best scale does.
NEARLY = 0.9
# Mean absolute value of a normal distribution's deviates; and in copies that are no JPEG, grey levels of error for all
# of the detail missing, fitted to 16 photos of `train` that were compressed before.
ABSOLUTE = math.sqrt(2 / math.pi)
OF_MISSING = 6.2

CENTRE = np.array([127.5, 127.5, 1.0])  # of the canonical crop
YCBCR = np.array([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], np.float32).T
GREY = np.array([1.0, 0.0, 0.0], np.float32)  # of YCbCr

Region = tuple[int, int, int, int]


@dataclass(frozen=True)
class Approximate:
    """An approximate restore.

    picture: at the copy's size. faces: numbers of those whose residual was found and taken off. error: estimated mean
    absolute difference to the original over their boxes, in grey levels of 0..255. scale: copy pixels per photo pixel.
    """

    picture: Picture
    faces: tuple[int, ...]
    error: float
    scale: float

    def encode(self) -> bytes:
        """A PNG file that says in a text chunk "veilkey" what it is."""
        note = PngInfo()
        note.add_text("veilkey", f"approximate restore, not the original; estimated error {self.error:.1f} grey levels")
        buffer = io.BytesIO()
        image = Image.fromarray(self.picture.pixels, self.picture.mode)
        image.save(buffer, "PNG", icc_profile=self.picture.icc_profile, pnginfo=note)
        return buffer.getvalue()


def approximate(copy: Carrier, payloads: Sequence[Payload]) -> Approximate:
    """A changed copy of a protected photo with the residuals of the faces that the key opens taken off.

    What is taken off a JPEG is what its quantization is expected to have left of a residual; elsewhere the residual.

    Raises:
        ForeignKey: the residual of none of these faces is in the copy.
    """
    rgb = copy.picture.rgb()
    marks = [_Mark(face) for payload in payloads for face in payload.faces]
    told = 0.0
    for placement in _placements(rgb, (payloads[0].width, payloads[0].height), marks):
        looks = [mark.likeness(rgb, placement) for mark in marks]
        # Where a face was told better in another place, and its change was not there, this place is a wrong one.
        found = [mark for mark, look in zip(marks, looks, strict=True) if look.enough and look.alike >= told]
        if found:
            break
        told = max(told, *(look.alike for look in looks))
    else:
        raise ForeignKey(
            "the key is another photo's, or too little is left of what protecting added: find a larger or less "
            "compressed copy"
        )
    region, residual = _residual_in(copy.picture, [mark.face for mark in found], placement)
    boxes = np.zeros(residual.shape[:2], bool)
    for mark in found:
        boxes[_box_in(region, mark.face, placement)] = True
    if not boxes.any():  # cropped away, with only the template's edge left
        boxes[:] = True
    if isinstance(copy, JpegCarrier):
        change, variance = expected(copy, region, residual)
        error = ABSOLUTE * float(np.sqrt(variance[boxes]).mean())
    else:
        change = -residual
        error = OF_MISSING * max(0.0, float(np.mean([1 - mark.look(rgb, placement).share for mark in found])))
    colour = copy.picture.colour().copy()
    area = window(region)
    colour[area] = np.clip(np.rint(colour[area] + change), 0, 255).astype(np.uint8)
    numbers = tuple(sorted(mark.face.number for mark in found))
    return Approximate(copy.picture.with_colour(colour), numbers, error, scale_of(placement))


def is_copy(copy: Carrier, payloads: Sequence[Payload]) -> bool:
    """Whether `approximate` would do for a copy, as far as that is quickly told: of one that was not cropped."""
    rgb = copy.picture.rgb()
    placement = _resizing(rgb, (payloads[0].width, payloads[0].height))
    faces = [face for payload in payloads for face in payload.faces]
    return placement is not None and any(_Mark(face).likeness(rgb, placement).enough for face in faces)


# Where the photo lies in the copy.


def _resizing(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    """Photo of `size` (width, height) -> copy, (2, 3), where the sides' ratio is the same but for rounding."""
    sx, sy = rgb.shape[1] / size[0], rgb.shape[0] / size[1]
    same = abs(sx - sy) * max(size) <= 1.5
    return np.array([[sx, 0, (sx - 1) / 2], [0, sy, (sy - 1) / 2]]) if same else None


def _placements(rgb: np.ndarray, size: tuple[int, int], marks: Sequence["_Mark"]) -> Iterator[np.ndarray]:
    """Where the photo of `size` (width, height) may lie in the copy, (2, 3) photo -> copy, the likeliest first."""
    resizing = _resizing(rgb, size)
    if resizing is not None:
        yield resizing
    from veilkey.faces import FaceFinder  # loads dlib, and few copies need it

    shown = FaceFinder().find(rgb)
    for mark, face in islice(product(marks, shown), PAIRS):
        own = mark.face.transform / 2**FRACTION_BITS
        here, there = (invert(one) @ CENTRE for one in (own, face.transform))
        scale = scale_of(own) / scale_of(face.transform)
        yield mark.settle(rgb, _scaling(scale, here, there))


@dataclass(frozen=True)
class _Look:
    """score: a residual's correlation with a copy, in standard deviations of chance. share: of its detail, in there."""

    score: float
    share: float


@dataclass(frozen=True, eq=False)
class _Mark:
    """A face's residual as something to look for, at the resolution of its lattice."""

    face: FaceKey

    @cached_property
    def residual(self) -> np.ndarray:
        rows, columns, _ = self.face.lattice.shape
        full = face_residual(self.face)[0].astype(np.float32)
        small = cv2.resize(full, (columns, rows), interpolation=cv2.INTER_AREA)
        return _ycbcr(small.reshape(rows, columns, -1))

    @cached_property
    def to_photo(self) -> np.ndarray:
        x, y, width, height = self.face.region
        sx, sy = width / self.residual.shape[1], height / self.residual.shape[0]
        return np.array([[sx, 0, x + (sx - 1) / 2], [0, sy, y + (sy - 1) / 2]])

    def step(self, placement: np.ndarray) -> int:
        """So many pixels a side of the copy are averaged: what is compared is no finer than the lattice."""
        return max(1, int(scale_of(placement) * scale_of(self.to_photo)))

    def likeness(self, rgb: np.ndarray, placement: np.ndarray) -> Likeness:
        """How a copy that lies so shows the face as this key protects it."""
        step = self.step(placement)
        to_steps = compose(_shrinking(step), placement)
        residual, corner = _draw(self.residual, compose(to_steps, self.to_photo))
        seen, place = _averaged(rgb, step, corner, residual.shape[:2])
        copy = np.full(residual.shape[:2], np.nan, np.float32)
        copy[place] = seen[..., 0]
        x, y, width, height = self.face.region
        sx, sy = THUMBNAIL / width, THUMBNAIL / height
        to_thumbnail = np.array([[sx, 0, (0.5 - x) * sx - 0.5], [0, sy, (0.5 - y) * sy - 0.5]])
        from_here = compose(invert(to_steps), np.array([[1.0, 0, corner[0]], [0, 1.0, corner[1]]]))
        return compare(self.face.thumbnail, copy, residual[..., 0], compose(to_thumbnail, from_here))

    def drawn(self, placement: np.ndarray, step: int) -> tuple[np.ndarray, tuple[int, int]]:
        """The residual's detail (h, w, 3) as a copy that lies so has it, and its corner (x, y) in steps."""
        residual, corner = _draw(self.residual, compose(_shrinking(step), compose(placement, self.to_photo)))
        return _detail(residual) * residual.any(2, keepdims=True), corner

    def look(self, rgb: np.ndarray, placement: np.ndarray) -> _Look:
        step = self.step(placement)
        drawn, corner = self.drawn(placement, step)
        detail, spread = _seen(rgb, step, corner, drawn.shape[:2])
        if not detail[..., 1:].any():
            drawn = drawn * GREY  # a grey copy says nothing of the residual's colour
        product = float((detail / spread * drawn).sum())
        length, whole = float(np.linalg.norm(drawn)), float((drawn * drawn / spread).sum())
        return _Look(product / length, product / whole) if length else _Look(0.0, 0.0)

    def settle(self, rgb: np.ndarray, guess: np.ndarray) -> np.ndarray:
        """The placement near a guess where the residual correlates best: scale and shift, no turn."""
        from scipy.optimize import minimize

        x, y, width, height = self.face.region
        here = np.array([x + (width - 1) / 2, y + (height - 1) / 2])
        size, there, step = scale_of(guess), guess @ [*here, 1], self.step(guess)
        margin = math.ceil(REACH * size * max(width, height) / step)
        largest, corner = self.drawn(_scaling(size * SCALES[-1], here, there), step)
        origin = corner[0] - margin, corner[1] - margin
        detail, spread = _seen(rgb, step, origin, [side + 2 * margin for side in largest.shape[:2]])
        detail /= spread

        def shifted(scale: float) -> tuple[float, np.ndarray]:
            placement = _scaling(scale, here, there)
            placement[:, 2] = np.rint(placement[:, 2])
            drawn, corner = self.drawn(placement, step)
            _, top, _, place = cv2.minMaxLoc(cv2.matchTemplate(detail, drawn, cv2.TM_CCORR))
            placement[:, 2] += (np.array(place) + origin - corner) * step
            return top / max(float(np.linalg.norm(drawn)), 1e-6), placement

        _, coarse = max((shifted(scale) for scale in size * SCALES), key=lambda one: one[0])
        centre, scale = coarse @ [*here, 1], scale_of(coarse)

        def near(change: np.ndarray) -> np.ndarray:
            return _scaling(scale * (1 + change[0] / 100), here, centre + change[1:] * step)

        fine = minimize(
            lambda change: -self.look(rgb, near(change)).score,
            np.zeros(3),
            method="Nelder-Mead",
            options={
                "initial_simplex": np.vstack([np.zeros(3), 0.5 * np.eye(3)]),  # per cent, and steps
                "xatol": 0.02,
                "fatol": 0.01,
                "maxfev": 150,
            },
        )
        if SCALES[0] < size < SCALES[-1]:
            score, cropped = shifted(1.0)
            if score > NEARLY * -fine.fun:
                return cropped
        return near(fine.x)


def _seen(rgb: np.ndarray, step: int, corner: tuple[int, int], shape: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The copy's detail, and how much of it is around each pixel, (h, w, 3) float32 each: in steps of so many pixels,
    from a corner (x, y) on; no detail outside the copy."""
    detail, spread = np.zeros((*shape, 3), np.float32), np.ones((*shape, 3), np.float32)
    averaged, place = _averaged(rgb, step, corner, shape)
    if averaged.size:
        part = _detail(averaged)
        detail[place], spread[place] = part, np.sqrt(cv2.GaussianBlur(part * part, (0, 0), NEIGHBOURHOOD)) + QUIET
    return detail, spread


def _averaged(
    rgb: np.ndarray, step: int, corner: tuple[int, int], shape: Sequence[int]
) -> tuple[np.ndarray, tuple[slice, slice]]:
    """What a copy shows of a part in YCbCr, (h, w, 3) float32, and which rows and columns of the part that is: in steps
    of so many pixels, from a corner (x, y) on."""
    left, top = max(0, corner[0]), max(0, corner[1])
    right, bottom = min(rgb.shape[1] // step, corner[0] + shape[1]), min(rgb.shape[0] // step, corner[1] + shape[0])
    place = slice(top - corner[1], bottom - corner[1]), slice(left - corner[0], right - corner[0])
    if left >= right or top >= bottom:
        return np.empty((0, 0, 3), np.float32), (slice(0), slice(0))
    inside = rgb[top * step : bottom * step, left * step : right * step].astype(np.float32)
    return _ycbcr(cv2.resize(inside, (right - left, bottom - top), interpolation=cv2.INTER_AREA)), place


def _detail(plane: np.ndarray) -> np.ndarray:
    return plane - cv2.GaussianBlur(plane, (0, 0), DETAIL)


def _ycbcr(colour: np.ndarray) -> np.ndarray:
    return np.broadcast_to(colour, (*colour.shape[:2], 3)) @ YCBCR


# What is taken off.


def _residual_in(picture: Picture, faces: Sequence[FaceKey], placement: np.ndarray) -> tuple[Region, np.ndarray]:
    """The residuals of some faces together, (h, w, C) float32, and the region of the copy that they are in."""
    drawn = []
    for face in faces:
        to_photo = np.array([[1.0, 0, face.region[0]], [0, 1.0, face.region[1]]])
        drawn.append(_draw(face_residual(face)[0].astype(np.float32), compose(placement, to_photo)))
    left, top = (max(0, min(corner[axis] for _, corner in drawn)) for axis in (0, 1))
    right = min(picture.width, max(corner[0] + one.shape[1] for one, corner in drawn))
    bottom = min(picture.height, max(corner[1] + one.shape[0] for one, corner in drawn))
    channels = picture.colour().shape[2]
    total = np.zeros((bottom - top, right - left, channels), np.float32)
    for one, (x, y) in drawn:
        if one.shape[2] > channels:  # the copy was made grey
            one = one @ YCBCR[:, :1]
        x0, y0, x1, y1 = max(x, left), max(y, top), min(x + one.shape[1], right), min(y + one.shape[0], bottom)
        total[y0 - top : y1 - top, x0 - left : x1 - left] += one[y0 - y : y1 - y, x0 - x : x1 - x]
    return (left, top, right - left, bottom - top), total


def _box_in(region: Region, face: FaceKey, placement: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of a region of the copy that show a face's box."""
    x, y, width, height = face.box
    ends = np.rint(map_points(placement, np.array([[x, y], [x + width, y + height]]) - 0.5) + 0.5).astype(int)
    (left, top), (right, bottom) = np.clip(ends - region[:2], 0, region[2:]).tolist()
    return slice(top, bottom), slice(left, right)


# Pictures and similarities.


def _draw(image: np.ndarray, to_target: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """`image` (h, w, C) float32 where a transform without a turn puts it: the smallest part of the target that holds
    it, and that part's corner (x, y). What gets smaller is averaged."""
    height, width = image.shape[:2]
    ends = map_points(to_target, np.array([[-0.5, -0.5], [width - 0.5, height - 0.5]])) + 0.5
    left, top = np.floor(ends[0] + 1e-6).astype(int).tolist()
    right, bottom = np.ceil(ends[1] - 1e-6).astype(int).tolist()
    size = max(1, right - left), max(1, bottom - top)
    finer = math.ceil(1 / scale_of(to_target) - 1e-3)  # samples a side that make a pixel
    to_fine = compose(invert(_shrinking(finer)), to_target - [[0, 0, left], [0, 0, top]])
    fine = cv2.warpAffine(image, to_fine, (size[0] * finer, size[1] * finer))
    return cv2.resize(fine, size, interpolation=cv2.INTER_AREA).reshape(size[1], size[0], -1), (left, top)


def _scaling(scale: float, here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The scaling that takes the point `here` to `there`."""
    return np.column_stack([scale * np.eye(2), there - scale * here])


def _shrinking(step: int) -> np.ndarray:
    """Pixels -> steps of so many."""
    return np.array([[1 / step, 0, (1 / step - 1) / 2], [0, 1 / step, (1 / step - 1) / 2]])
