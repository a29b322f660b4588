"""What every commercial recognizer offers: an answer about two photos, and what one has to know before asking."""

import importlib.util
import io
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from veilkey.commercial.meter import Meter, Pace
from veilkey.errors import BadCredentials, ServiceError, UnreadablePhoto


@dataclass(frozen=True)
class Comparison:
    """What a service says about two photos.

    similarity: 0..1, or None where it found no face in one of them.
    threshold: 0..1, from which on the service itself would say that they show one person.
    """

    similarity: float | None
    threshold: float

    @property
    def found(self) -> bool:
        """Whether a face was found in both photos."""
        return self.similarity is not None

    @property
    def matches(self) -> bool:
        """Whether the service takes the two for one person, at its usual threshold."""
        return self.similarity is not None and self.similarity >= self.threshold


@dataclass(frozen=True)
class Limits:
    """Which pictures a service takes: JPEG or PNG files of these sizes; sides in pixels, 0 for no limit."""

    most_bytes: int
    least_side: int = 0
    most_long_side: int = 0
    most_short_side: int = 0

    def check(self, photo: bytes, title: str) -> None:
        """Refuse a picture that the service would refuse, before it is sent.

        Raises:
            UnreadablePhoto: it is over a limit, which the message names.
        """
        from PIL import Image

        if len(photo) > self.most_bytes:
            size, most = len(photo) / 1e6, self.most_bytes / 1e6
            raise UnreadablePhoto(f"{title} takes files up to {most:.1f} MB, this one has {size:.1f}: make it smaller")
        try:
            with Image.open(io.BytesIO(photo), formats=("JPEG", "PNG")) as image:
                short, long = sorted(image.size)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            raise UnreadablePhoto(f"{title} takes JPEG and PNG files: this is neither") from None
        if short < self.least_side:
            raise UnreadablePhoto(f"{title} takes pictures from {self.least_side} pixels a side, this one has {short}")
        most_long, most_short = self.most_long_side or long, self.most_short_side or short
        if long > most_long or short > most_short:
            limit = f"up to {most_long}x{most_short} pixels"
            raise UnreadablePhoto(f"{title} takes pictures {limit}, this one has {long}x{short}: make it smaller")


class Service(ABC):
    """A commercial recognizer that judges. One subclass a file; `veilkey.commercial.get` finds it by `name`."""

    name: ClassVar[str]
    title: ClassVar[str]
    """The service as its vendor calls it, for messages."""
    extra: ClassVar[str]
    """What to pip install when `is_available()` is false."""
    packages: ClassVar[tuple[str, ...]]
    environment: ClassVar[tuple[str, ...]]
    """Environment variables that it takes its credentials from."""
    usd_per_call: ClassVar[float | None]
    """List price of one call, without discounts and free allowances; None where no list price could be confirmed."""
    price_source: ClassVar[str]
    """Whose list price that is, for what, and when it was read."""
    calls_per_comparison: ClassVar[int]
    calls_per_second: ClassVar[float]
    threshold: ClassVar[float]
    """Usual threshold, on the scale 0..1: two faces of at least this similarity count as one person."""
    scale: ClassVar[str]
    """What the vendor's own similarity is, and where the threshold is from."""
    limits: ClassVar[Limits]

    # A try is given up after `timeout_s` seconds without a byte; the waits between tries double from `first_wait_s` on
    # (boto3 has waits of its own).
    tries: ClassVar[int] = 4
    timeout_s: ClassVar[float] = 30.0
    first_wait_s: ClassVar[float] = 1.0

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._pace = Pace(self.calls_per_second)

    @classmethod
    def is_available(cls) -> bool:
        """Whether the packages that it needs are here."""
        return all(importlib.util.find_spec(package) is not None for package in cls.packages)

    def compare(self, first: bytes, second: bytes) -> Comparison:
        """Ask whether two pictures, JPEG or PNG files of at most `limits`, show one person.

        Raises:
            UnreadablePhoto: a picture is over the service's limits; nothing was sent.
            CallsSpent: the meter does not allow the calls; nothing was sent.
            BadCredentials: the service does not accept the keys.
            ServiceBusy: throttled, broken or silent at every try.
            ServiceError: refused for another reason, or an answer that is not as documented.
        """
        for photo in (first, second):
            self.limits.check(photo, self.title)
        self._meter.require(self.calls_per_comparison)
        return self._ask(first, second)

    @abstractmethod
    def _ask(self, first: bytes, second: bytes) -> Comparison:
        """Send the pictures, which are within the limits."""

    @classmethod
    def _credentials(cls) -> list[str]:
        """Values of the environment variables, in order."""
        missing = [name for name in cls.environment if not os.environ.get(name, "").strip()]
        if missing:
            raise BadCredentials(f"{cls.name} needs credentials: set {' and '.join(missing)}")
        return [os.environ[name].strip() for name in cls.environment]

    def _before_call(self) -> None:
        """Count a call and wait for its turn: once before each try."""
        self._meter.spend()
        self._pace.wait()

    def _no_face(self) -> Comparison:
        return Comparison(None, self.threshold)

    def _similarity(self, value: Any, top: float) -> float:
        """A number of an answer, 0..top, brought to 0..1."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= top:
            raise self._unexpected()
        return value / top

    def _unexpected(self) -> ServiceError:
        return ServiceError(f"{self.title} answered something else than it documents: its interface may have changed")
