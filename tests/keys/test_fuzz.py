"""Key files that nobody thought of, made up by hypothesis from good ones: an error of ours, or exactly what is sealed.

Each test runs for about 3 seconds. For 10 minutes each, by hand:

    VEILKEY_FUZZ_SECONDS=600 pytest tests/keys/test_fuzz.py
"""

import base64
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keys import keyring
from keys.errors import KeyFileError
from keys.keyring import Lock
from keys.payload import Payload, from_bytes, to_bytes

SECONDS = float(os.environ.get("VEILKEY_FUZZ_SECONDS", 3))

# No database, because each run is to find something new; `bounded` says how long opening may take.
EXAMPLES = settings(max_examples=200, deadline=None, database=None)


def repeat(test: Callable[[], None]) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        test()


Draw = Callable[[st.SearchStrategy[Any]], Any]


def altered_bytes(draw: Draw, originals: list[bytes]) -> bytes:
    """One of the originals with a few parts replaced, taken out, put in or repeated."""
    data = originals[draw(st.integers(0, len(originals) - 1))]
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(data)))
        end = draw(
            st.one_of(st.just(start), st.integers(start, min(start + 8, len(data))), st.integers(start, len(data)))
        )
        between = draw(
            st.one_of(
                st.binary(min_size=end - start, max_size=end - start) if end - start <= 8 else st.binary(max_size=8),
                st.sampled_from(
                    [data[start:end] * 2, b"[" * 300, b'{"locks":[', b"]}", b",", b'"', b"\xff" * 8, bytes(8)]
                ),
            )
        )
        data = data[:start] + between + data[end:]
    return data


WORDS = [
    "locks",
    "protected",
    "recipients",
    "header",
    "faces",
    "v",
    "alg",
    "epk",
    "kid",
    "p2c",
    "zip",
    "none",
    "A" * 43,
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(WORDS),
    lambda values: (
        st.lists(values, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(), values, max_size=4)
    ),
    max_leaves=8,
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key or index) in a JSON value."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from places(value[key])


def altered_json(draw: Draw, originals: list[bytes]) -> bytes:
    """One of the originals with a few values, also of the protected headers, replaced, taken out, repeated or moved."""
    data = json.loads(originals[draw(st.integers(0, len(originals) - 1))])
    jwes = data.get("locks", [data])
    for jwe in jwes:
        jwe["protected"] = json.loads(base64.urlsafe_b64decode(jwe["protected"] + "=="))
    for _ in range(draw(st.integers(1, 4))):
        spots = [*places(data)]
        if not spots:
            break
        container, key = spots[draw(st.integers(0, len(spots) - 1))]
        change = draw(st.sampled_from(["replace", "remove", "repeat", "move"]))
        if change == "replace":
            container[key] = draw(VALUES)
        elif change == "remove":
            del container[key]
        elif change == "repeat" and isinstance(container, list):
            container.extend([json.loads(json.dumps(container[key]))] * draw(st.sampled_from([1, 300])))
        elif change == "move":
            other, name = spots[draw(st.integers(0, len(spots) - 1))]
            other[name] = json.loads(json.dumps(container[key]))
    for jwe in jwes:
        if isinstance(jwe, dict) and isinstance(jwe.get("protected"), dict):
            text = json.dumps(jwe["protected"], separators=(",", ":")).encode()
            jwe["protected"] = base64.urlsafe_b64encode(text).rstrip(b"=").decode()
    return json.dumps(data).encode()


@pytest.fixture(scope="module")
def key_files(group: SimpleNamespace, part: Callable[..., Payload]) -> SimpleNamespace:
    payloads = [part(1), part(2, 3), replace(part(1, 2, 3), whole=True)]
    locks = [Lock(payload, [group.recipients["alice"], group.recipients["bob"]]) for payload in payloads]
    files = [keyring.seal(locks), keyring.seal(locks[:2]), keyring.seal(locks[:1]), keyring.seal(locks[2:])]
    return SimpleNamespace(files=files, contents={to_bytes(payload) for payload in payloads}, reader=group.alice)


@pytest.mark.parametrize("altered", [altered_bytes, altered_json])
def test_key_files(
    key_files: SimpleNamespace,
    bounded: Callable[[], AbstractContextManager[None]],
    altered: Callable[[Draw, list[bytes]], bytes],
) -> None:
    @EXAMPLES
    @given(st.data())
    def examples(data: st.DataObject) -> None:
        key_file = altered(data.draw, key_files.files)
        with bounded():
            try:
                opened = keyring.unseal(key_file, key_files.reader)
            except KeyFileError as error:
                assert "\n" not in str(error)
                return
        assert opened and {to_bytes(payload) for payload in opened} <= key_files.contents
        assert keyring.describe(key_file).locks

    repeat(examples)


def test_payloads(payload: Payload, bounded: Callable[[], AbstractContextManager[None]]) -> None:
    """What is inside, as someone might seal it who wants to do harm."""
    small = replace(payload, faces=payload.faces[1:], saved=b"saved" * 20)

    originals = [to_bytes(small), to_bytes(replace(small, faces=()))]

    @EXAMPLES
    @given(st.data())
    def examples(data: st.DataObject) -> None:
        altered = altered_bytes(data.draw, originals)
        with bounded():
            try:
                from_bytes(altered)
            except KeyFileError as error:
                assert "\n" not in str(error)

    repeat(examples)
