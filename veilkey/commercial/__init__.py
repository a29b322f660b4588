"""Commercial face recognizers as judges: what they say about two photos, and what asking them costs.

Photos leave the machine. So a service is only made with a `Meter`, which counts and bounds the calls, and whoever asks
on a user's behalf shows the `quote` first and calls `Quote.permit`.

To add one: a subclass of `Service` in a file of its own and a line in the table here.
"""

import importlib
from collections.abc import Sequence

from veilkey.commercial.base import Comparison, Service
from veilkey.commercial.meter import Meter
from veilkey.commercial.quote import Cost, Quote
from veilkey.errors import MissingModel

__all__ = ["Comparison", "Cost", "Meter", "Quote", "Service", "get", "kind", "names", "quote"]

_SERVICES = {
    "rekognition": "veilkey.commercial.rekognition:Rekognition",
    "azure": "veilkey.commercial.azure:Azure",
    "facepp": "veilkey.commercial.facepp:FacePlusPlus",
    "baidu": "veilkey.commercial.baidu:Baidu",
}


def names() -> tuple[str, ...]:
    """Names of all services."""
    return tuple(_SERVICES)


def kind(name: str) -> type[Service]:
    """The class of a service: its price, threshold and limits, for which nothing needs to be installed."""
    if name not in _SERVICES:
        raise MissingModel(f"no commercial recognizer is called {name!r}; there are {', '.join(_SERVICES)}")
    module, attribute = _SERVICES[name].split(":")
    return getattr(importlib.import_module(module), attribute)


def get(name: str, meter: Meter) -> Service:
    """A service that is ready to be asked. Sends nothing yet.

    Raises:
        MissingModel: there is none of this name, or its package is not installed.
        BadCredentials: its environment variables are not set.
    """
    found = kind(name)
    if not found.is_available():
        raise MissingModel(f'{name} needs a package that is not installed: pip install "{found.extra}"')
    return found(meter)


def quote(services: Sequence[str], comparisons: int) -> Quote:
    """What it costs to ask each of these services about so many pairs of photos."""
    return Quote(tuple(Cost.of(kind(name), comparisons) for name in services))
