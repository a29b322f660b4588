"""What every kind of recipient has in common."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from joserfc.jwk import Key

from keys.errors import DamagedKey

Header = dict[str, Any]


class Recipient(Protocol):
    """Whom a key file is sealed for: writes one entry into it."""

    key: Key
    """What the content key is wrapped with."""
    header: Header
    """The entry's header: "alg", and what else the kind adds to what the algorithm adds by itself."""


class Identity(Protocol):
    """What a key file is opened with: reads the entries that are meant for it."""

    name: str
    """What messages call it; never anything secret."""
    key: Key
    """What the content key is unwrapped with."""

    def opens(self, header: Header) -> bool:
        """Whether the entry with this header is, or may be, for this identity."""
        ...


def _none(_: object) -> None:
    return None


@dataclass(frozen=True)
class Kind:
    """One kind of recipient; a new one is one more file and its ``KIND`` in ``kinds.py``."""

    alg: str
    """The JWE algorithm of its entries; kinds may share one."""
    claims: Callable[[Header], bool]
    """Whether an entry's header (its "alg" a str, all else unchecked) is of this kind."""
    check: Callable[[Header], None]
    """Raises DamagedKey or UnsupportedKey where a claimed header is not what this kind writes; does nothing costly."""
    recipient: Callable[[object], Recipient | None] = _none
    """A recipient for a public key object of ``cryptography``; None when it is of another type."""
    identity: Callable[[object], Identity | None] = _none
    """An identity for a private key object of ``cryptography``; None when it is of another type."""


def require_members(header: Header, needed: set[str], allowed: frozenset[str] = frozenset()) -> None:
    """Raises DamagedKey unless ``header`` has all of ``needed``, and beside them only what is ``allowed``."""
    if not needed <= header.keys() <= needed | allowed:
        raise DamagedKey("the key file has an entry with unexpected parts; get it again")


def require_base64(value: object, shortest: int, longest: int) -> None:
    """Raises DamagedKey unless ``value`` is base64url text of so many characters."""
    if not isinstance(value, str) or not re.fullmatch(f"[A-Za-z0-9_-]{{{shortest},{longest}}}", value):
        raise DamagedKey("the key file has an entry with a malformed part; get it again")
