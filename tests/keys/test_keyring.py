import base64
import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from keys import envelope, keyring, parse
from keys.errors import DamagedKey, KeyFileError, UnsupportedKey, WrongIdentity
from keys.keyring import Lock
from keys.payload import Payload, to_bytes
from keys.recipients import Identity, PassphraseIdentity, PassphraseRecipient, X25519Identity, X25519Recipient

Part = Callable[..., Payload]


def assert_opens(key_file: bytes, identity: Identity, *payloads: Payload) -> None:
    assert [to_bytes(opened) for opened in keyring.unseal(key_file, identity)] == [to_bytes(p) for p in payloads]


def test_each_opens_what_is_theirs(group: SimpleNamespace) -> None:
    first, second, whole = (lock.payload for lock in group.locks)
    assert_opens(group.key_file, group.alice, first)
    assert_opens(group.key_file, group.bob, second)
    assert_opens(group.key_file, group.passphrase, second)
    assert_opens(group.key_file, group.hospital, whole)


def test_one_lock_is_a_plain_jwe(group: SimpleNamespace, unseal: Callable[..., bytes]) -> None:
    for lock, identity in zip(group.locks, (group.alice, group.bob, group.hospital), strict=True):
        key_file = keyring.seal([lock])
        assert json.loads(key_file).keys() == {"protected", "recipients", "iv", "ciphertext", "tag"}
        assert unseal(key_file, identity) == to_bytes(lock.payload)
        assert_opens(key_file, identity, lock.payload)


def test_one_who_may_open_several_gets_them_all(group: SimpleNamespace, part: Part) -> None:
    parts = [part(9), part(3, 4), part(200)]
    locks = [Lock(parts[0], [group.recipients["alice"]]), Lock(parts[1], [group.recipients["bob"]])]
    locks.append(Lock(parts[2], [group.recipients["bob"], group.recipients["alice"]]))
    assert_opens(keyring.seal(locks), group.alice, parts[0], parts[2])


