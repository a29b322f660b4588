"""Pictures that explain: the template over a face, and the demo's overview."""

from collections.abc import Sequence

import cv2
import numpy as np

from keys.payload import FaceKey, Payload
from mask_template.grid import GROUPS
from mask_template.template import mask_in_photo
from veilkey.carriers import Picture
from veilkey.carriers.noise import window

# One colour a feature group, apart from one another for colour-blind readers too (Okabe and Ito 2008).
COLOURS = {
    "eyes": (86, 180, 233),
    "brows": (230, 159, 0),
    "nose": (0, 158, 115),
    "mouth": (213, 94, 0),
    "contour": (204, 121, 167),
    "other": (240, 228, 66),
}
OPACITY = 0.55
GAIN = 8


def show_templates(picture: Picture, payload: Payload) -> Picture:
    """`picture` in RGB with every face's template over it, coloured by feature group."""
    image = picture.rgb().copy()
    for face in payload.faces:
        image[window(face.region)] = paint_template(image[window(face.region)], face)
    return Picture(image, "RGB", picture.icc_profile)


def show_boxes(picture: Picture, boxes: Sequence[tuple[int, int, int, int]]) -> Picture:
    """`picture` in RGB with numbered boxes (x, y, w, h) on it."""
    image = picture.rgb().copy()
    thick = max(1, round(max(image.shape) / 500))
    for number, (x, y, width, height) in enumerate(boxes, 1):
        scale = max(0.4, height / 150)
        place = (x + thick, y + thick + round(24 * scale))
        cv2.rectangle(image, (x, y), (x + width - 1, y + height - 1), COLOURS["brows"], thick)
        for colour, wide in (((0, 0, 0), 3 * thick), ((255, 255, 255), thick)):
            cv2.putText(image, str(number), place, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, wide, cv2.LINE_AA)
    return Picture(image, "RGB", picture.icc_profile)


def paint_template(part: np.ndarray, face: FaceKey) -> np.ndarray:
    """A face's region (h, w, 3) uint8 RGB with its template over it."""
    painted = part.astype(np.float32)
    for index, name in enumerate(GROUPS):
        mask = mask_in_photo(face.blocks[face.group == index], face.transform, face.region)
        painted[mask] = (1 - OPACITY) * painted[mask] + OPACITY * np.array(COLOURS[name], np.float32)
    return painted.astype(np.uint8)


def difference(before: np.ndarray, after: np.ndarray, gain: int = GAIN) -> np.ndarray:
    """What lies between two pictures (h, w, 3) uint8, `gain` times as large and around grey, uint8."""
    return np.clip(128 + gain * (after.astype(np.int16) - before), 0, 255).astype(np.uint8)


def side_by_side(panels: list[tuple[str, np.ndarray]], height: int = 320) -> Picture:
    """Titled panels (h, w, 3) uint8 RGB in one row."""
    band, gap = 34, 8
    columns = []
    for title, panel in panels:
        width = round(panel.shape[1] * height / panel.shape[0])
        interpolation = cv2.INTER_AREA if panel.shape[0] > height else cv2.INTER_CUBIC
        column = np.full((height + band, width + gap, 3), 255, np.uint8)
        column[band:, :width] = cv2.resize(panel, (width, height), interpolation=interpolation)
        cv2.putText(column, title, (4, 23), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (30, 30, 30), 1, cv2.LINE_AA)
        columns.append(column)
    return Picture(np.ascontiguousarray(np.concatenate(columns, 1)[:, :-gap]), "RGB")
