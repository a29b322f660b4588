"""What a photo is to the rest of the program, whatever its format."""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from keys.payload import FaceKey
from veilkey.carriers.picture import Picture


class Carrier(ABC):
    """One opened photo. Immutable: what changes it gives another one.

    kind: what keys call the way that noise is put on. grain: so many pixels to each side of a changed one may change
    with it. quantizes: whether less is `seen` of a residual than was put on.
    """

    kind: ClassVar[str]
    grain: ClassVar[int] = 0
    quantizes: ClassVar[bool] = False

    @property
    @abstractmethod
    def picture(self) -> Picture:
        """What it shows: upright, 8 bits a channel. What detectors, recognizers and people see."""

    @property
    def size(self) -> tuple[int, int, str]:
        """Width, height and mode of `picture`."""
        return self.picture.width, self.picture.height, self.picture.mode

    def seen(self, region: tuple[int, int, int, int], residual: np.ndarray) -> np.ndarray:
        """What is left to see of a residual (h, w, C) int16 over a region (x, y, w, h) of the picture, once it is in
        the file: (h, w, C) int16 or float32. The residual itself where the format keeps pixels."""
        return residual

    def admit(self, face: FaceKey) -> FaceKey:
        """The key of a face, with whatever this photo cannot take of its noise left out."""
        return face

    @abstractmethod
    def put_on(self, face: FaceKey) -> Self:
        """With a face's noise on it."""

    @abstractmethod
    def take_off(self, face: FaceKey) -> Self:
        """With a face's noise off again. Faces come off in any order."""

    @abstractmethod
    def under(self, face: FaceKey) -> bytes:
        """SHA-256 of what lies under a face's template."""

    @abstractmethod
    def digest(self) -> bytes:
        """SHA-256 of all that has to stay as it is between protecting and restoring."""


class PhotoFile(Carrier):
    """A photo in a file, opened.

    suffixes: endings of the format's file names, with the dot, the usual one first; what is written gets the original's
    own where that is one of them. keeps_pixels: whether the restored file may be another one of the same pixels.
    """

    suffixes: ClassVar[tuple[str, ...]]
    keeps_pixels: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def probe(cls, head: bytes) -> bool:
        """Whether a file that begins with `head` (at most `PROBED` bytes) is of this format."""

    @classmethod
    @abstractmethod
    def read(cls, data: bytes, name: str) -> Self:
        """Open a file's bytes; `name` is for messages.

        Raises:
            UnreadablePhoto: cut short, hostile, or of a variety that cannot be restored exactly.
        """

    def encode(self) -> bytes:
        """A file of the same kind that shows `picture`, without any other copy of the faces. Made once, and kept."""
        return self._encoded

    @cached_property
    def _encoded(self) -> bytes:
        return self._encode()

    @abstractmethod
    def _encode(self) -> bytes:
        """What `encode` gives."""

    @abstractmethod
    def saved(self, protected: bytes) -> bytes:
        """What leads from the protected file back to the bytes of this one, beside the faces' noise."""

    @abstractmethod
    def rebuild(self, saved: bytes, protected: bytes) -> bytes:
        """The original file: of this carrier, which has the noise off, and what `saved` gave.

        Raises:
            ForeignKey: `saved` does not fit the protected file.
        """

    def as_copy(self, saved: bytes) -> Self | None:
        """This file where it is taken for a copy of the protected one in which nothing but the picture is as it was:
        with what the key saved of the rest. None where `digest` is of the picture alone.

        Raises:
            ForeignKey: `saved` does not tell enough.
        """
        return None


PROBED = 1 << 20
"""Bytes. What tells one WebP from another may come after a colour profile."""
