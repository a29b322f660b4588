from types import SimpleNamespace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from keys import envelope
from keys.payload import FaceKey, Payload
from keys.recipients import PassphraseRecipient, X25519Identity, X25519Recipient


@pytest.fixture(scope="session")
def payload() -> Payload:
    """Two faces of different shapes, and values at the edges of their ranges."""
    rng = np.random.default_rng(7)
    faces = []
    for blocks, shape, corner in ((500, (256, 256, 3), 0), (3, (40, 30, 1), 700)):
        faces.append(
            FaceKey(
                box=(-5, corner, 300, 310),
                region=(corner, corner, 300, 300),
                transform=rng.integers(-(2**40), 2**40, (2, 3), endpoint=True),
                blocks=rng.choice(4096, blocks, replace=False).astype(np.uint16),
                recognizer=rng.integers(0, 2, blocks).astype(np.uint8),
                group=rng.integers(0, 6, blocks).astype(np.uint8),
                tau=rng.normal(0, 1e30, blocks).astype(np.float32),
                lattice=rng.integers(-128, 128, shape).astype(np.int8) * (rng.random(shape) < 0.1),
            )
        )
    return Payload(
        width=1000,
        height=1000,
        mode="RGB",
        original_digest=bytes(32),
        protected_digest=b"\xff" * 32,
        secret=rng.bytes(32),
        recognizers=("dlib-resnet29", "sface"),
        faces=tuple(faces),
    )


@pytest.fixture(scope="session")
def sealed() -> SimpleNamespace:
    """A key file for two, the reader and the passphrase; what is in it; and a stranger."""
    plain = np.random.default_rng(1).bytes(3000)
    passphrase = b"correct horse"
    private_key = X25519PrivateKey.generate()
    recipients = [X25519Recipient(private_key.public_key()), PassphraseRecipient(passphrase)]
    return SimpleNamespace(
        plain=plain,
        passphrase=passphrase,
        private_key=private_key,
        reader=X25519Identity(private_key),
        stranger=X25519Identity(X25519PrivateKey.generate()),
        key_file=envelope.seal(plain, recipients),
    )
