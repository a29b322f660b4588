"""Pictures whose pixels are kept: the noise is XORed onto them."""

import hashlib
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from keys.payload import FaceKey
from mask_template.template import mask_in_photo
from veilkey.carriers import noise
from veilkey.carriers.base import Carrier, PhotoFile
from veilkey.carriers.picture import Picture


@dataclass(frozen=True, eq=False)
class Pixels(Carrier):
    """A picture that is in no file. `shown`: the picture, upright."""

    kind: ClassVar[str] = "pixels"

    shown: Picture

    @property
    def picture(self) -> Picture:
        return self.shown

    def put_on(self, face: FaceKey) -> Self:
        return replace(self, shown=noise.put_on(self.shown, face))

    def take_off(self, face: FaceKey) -> Self:
        return replace(self, shown=noise.take_off(self.shown, face))

    def under(self, face: FaceKey) -> bytes:
        mask = mask_in_photo(face.blocks, face.transform, face.region)
        return hashlib.sha256(self.shown.colour()[noise.window(face.region)][mask].tobytes()).digest()

    def digest(self) -> bytes:
        return self.shown.digest()


class PixelCarrier(Pixels, PhotoFile):
    """A file of a format that keeps pixels. What a format keeps beside them, each adds."""
