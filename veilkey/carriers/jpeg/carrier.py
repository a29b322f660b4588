"""JPEG: the noise goes onto quantized coefficients, and everything else in the file stays as it is."""

import hashlib
import io
import math
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
from PIL import Image

from keys.payload import FaceKey
from perturbation_gen.xor import xor
from veilkey.carriers.base import PhotoFile
from veilkey.carriers.jpeg import coefficients as codec
from veilkey.carriers.jpeg import growth, rebuild
from veilkey.carriers.jpeg.coefficients import Coefficients, Component
from veilkey.carriers.jpeg.quantized import Grid, to_rgb
from veilkey.carriers.jpeg.segments import Segment, parse
from veilkey.carriers.noise import face_residual
from veilkey.carriers.orientation import orientation_of, stored_region, to_stored, to_upright
from veilkey.carriers.picture import Picture
from veilkey.errors import UnreadablePhoto

EXIF = 0xE1
# What a baseline file can hold.
_LEAST_DC, _MOST = -1024, 1023


@dataclass(frozen=True, eq=False)
class JpegCarrier(PhotoFile):
    """A JPEG, opened.

    opened: the file that it was opened from. name: what messages call it. orientation: EXIF's, 1 to 8. changed: its
    coefficients, where they are no longer the file's.
    """

    kind: ClassVar[str] = "jpeg"
    grain: ClassVar[int] = 32
    quantizes: ClassVar[bool] = True
    keeps_pixels: ClassVar[bool] = False
    suffixes: ClassVar[tuple[str, ...]] = (".jpg", ".jpeg", ".jpe", ".jfif")

    opened: bytes
    name: str
    orientation: int
    changed: Coefficients | None = None

    @classmethod
    def probe(cls, head: bytes) -> bool:
        return head.startswith(b"\xff\xd8\xff")

    @classmethod
    def read(cls, data: bytes, name: str) -> Self:
        return cls(data, name, _orientation(parse(data, name).segments))

    @cached_property
    def coefficients(self) -> Coefficients:
        """The quantized coefficients as they are now."""
        return codec.read(self.opened, self.name) if self.changed is None else self.changed

    @cached_property
    def picture(self) -> Picture:
        try:
            with warnings.catch_warnings():
                # Of large pictures and of metadata that is odd; neither concerns the pixels.
                warnings.simplefilter("ignore")
                with Image.open(io.BytesIO(self.encode()), formats=("JPEG",)) as image:
                    pixels = to_upright(np.asarray(image), self.orientation)
                    return Picture(pixels, image.mode, image.info.get("icc_profile"))
        except (OSError, ValueError, SyntaxError, MemoryError, Image.DecompressionBombError):
            raise UnreadablePhoto(f"{self.name}: damaged: get the file again") from None

    @property
    def size(self) -> tuple[int, int, str]:
        width, height = self._upright_size
        return width, height, "L" if self.coefficients.colour == "L" else "RGB"

    def _encode(self) -> bytes:
        return self.opened if self.changed is None else codec.write(self.opened, self.changed)

    def digest(self) -> bytes:
        return hashlib.sha256(self.encode()).digest()

    def seen(self, region: tuple[int, int, int, int], residual: np.ndarray) -> np.ndarray:
        turned = self._stored(region), to_stored(residual, self.orientation)
        planes = [grid.seen(*turned) for grid in self._grids]
        return to_upright(to_rgb(planes, self.coefficients.colour), self.orientation)

    def admit(self, face: FaceKey) -> FaceKey:
        before, changes, beyond, offset = [], [], [], 0
        for component, window, _, change in self.changes(face):
            here = component.blocks[window]
            after = here + change
            bad = (after < -_MOST) | (after > _MOST)
            bad[..., 0, 0] = (after[..., 0, 0] < _LEAST_DC) | (after[..., 0, 0] > _MOST)
            bad &= change != 0
            change[bad] = 0
            before.append(here)
            changes.append(change)
            beyond.append(np.flatnonzero(bad) + offset)
            offset += bad.size
        face = replace(face, held=np.concatenate(beyond).astype(np.uint32))
        return self._kept_small(face, before, changes)

    def _kept_small(self, face: FaceKey, before: list[np.ndarray], changes: list[np.ndarray]) -> FaceKey:
        """The key of a face with more coefficients left alone where the file would grow too much; `before`: its blocks
        in each component, `changes`: what it adds to them."""
        size, allowed = len(self.encode()), growth.GROWTH * len(self.opened)
        share = face.region[2] * face.region[3] / math.prod(self._upright_size)
        # Where other faces have taken the room, this one may still have its part of the picture's, or it would be bare.
        largest = max(len(self.opened) + allowed, size + share * allowed)
        if not growth.may_add(changes, largest - size):
            return face
        spare = growth.worth_least(before, changes, [part.quantization for part in self.coefficients.components])

        def without(count: int) -> FaceKey:
            return replace(face, held=np.union1d(face.held, spare[:count]).astype(np.uint32))

        return without(growth.fewest(len(spare), lambda n: len(self.put_on(without(n)).encode()) <= largest))

    def put_on(self, face: FaceKey) -> Self:
        return self._with(face, 1)

    def take_off(self, face: FaceKey) -> Self:
        return self._with(face, -1)

    def under(self, face: FaceKey) -> bytes:
        digest = hashlib.sha256()
        for component, window, mask, _ in self.changes(face):
            digest.update(component.blocks[window][mask].tobytes())
        return digest.digest()

    def saved(self, protected: bytes) -> bytes:
        return rebuild.save(self.opened, protected)

    def rebuild(self, saved: bytes, protected: bytes) -> bytes:
        return rebuild.rebuild(saved, protected, self.coefficients)

    def as_copy(self, saved: bytes) -> Self:
        return replace(self, orientation=_orientation(rebuild.segments_of(saved, self.opened)))

    def _with(self, face: FaceKey, sign: int) -> Self:
        """With a face's change of coefficients added or taken away, as the XOR of before and after."""
        components, offset = list(self.coefficients.components), 0
        for index, (component, window, mask, change) in enumerate(self.changes(face)):
            inside = (face.held >= offset) & (face.held < offset + change.size)
            change.reshape(-1)[face.held[inside] - offset] = 0
            offset += change.size
            before = component.blocks[window]
            after = before + sign * change.astype(np.int16)
            blocks = component.blocks.copy(order="K")  # as it lies in memory, which is several times as fast
            flat = (*mask.shape, before[0, 0].size)
            blocks[window] = xor(before.reshape(flat), (before ^ after).reshape(flat), mask).reshape(before.shape)
            components[index] = replace(component, blocks=blocks)
        return replace(self, changed=replace(self.coefficients, components=tuple(components)))

    def changes(self, face: FaceKey) -> Iterator[tuple[Component, tuple[slice, slice], np.ndarray, np.ndarray]]:
        """For each component: the blocks over the face, which of them are under its template, and their change."""
        residual, mask = face_residual(face)
        region = self._stored(face.region)
        residual, mask = to_stored(residual, self.orientation), to_stored(mask, self.orientation)
        for component, grid in zip(self.coefficients.components, self._grids, strict=True):
            window = grid.blocks_over(region)
            yield component, window, grid.touched(region, mask), grid.change(region, residual)

    @cached_property
    def _grids(self) -> list[Grid]:
        frame = self.coefficients
        wide, high = (max(part.sampling[axis] for part in frame.components) for axis in (0, 1))
        return [
            Grid(index, frame.colour, (wide // part.sampling[0], high // part.sampling[1]), part.quantization)
            for index, part in enumerate(frame.components)
        ]

    @property
    def _upright_size(self) -> tuple[int, int]:
        width, height = self.coefficients.width, self.coefficients.height
        # From 5 on, a side of the picture is the other side of what is stored.
        return (height, width) if self.orientation > 4 else (width, height)

    def _stored(self, region: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        return stored_region(region, self.orientation, *self._upright_size)


def _orientation(segments: Iterable[Segment]) -> int:
    exif = (s.payload for s in segments if s.marker == EXIF and s.payload.startswith(b"Exif\0\0"))
    return orientation_of(next(exif, b""))
