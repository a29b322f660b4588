"""Random numbers that follow from a photo's secret, one independent stream a purpose."""

import hashlib

import numpy as np

SECRET_BYTES = 32


def stream(secret: bytes, purpose: str) -> "np.random.Generator":  # quoted: restoring needs none, and does not load it
    """Generator for one purpose; the same secret and purpose give the same numbers on every machine.

    The secret is hashed with the purpose (keyed BLAKE2b), so that one stream says nothing of another.
    """
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"`secret` must have {SECRET_BYTES} bytes. Received: {len(secret)}")
    digest = hashlib.blake2b(purpose.encode(), key=secret, digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def derive(secret: bytes, purpose: str) -> bytes:
    """A secret of its own for a part of the photo, from which the photo's cannot be told."""
    return hashlib.blake2b(purpose.encode(), key=secret, digest_size=SECRET_BYTES).digest()
