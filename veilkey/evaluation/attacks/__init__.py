"""What somebody without the key can try who has the code, the weights, and protected photos of other people.

To add one: a subclass of `Attack` in a file of its own, with its idea or source in the docstring, and a line in the
table here.
"""

import importlib

from veilkey.errors import UsageError
from veilkey.evaluation.attacks.base import Attack

__all__ = ["Attack", "get", "names"]

_ATTACKS = {
    "regenerate": "regenerate:Regenerate",
    "reattack": "reattack:Reattack",
    "average": "average:Average",
    "subtract": "subtract:Subtract",
    "purify": "purify:Purify",
    "known-pair": "known_pair:KnownPair",
    "other-key": "other_key:OtherKey",
    "re-enrol": "re_enrol:ReEnrol",
    "transform": "transform:Transform",
}


def names() -> tuple[str, ...]:
    """Names of all attacks, in the order of tables."""
    return tuple(_ATTACKS)


def get(name: str) -> Attack:
    """An attack by its name.

    Raises UsageError where there is none.
    """
    if name not in _ATTACKS:
        raise UsageError(f"no attack is called {name!r}; there are {', '.join(_ATTACKS)}")
    module, kind = _ATTACKS[name].split(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), kind)()
