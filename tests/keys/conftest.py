from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from keys import envelope, keyring, parse
from keys.payload import FaceKey, Payload
from keys.recipients import Identity, PassphraseIdentity, PassphraseRecipient, X25519Identity, X25519Recipient


@pytest.fixture(scope="session")
def payload() -> Payload:
    """Two faces of different shapes, and values at the edges of their ranges."""
    rng = np.random.default_rng(7)
    faces = []
    for number, blocks, shape, corner, held in (
        (256, 500, (256, 256, 3), 0, [0, 1, 2, 7, 2**32 - 1]),
        (1, 3, (40, 30, 1), 700, [5]),
    ):
        faces.append(
            FaceKey(
                number=number,
                box=(-5, corner, 300, 310),
                region=(corner, corner, 300, 300),
                transform=rng.integers(-(2**40), 2**40, (2, 3), endpoint=True),
                blocks=rng.choice(4096, blocks, replace=False).astype(np.uint16),
                recognizer=rng.integers(0, 2, blocks).astype(np.uint8),
                group=rng.integers(0, 6, blocks).astype(np.uint8),
                tau=rng.normal(0, 1e30, blocks).astype(np.float32),
                lattice=rng.integers(-128, 128, shape).astype(np.int8) * (rng.random(shape) < 0.1),
                held=np.array(held, np.uint32),
                thumbnail=rng.integers(0, 256, (64, 64)).astype(np.uint8),
            )
        )
    return Payload(
        width=1000,
        height=1000,
        mode="RGB",
        kind="pixels",
        name="Žena 家族 \U0001f468\u200d\U0001f469 1.23\u202fPM.tar.png",
        modified=2**63 - 1,
        original_digest=bytes(32),
        protected_digest=b"\xff" * 32,
        secret=rng.bytes(32),
        recognizers=("dlib-resnet29", "sface"),
        faces=tuple(faces),
        saved=rng.bytes(5000),
        whole=True,
    )


@pytest.fixture(scope="session")
def unseal() -> Callable[[bytes, Identity], bytes]:
    """What is in a key file of one lock."""

    def open_(key_file: bytes, identity: Identity) -> bytes:
        (jwe,) = parse.parse(key_file)
        return envelope.unseal(jwe, identity)

    return open_


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


@pytest.fixture(scope="session")
def part(payload: Payload) -> Callable[..., Payload]:
    """The payload of just these faces: copies of the small one."""

    def make(*numbers: int) -> Payload:
        faces = tuple(replace(payload.faces[1], number=number) for number in numbers)
        return replace(payload, faces=faces, saved=b"", whole=False)

    return make


@pytest.fixture(scope="session")
def group(payload: Payload, part: Callable[..., Payload]) -> SimpleNamespace:
    """A key file of a group photo: face 1 for Alice, face 2 for Bob and a passphrase, everything for a hospital."""
    keys = {name: X25519PrivateKey.generate() for name in ("alice", "bob", "hospital", "stranger")}
    recipients = {name: X25519Recipient(key.public_key()) for name, key in keys.items()}
    passphrase = b"correct horse"
    locks = [
        keyring.Lock(part(1), [recipients["alice"]]),
        keyring.Lock(part(2), [recipients["bob"], PassphraseRecipient(passphrase)]),
        keyring.Lock(payload, [recipients["hospital"]]),
    ]
    return SimpleNamespace(
        **{name: X25519Identity(key) for name, key in keys.items()},
        passphrase=PassphraseIdentity(passphrase),
        keys=keys,
        recipients=recipients,
        locks=locks,
        key_file=keyring.seal(locks),
    )
