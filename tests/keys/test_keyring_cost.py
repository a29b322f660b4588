"""What opening a key file of many locks costs at most."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keys import envelope, keyring
from keys.keyring import Lock
from keys.payload import Payload, to_bytes
from keys.recipients import PassphraseRecipient

Part = Callable[..., Payload]


COMMAND = """
import sys, time
from keys import keyring
from keys.errors import KeyFileError
from keys.recipients import PassphraseIdentity, load_identity
key_file, pem = (open(path, "rb").read() for path in sys.argv[1:3])
identity = load_identity(pem) if sys.argv[3] == "pem" else PassphraseIdentity(b"correct horse")
try:
    keyring.describe(key_file)
except KeyFileError:
    pass
try:
    print("opened", len(keyring.unseal(key_file, identity)))
except KeyFileError as error:
    print(type(error).__name__)
lines = dict(line.split(":") for line in open("/proc/self/status"))
print(time.process_time(), int(lines["VmHWM"].split()[0]) * 1024)
"""


def joined(*jwes: bytes) -> bytes:
    return b'{"locks":[' + b",".join(jwes) + b"]}"


def rounds(*jwes: bytes) -> bytes:
    """The most rounds that a passphrase entry may ask for."""
    altered = [json.loads(jwe) for jwe in jwes]
    for jwe in altered:
        jwe["recipients"][0]["header"]["p2c"] = 300_000
    return json.dumps({"locks": altered}).encode()


def without_kids(*jwes: bytes) -> bytes:
    altered = [json.loads(jwe) for jwe in jwes]
    for jwe in altered:
        for entry in jwe["recipients"]:
            del entry["header"]["kid"]
    return json.dumps({"locks": altered}).encode()


def bomb(part: Part, number: int, saved: bytes) -> tuple[bytes, tuple[int, ...]]:
    """85 faces with all that a payload may hold, and their numbers."""
    blocks = 2**20 // 85
    most = replace(
        part(number).faces[0],
        region=(0, 0, 512, 512),
        lattice=np.zeros((512, 512, 3), np.int8),
        blocks=np.zeros(blocks, np.uint16),
        recognizer=np.zeros(blocks, np.uint8),
        group=np.zeros(blocks, np.uint8),
        tau=np.zeros(blocks, np.float32),
        held=np.arange(blocks, dtype=np.uint32),
    )
    numbers = tuple(range(number, number + 85))
    faces = tuple(replace(most, number=each) for each in numbers)
    return to_bytes(replace(part(*numbers), faces=faces, saved=saved)), numbers


Cost = tuple[Callable[[Part, list, list], bytes], str, str]
COSTLY: dict[str, Cost] = {
    "as many passphrases as may be": (
        lambda part, me, others: rounds(
            *(envelope.seal(to_bytes(part(i)), [PassphraseRecipient(b"no")], (i,)) for i in range(1, 9))
        ),
        "passphrase",
        "WrongIdentity",
    ),
    "as many passphrases as may be, each right": (
        lambda part, me, others: keyring.seal(
            [Lock(part(i), [PassphraseRecipient(b"correct horse")]) for i in range(1, 9)]
        ),
        "passphrase",
        "opened 8",
    ),
    "1024 entries to try in 256 locks": (
        lambda part, me, others: without_kids(*(envelope.seal(b"x", others * 4, (i,)) for i in range(1, 257))),
        "pem",
        "WrongIdentity",
    ),
    "256 locks that open": (
        lambda part, me, others: keyring.seal([Lock(part(i), me) for i in range(1, 257)]),
        "pem",
        "opened 256",
    ),
    "256 locks of 90 KB that open": (
        lambda part, me, others: joined(*(envelope.seal(bytes(90_000), me, (i,)) for i in range(1, 257))),
        "pem",
        "DamagedKey",
    ),
    "three of the largest payloads": (
        lambda part, me, others: joined(
            *(
                envelope.seal(contents, me, numbers)
                for contents, numbers in (
                    bomb(part, 1, np.random.default_rng(6).bytes(20 * 2**20)),
                    bomb(part, 86, bytes(20 * 2**20)),
                    bomb(part, 171, bytes(20 * 2**20)),
                )
            )
        ),
        "pem",
        "DamagedKey",
    ),
    "32 MiB of saved noise": (
        lambda part, me, others: keyring.seal(
            [Lock(replace(part(i), saved=np.random.default_rng(i).bytes(10 * 2**20)), me) for i in (1, 2)]
        ),
        "pem",
        "opened 2",
    ),
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measures memory through /proc")
@pytest.mark.parametrize("name", COSTLY)
def test_a_key_file_costs_under_two_seconds_and_500_mb(
    group: SimpleNamespace,
    part: Part,
    environment: dict[str, str],
    tmp_path: Path,
    name: str,
    usual: Callable[[float], float],
) -> None:
    make, kind, outcome = COSTLY[name]
    pem = group.keys["alice"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key").write_bytes(make(part, [group.recipients["alice"]], [group.recipients["bob"]]))
    (tmp_path / "pem").write_bytes(pem)
    arguments = [sys.executable, "-c", COMMAND, "key", "pem", kind]
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True)
    answer, cost = done.stdout.splitlines()
    seconds, memory = map(float, cost.split())
    print(f"{seconds:.2f} s, {memory / 2**20:.0f} MiB")
    assert answer == outcome
    # Processor time, because other programs may keep the machine busy.
    assert usual(seconds) < 2 and memory < 500 * 2**20