def test_one_who_may_open_the_whole_gets_just_that(group: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[tuple[int, ...] | None] = []
    honest = envelope.unseal

    def unseal(jwe: parse.Jwe, identity: Identity) -> bytes:
        attempts.append(jwe.faces)
        return honest(jwe, identity)

    monkeypatch.setattr(envelope, "unseal", unseal)
    locks = [replace(lock, recipients=[group.recipients["alice"]]) for lock in group.locks]
    for order in itertools.permutations(locks):
        attempts.clear()
        assert_opens(keyring.seal(order), group.alice, group.locks[2].payload)
        assert attempts == [None]


def test_nobody_else_opens_any(group: SimpleNamespace) -> None:
    with pytest.raises(WrongIdentity, match="not sealed for the X25519 key"):
        keyring.unseal(group.key_file, group.stranger)
    for locks in (group.locks, group.locks[::-1]):
        with pytest.raises(WrongIdentity, match="the passphrase does not open"):
            keyring.unseal(keyring.seal(locks), PassphraseIdentity(b"correct horsf"))
    with pytest.raises(WrongIdentity, match="not sealed for the passphrase"):
        keyring.unseal(keyring.seal(group.locks[::2]), group.passphrase)


def test_one_passphrase_opens_as_many_faces_as_a_key_file_takes(part: Part) -> None:
    parts = [part(number) for number in range(1, parse.MAX_PASSPHRASES + 1)]
    key_file = keyring.seal([Lock(payload, [PassphraseRecipient(b"x")]) for payload in parts])
    assert_opens(key_file, PassphraseIdentity(b"x"), *parts)


def test_each_passphrase_opens_its_face(part: Part) -> None:
    names = [b"a", b"b"]
    parts = [part(number) for number in (1, 2)]
    locks = [Lock(payload, [PassphraseRecipient(name)]) for payload, name in zip(parts, names, strict=True)]
    key_file = keyring.seal(locks)
    for payload, name in zip(parts, names, strict=True):
        assert_opens(key_file, PassphraseIdentity(name), payload)


def test_locks_share_nothing(group: SimpleNamespace) -> None:
    """The same payload for the same recipient twice: another content key, and so other bytes everywhere."""
    again = json.loads(keyring.seal(group.locks))["locks"]
    for one, other in itertools.combinations([*json.loads(group.key_file)["locks"], *again], 2):
        for name in ("iv", "tag"):
            assert one[name] != other[name]
        assert one["ciphertext"][:40] != other["ciphertext"][:40]
        assert one["recipients"][0]["encrypted_key"] != other["recipients"][0]["encrypted_key"]


def test_describe_tells_what_is_visible(group: SimpleNamespace) -> None:
    shown = keyring.describe(group.key_file)
    assert (shown.version, shown.enc, shown.file_bytes) == (3, "A256GCM", len(group.key_file))
    assert [lock.faces for lock in shown.locks] == [(1,), (2,), None]
    assert [lock.payload_bytes for lock in shown.locks] == [len(to_bytes(lock.payload)) for lock in group.locks]
    assert [[(entry.alg, entry.p2c) for entry in lock.recipients] for lock in shown.locks] == [
        [("ECDH-ES+A256KW", None)],
        [("ECDH-ES+A256KW", None), ("PBES2-HS512+A256KW", 210_000)],
        [("ECDH-ES+A256KW", None)],
    ]
    assert shown.locks[0].recipients[0].kid == group.recipients["alice"].header["kid"]
    assert shown.locks[1].recipients[1].kid is None
    (only,) = keyring.describe(keyring.seal(group.locks[1:2])).locks
    assert only.faces == (2,)


def test_the_largest_photo_of_a_group(part: Part) -> None:
    """256 faces, each for somebody else, and everything for one: the most locks that there can be."""
    keys = [X25519PrivateKey.generate() for _ in range(257)]
    parts = [part(number) for number in range(1, 257)]
    locks = [
        Lock(payload, [X25519Recipient(key.public_key())])
        for payload, key in zip([*parts, replace(part(*range(1, 257)), whole=True)], keys, strict=True)
    ]
    key_file = keyring.seal(locks)
    for number in (0, 255, 256):
        assert_opens(key_file, X25519Identity(keys[number]), locks[number].payload)
    assert_opens(
        keyring.seal([Lock(part(*range(1, 257)), locks[0].recipients)]), X25519Identity(keys[0]), part(*range(1, 257))
    )


# What cannot be sealed.

REFUSED: dict[str, Callable[[Part, Payload, list], Sequence[Lock]]] = {
    "no locks": lambda part, whole, some: [],
    "258 locks": lambda part, whole, some: [Lock(whole, some)] * 258,
    "a lock without recipients": lambda part, whole, some: [Lock(part(1), some), Lock(part(2), [])],
    "two passphrases": lambda part, whole, some: [Lock(whole, [PassphraseRecipient(b"a"), PassphraseRecipient(b"b")])],
    "9 passphrases": lambda part, whole, some: [Lock(part(i), [PassphraseRecipient(b"a")]) for i in range(1, 10)],
    "1025 recipients": lambda part, whole, some: [Lock(part(1), some * 1000), Lock(part(2), some * 25)],
    "two whole": lambda part, whole, some: [Lock(whole, some), Lock(whole, some)],
    "a face twice": lambda part, whole, some: [Lock(part(1, 2), some), Lock(part(2, 3), some)],
    "two photos": lambda part, whole, some: [Lock(part(1), some), Lock(replace(part(2), height=1001), some)],
    "two kinds": lambda part, whole, some: [Lock(part(1), some), Lock(replace(whole, kind="jpeg"), some)],
    "two digests": lambda part, whole, some: [
        Lock(part(1), some),
        Lock(replace(whole, protected_digest=bytes(32)), some),
    ],
    "40 MiB saved": lambda part, whole, some: [
        Lock(replace(part(number), saved=bytes(20 * 2**20)), some) for number in (1, 2)
    ],
    "a file of 40 MiB": lambda part, whole, some: [
        Lock(replace(payload, saved=np.random.default_rng(5).bytes(15 * 2**20)), some) for payload in (whole, part(1))
    ],
}


@pytest.mark.parametrize("name", REFUSED)
def test_seal_refuses(group: SimpleNamespace, payload: Payload, part: Part, name: str) -> None:
    with pytest.raises(ValueError):
        keyring.seal(REFUSED[name](part, payload, [group.recipients["alice"]]))


# What is refused before any work is done.

Change = Callable[[list[Any]], object]
ONE_WITH = b'{"typ":"veilkey+jwe","v":3,"enc":"A256GCM","faces":[1]}'


def joined(*jwes: bytes) -> bytes:
    return b'{"locks":[' + b",".join(jwes) + b"]}"


def encoded(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def changed(key_file: bytes, change: Change) -> bytes:
    data = json.loads(key_file)
    change(data["locks"])
    return json.dumps(data).encode()


HOSTILE: dict[str, tuple[Change, type[KeyFileError]]] = {
    "none": (lambda locks: locks.clear(), DamagedKey),
    "a text": (lambda locks: locks.append("x"), DamagedKey),
    "a list": (lambda locks: locks.append([]), DamagedKey),
    "locks in a lock": (lambda locks: locks.append({"locks": locks[:1]}), DamagedKey),
    "258 locks": (lambda locks: locks.extend(locks[:1] * 255), DamagedKey),
    "3000 locks": (lambda locks: locks.extend(locks[:1] * 2997), DamagedKey),
    "a face twice": (lambda locks: locks.append(locks[0]), DamagedKey),
    "a whole one twice": (lambda locks: locks.append(locks[2]), DamagedKey),
    "two with the same face": (lambda locks: locks[1].update(protected=encoded(ONE_WITH)), DamagedKey),
    "a newer version": (
        lambda locks: locks[1].update(protected=encoded(ONE_WITH.replace(b'"v":3', b'"v":4'))),
        UnsupportedKey,
    ),
    "1025 recipients": (lambda locks: locks[2].update(recipients=locks[2]["recipients"] * 1022), DamagedKey),
    "no recipients": (lambda locks: locks[2].update(recipients=[]), DamagedKey),
    "two passphrases": (lambda locks: locks[1]["recipients"].append(locks[1]["recipients"][1]), DamagedKey),
    "alg dir": (lambda locks: locks[2]["recipients"][0]["header"].update(alg="dir"), UnsupportedKey),
    "10^9 rounds": (lambda locks: locks[1]["recipients"][1]["header"].update(p2c=10**9), UnsupportedKey),
    "short iv": (lambda locks: locks[2].update(iv="AAAA"), DamagedKey),
}


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test if a key is derived or anything is decrypted."""
    monkeypatch.setattr(envelope, "decrypt_json", lambda *_, **__: pytest.fail("work was done before the limits"))


def assert_refused(key_file: bytes, error: type[KeyFileError], group: SimpleNamespace) -> None:
    for identity in (group.alice, group.passphrase, group.hospital, group.stranger):
        with pytest.raises(KeyFileError) as caught:
            keyring.unseal(key_file, identity)
        assert type(caught.value) is error
        assert "\n" not in str(caught.value)
    with pytest.raises(error):
        keyring.describe(key_file)


@pytest.mark.parametrize("name", HOSTILE)
def test_refused_without_work(group: SimpleNamespace, no_work: None, name: str) -> None:
    change, error = HOSTILE[name]
    assert_refused(changed(group.key_file, change), error, group)


def test_refused_beside_the_locks(group: SimpleNamespace, no_work: None) -> None:
    data = json.loads(group.key_file)
    for altered in (
        {**data, "more": 1},
        {**data, **data["locks"][0]},
        {"locks": data["locks"][0]},
        {"locks": "x"},
        {"locks": None},
    ):
        assert_refused(json.dumps(altered).encode(), DamagedKey, group)
    assert_refused(group.key_file.replace(b'{"locks"', b'{"locks":[],"locks"'), DamagedKey, group)


def test_nine_passphrases_are_refused(group: SimpleNamespace, no_work: None) -> None:
    jwes = [envelope.seal(b"x", [PassphraseRecipient(b"x")], (number,)) for number in range(1, 10)]
    assert_refused(joined(*jwes), DamagedKey, group)


# What shows only when a lock is opened: sealed properly, by someone who may.


def test_a_lock_that_holds_something_else_than_it_says(group: SimpleNamespace, payload: Payload, part: Part) -> None:
    for contents, said in (
        (part(1), (2,)),
        (part(1), None),
        (part(1, 2), (1,)),
        (part(1), (1, 2)),
        (payload, (1, 256)),
    ):
        key_file = envelope.seal(to_bytes(contents), [group.recipients["alice"]], said)
        with pytest.raises(DamagedKey, match="something else"):
            keyring.unseal(key_file, group.alice)


def test_locks_of_two_photos(group: SimpleNamespace, part: Part) -> None:
    for changes in ({"protected_digest": bytes(32)}, {"width": 1001}, {"kind": "jpeg"}):
        other = replace(part(2), **changes)
        jwes = [
            keyring.seal([Lock(part(1), [group.recipients["alice"], group.recipients["bob"]])]),
            keyring.seal([Lock(other, [group.recipients["alice"]])]),
        ]
        with pytest.raises(DamagedKey, match="different photos"):
            keyring.unseal(joined(*jwes), group.alice)
        assert_opens(joined(*jwes), group.bob, part(1))


def test_locks_that_together_say_too_much_are_not_inflated(group: SimpleNamespace, part: Part) -> None:
    payloads = [replace(part(number), saved=bytes(11 * 2**20)) for number in (1, 2)]
    jwes = [keyring.seal([Lock(payload, [group.recipients["alice"]])]) for payload in payloads]
    assert_opens(jwes[1], group.alice, payloads[1])
    with pytest.raises(DamagedKey, match="declares"):
        keyring.unseal(joined(*jwes), group.alice)


def test_junk_in_a_lock(group: SimpleNamespace, part: Part) -> None:
    jwes = [
        envelope.seal(b"junk", [group.recipients["alice"]], (2,)),
        keyring.seal([Lock(part(1), [group.recipients["alice"], group.recipients["bob"]])]),
    ]
    with pytest.raises(DamagedKey):
        keyring.unseal(joined(*jwes), group.alice)
    assert_opens(joined(*jwes), group.bob, part(1))


def test_a_lock_that_is_not_for_one_does_not_matter(group: SimpleNamespace) -> None:
    """Nor can a stranger tell a damaged lock from a good one."""
    altered = changed(group.key_file, lambda locks: locks[1].update(ciphertext="AAAA"))
    assert_opens(altered, group.alice, group.locks[0].payload)
    with pytest.raises(DamagedKey):
        keyring.unseal(altered, group.bob)
    messages = set()
    for key_file in (group.key_file, altered):
        for identity in (group.stranger, PassphraseIdentity(b"wrong")):
            with pytest.raises(WrongIdentity) as caught:
                keyring.unseal(key_file, identity)
            messages.add(str(caught.value))
    assert len(messages) == 2


def test_what_a_lock_says_to_hold_is_authenticated(group: SimpleNamespace) -> None:
    for faces in (None, (3,), (1, 3)):
        header = json.dumps(parse.protected_header(faces), separators=(",", ":")).encode()
        data = json.loads(without(group.key_file, 2))
        data["locks"][0]["protected"] = encoded(header)
        with pytest.raises(DamagedKey):
            keyring.unseal(json.dumps(data).encode(), group.alice)


def without(key_file: bytes, number: int) -> bytes:
    return changed(key_file, lambda locks: locks.pop(number))


def test_the_order_of_locks_does_not_matter_and_one_may_be_taken_out(group: SimpleNamespace) -> None:
    first, second, whole = (lock.payload for lock in group.locks)
    turned = changed(group.key_file, lambda locks: locks.reverse())
    assert_opens(turned, group.hospital, whole)
    assert_opens(turned, group.alice, first)
    assert_opens(without(group.key_file, 0), group.bob, second)
    with pytest.raises(WrongIdentity):
        keyring.unseal(without(group.key_file, 0), group.alice)
    assert_opens(changed(group.key_file, lambda locks: locks.__delitem__(slice(1, 3))), group.alice, first)


# Flipped bits: an error, or exactly what is sealed.


@pytest.fixture(scope="module")
def small(group: SimpleNamespace, part: Part) -> SimpleNamespace:
    """Three locks with little in them; `reader` may open all."""
    recipient = group.recipients["alice"]
    payloads = [part(1), part(2), replace(part(1, 2), whole=True)]
    passphrase = PassphraseRecipient(b"correct horse")
    locks = [Lock(payloads[0], [recipient]), Lock(payloads[1], [recipient, passphrase]), Lock(payloads[2], [recipient])]
    return SimpleNamespace(contents={to_bytes(p) for p in payloads}, key_file=keyring.seal(locks), reader=group.alice)


def assert_closed(key_file: bytes, identity: Identity, contents: set[bytes]) -> int:
    try:
        opened = keyring.unseal(key_file, identity)
    except KeyFileError:
        return 1
    assert opened and {to_bytes(payload) for payload in opened} <= contents
    return 0


def flipped(data: bytes, bit: int) -> bytes:
    altered = bytearray(data)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)


def test_flipped_bits_in_300_places(small: SimpleNamespace) -> None:
    bits = np.linspace(0, 8 * len(small.key_file) - 1, 300).astype(int)
    refused = sum(assert_closed(flipped(small.key_file, int(bit)), small.reader, small.contents) for bit in bits)
    assert refused >= 100  # the whole lock's: it alone is opened


def test_flipped_bits_in_the_locks_of_faces(small: SimpleNamespace) -> None:
    key_file = without(small.key_file, 2)
    bits = np.linspace(0, 8 * len(key_file) - 1, 200).astype(int)
    refused = sum(assert_closed(flipped(key_file, int(bit)), small.reader, small.contents) for bit in bits)
    assert refused >= 170


def test_flipped_bits_with_a_passphrase(small: SimpleNamespace, group: SimpleNamespace) -> None:
    for bit in np.linspace(0, 8 * len(small.key_file) - 1, 12).astype(int):
        assert_closed(flipped(small.key_file, int(bit)), group.passphrase, small.contents)


# What a hostile file may cost.
