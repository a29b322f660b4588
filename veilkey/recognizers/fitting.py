"""Where a black box looks: its tau, fitted from photos by hiding feature groups, without a gradient or training."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from mask_template.grid import block_groups
from mask_template.network import predict
from mask_template.tau import fit, group_masses, hide_groups, occlusion_shares
from veilkey.carriers import read_photo
from veilkey.errors import NoFace, UnreadablePhoto
from veilkey.faces import Face, FaceFinder, compose, crop, invert, map_points
from veilkey.recognizers.base import Recognizer

FACES = 50
"""So many photos' largest faces are taken."""
LEAST = 20
"""Fewer faces fit nothing worth keeping."""


def fit_tau(judge: Recognizer, folder: Path) -> tuple[dict[str, float], int]:
    """A recognizer's tau on the mean of the Mask Template Network's heads, and from how many faces it was fitted.

    Takes photos from `folder` and the folders in it, in the order of a fixed shuffle, so that a folder for each person
    gives many people. Files that are no photos and photos without a face are passed over.

    Raises:
        NoFace: fewer than LEAST faces were found.
    """
    masses, embeddings = [], []
    with tqdm(total=FACES, desc="faces", leave=False, disable=None) as bar:
        for image, face in _faces(folder):
            clean, groups = crop(image, face.transform), block_groups(map_points(face.transform, face.landmarks))
            masses.append(group_masses(np.mean(list(predict(clean).values()), axis=0), groups))
            to_input = compose(judge.transform(face.landmarks), invert(face.transform))
            embeddings.append(embed_hidden(judge, clean, groups, to_input))
            bar.update()
            if len(masses) == FACES:
                break
    if len(masses) < LEAST:
        raise NoFace(f"{len(masses)} face(s) found in {folder}, and {LEAST} are needed: name a folder of more photos")
    return fit(np.stack(masses), occlusion_shares(np.stack(embeddings))), len(masses)


def embed_hidden(judge: Recognizer, clean: np.ndarray, groups: np.ndarray, to_input: np.ndarray) -> np.ndarray:
    """Embeddings (7, D) of a canonical crop (256, 256, 3) uint8 RGB, whole and with each feature group hidden.

    `groups` (4096,) uint8 as of `block_groups`. `to_input` (2, 3): crop -> the recognizer's aligned input.
    """
    size = (judge.input_size, judge.input_size)
    pictures = hide_groups(clean, groups)
    return judge.embed(
        np.stack([cv2.warpAffine(one, to_input, size, borderMode=cv2.BORDER_REPLICATE) for one in pictures])
    )


def _faces(folder: Path) -> Iterator[tuple[np.ndarray, Face]]:
    """The photos of a folder, (H, W, 3) uint8 RGB, each with its largest face."""
    paths, finder = sorted(path for path in folder.rglob("*") if path.is_file()), FaceFinder()
    for number in np.random.default_rng(0).permutation(len(paths)):
        try:
            image = read_photo(paths[number]).rgb()
        except UnreadablePhoto:
            continue
        if found := finder.find(image):
            yield image, found[0]
