"""Galleries enrolled with a recognizer, for scripts that protect and judge photos one by one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from veilkey.carriers import read_photo
from veilkey.evaluation.protocol import Photo, Protocol
from veilkey.evaluation.scores import Comparison, Impostors, compare, templates
from veilkey.faces import FaceFinder
from veilkey.recognizers import Recognizer


@dataclass(frozen=True)
class Enrolled:
    """A recognizer, and what it makes of a protocol's clean photos.

    probes: those of people with a gallery. owners (N,): the number of each one's person. galleries (P, D): the mean
    embedding of each person's photos. clean: the probes against the galleries. threshold: the distance below which two
    faces match at the FAR asked for. spread: standard deviation of the distances between strangers.
    """

    recognizer: Recognizer
    probes: Sequence[Photo]
    owners: np.ndarray
    galleries: np.ndarray
    clean: Comparison
    threshold: float
    spread: float

    def beyond(self, embedding: np.ndarray, probe: int) -> float:
        """How much farther than the threshold an embedding (D,) is from the gallery of a probe's person, in standard
        deviations of strangers' distances; below 0 it matches."""
        distance = float(self.recognizer.distance(embedding, self.galleries[self.owners[probe]]))
        return (distance - self.threshold) / self.spread


def embed_first(recognizer: Recognizer, finder: FaceFinder, image: np.ndarray) -> np.ndarray:
    """The embedding (D,) of the largest face of a photo (H, W, 3) uint8 RGB; NaN where none is found."""
    found = finder.find(image)
    return recognizer.embed_face(image, found[0].landmarks) if found else np.full(recognizer.dimension, np.nan)


def enrol(recognizer: Recognizer, finder: FaceFinder, protocol: Protocol, far: float) -> Enrolled:
    """Embed a protocol's galleries and clean probes, with a progress bar."""

    def embed(photos: Sequence[Photo], title: str) -> np.ndarray:
        bar = tqdm(photos, f"{recognizer.name}, {title}", mininterval=5)
        return np.stack([embed_first(recognizer, finder, read_photo(photo.path).rgb()) for photo in bar])

    names = sorted({photo.person for photo in protocol.gallery})
    probes = [photo for photo in protocol.probes if photo.person in names]
    enrolled, owners = (np.array([names.index(photo.person) for photo in part]) for part in (protocol.gallery, probes))
    galleries = templates(embed(protocol.gallery, "galleries"), enrolled, len(names))
    clean, impostors = embed(probes, "clean probes"), Impostors(recognizer.threshold)
    comparison = compare(recognizer.distance, clean, owners, galleries, impostors=impostors)
    apart = recognizer.distance(clean[:, None], galleries[None])[owners[:, None] != np.arange(len(names))]
    spread = float(np.nanstd(apart))
    return Enrolled(recognizer, probes, owners, galleries, comparison, impostors.threshold(far), spread)
