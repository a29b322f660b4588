"""The photos of a run: read once, with what cannot be used left out and counted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from veilkey.errors import UsageError
from veilkey.evaluation.pool import Workers
from veilkey.evaluation.protocol import LeftOut, Protocol
from veilkey.evaluation.work import Bench, Known


@dataclass(frozen=True)
class Photos:
    """`names`: people, sorted. Gallery and probes in the protocol's order; every person has both."""

    names: tuple[str, ...]
    gallery: tuple[Known, ...]
    probes: tuple[Known, ...]
    left_out: tuple[LeftOut, ...]

    def owners(self, photos: Sequence[Known]) -> np.ndarray:
        """Number in `names` of each photo's person, (N,)."""
        place = {name: number for number, name in enumerate(self.names)}
        return np.array([place[known.photo.person] for known in photos])


def read_photos(protocol: Protocol, workers: Workers) -> Photos:
    """Read every photo of a protocol, find its face and embed it.

    Left out are files that are no pictures, photos without a face, probes that show a picture of the gallery, and
    people of whom nothing is left on one side.

    Raises:
        UsageError: fewer than two people are left.
    """
    wanted = (*protocol.gallery, *protocol.probes)
    seen = list(tqdm(workers.map(Bench.read, wanted), "reading", len(wanted), unit="photo", leave=False, disable=None))
    left_out = list(protocol.left_out)
    for photo, known in zip(wanted, seen, strict=True):
        if isinstance(known, str):
            left_out.append(LeftOut(photo.name, known))
    gallery = [known for known in seen[: len(protocol.gallery)] if isinstance(known, Known)]
    enrolled = {known.digest: known.photo.name for known in gallery}
    probes = []
    for known in seen[len(protocol.gallery) :]:
        if isinstance(known, str):
            continue
        if known.digest in enrolled:
            left_out.append(
                LeftOut(known.photo.name, f"shows the same picture as {enrolled[known.digest]} in a gallery")
            )
        else:
            probes.append(known)
    sides = [{known.photo.person for known in side} for side in (gallery, probes)]
    names = tuple(sorted(sides[0] & sides[1]))
    for person in sorted(sides[0] ^ sides[1]):
        left_out.append(LeftOut(person, f"has no usable {'gallery photo' if person in sides[1] else 'probe'}"))
    if len(names) < 2:
        reasons = "; ".join(f"{each.what}: {each.why}" for each in left_out[:3])
        raise UsageError(f"{len(names)} people are left with a gallery and a probe, at least 2 are needed ({reasons})")
    return Photos(
        names,
        tuple(known for known in gallery if known.photo.person in names),
        tuple(known for known in probes if known.photo.person in names),
        tuple(left_out),
    )
