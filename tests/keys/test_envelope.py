import base64
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from keys import envelope, parse
from keys.errors import DamagedKey, KeyFileError, UnsupportedKey, WrongIdentity
from keys.recipients import PassphraseIdentity, PassphraseRecipient, X25519Identity, X25519Recipient


def test_every_recipient_opens_it(sealed: SimpleNamespace, unseal: Callable[..., bytes]) -> None:
    assert unseal(sealed.key_file, sealed.reader) == sealed.plain
    assert unseal(sealed.key_file, PassphraseIdentity(sealed.passphrase)) == sealed.plain


def test_nobody_else_does(sealed: SimpleNamespace, unseal: Callable[..., bytes]) -> None:
    with pytest.raises(WrongIdentity, match="not sealed for the X25519 key"):
        unseal(sealed.key_file, sealed.stranger)
    with pytest.raises(WrongIdentity, match="the passphrase does not open"):
        unseal(sealed.key_file, PassphraseIdentity(b"correct horsf"))


def test_a_passphrase_does_not_open_what_has_none(sealed: SimpleNamespace, unseal: Callable[..., bytes]) -> None:
    key_file = envelope.seal(b"x", [X25519Recipient(sealed.private_key.public_key())])
    with pytest.raises(WrongIdentity, match="not sealed for the passphrase"):
        unseal(key_file, PassphraseIdentity(sealed.passphrase))


def test_sealing_twice_shares_nothing(sealed: SimpleNamespace) -> None:
    recipients = [X25519Recipient(sealed.private_key.public_key()), PassphraseRecipient(b"x")]
    one, other = (json.loads(envelope.seal(b"same", recipients)) for _ in range(2))
    for part in ("iv", "ciphertext", "tag"):
        assert one[part] != other[part]
    assert one["recipients"][0]["header"]["epk"] != other["recipients"][0]["header"]["epk"]
    assert one["recipients"][1]["header"]["p2s"] != other["recipients"][1]["header"]["p2s"]


@pytest.mark.parametrize(
    "recipients",
    [[], [PassphraseRecipient(b"a"), PassphraseRecipient(b"b")], [PassphraseRecipient(b"a")] * 1025],
    ids=["none", "two passphrases", "too many"],
)
def test_seal_refuses(recipients: list[PassphraseRecipient]) -> None:
    with pytest.raises(ValueError):
        envelope.seal(b"x", recipients)


def test_seal_refuses_what_could_not_be_opened(sealed: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="must fit"):
        envelope.seal(bytes(25 * 2**20), [X25519Recipient(sealed.private_key.public_key())])


def test_the_largest_key_file_opens(sealed: SimpleNamespace, unseal: Callable[..., bytes]) -> None:
    plain = bytes(23 * 2**20)
    key_file = envelope.seal(plain, [X25519Recipient(sealed.private_key.public_key())])
    assert unseal(key_file, sealed.reader) == plain


def test_the_most_recipients_open(sealed: SimpleNamespace, unseal: Callable[..., bytes]) -> None:
    others = [X25519Recipient(X25519PrivateKey.generate().public_key())] * (parse.MAX_RECIPIENTS - 1)
    key_file = envelope.seal(b"x", [*others, X25519Recipient(sealed.private_key.public_key())])
    assert unseal(key_file, sealed.reader) == b"x"


def test_entries_without_a_kid_are_tried(sealed: SimpleNamespace, unseal: Callable[..., bytes]) -> None:
    others = [X25519Recipient(X25519PrivateKey.generate().public_key()) for _ in range(5)]
    data = json.loads(envelope.seal(b"x", [*others, X25519Recipient(sealed.private_key.public_key())]))
    for entry in data["recipients"]:
        del entry["header"]["kid"]
    key_file = json.dumps(data).encode()
    assert unseal(key_file, sealed.reader) == b"x"
    with pytest.raises(WrongIdentity):
        unseal(key_file, sealed.stranger)


def test_an_entry_under_another_kid_does_not_open(sealed: SimpleNamespace, unseal: Callable[..., bytes]) -> None:
    data = json.loads(sealed.key_file)
    data["recipients"][0]["header"]["kid"] = X25519Recipient(X25519PrivateKey.generate().public_key()).header["kid"]
    with pytest.raises(WrongIdentity):
        unseal(json.dumps(data).encode(), sealed.reader)


# Ways to fail that are seen before any work is done.

Change = Callable[[dict[str, Any]], None]


def protected(**changes: object) -> Change:
    """Changes members of the protected header; None takes one out."""

    def change(data: dict[str, Any]) -> None:
        text = base64.urlsafe_b64decode(data["protected"] + "==")
        header = {name: value for name, value in {**json.loads(text), **changes}.items() if value is not None}
        data["protected"] = encode(json.dumps(header, separators=(",", ":")).encode())

    return change


def encode(text: bytes) -> str:
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def top(**changes: object) -> Change:
    return lambda data: data.update(changes)


def entry(number: int, **changes: object) -> Change:
    return lambda data: data["recipients"][number].update(changes)


def header(number: int, **changes: object) -> Change:
    return lambda data: data["recipients"][number]["header"].update(changes)


def without(*path: str | int) -> Change:
    def change(data: Any) -> None:
        *way, last = path
        for step in way:
            data = data[step]
        del data[last]

    return change


def twice(number: int, times: int) -> Change:
    return lambda data: data["recipients"].extend([data["recipients"][number]] * times)


def nested(depth: int) -> object:
    value: object = {}
    for _ in range(depth):
        value = [value]
    return value


HEADER = b'{"typ":"veilkey+jwe","v":3,"enc":"A256GCM"}'

REFUSED: list[tuple[str, Change, type[KeyFileError]]] = [
    ("newer version", protected(v=4), UnsupportedKey),
    ("early version", protected(v=1), UnsupportedKey),
    ("version 0", protected(v=0), DamagedKey),
    ("version true", protected(v=True), DamagedKey),
    ("version text", protected(v="3"), DamagedKey),
    ("no version", protected(v=None), DamagedKey),
    ("other typ", protected(typ="JOSE+JSON"), DamagedKey),
    ("no typ", protected(typ=None), DamagedKey),
    ("zip", protected(zip="DEF"), UnsupportedKey),
    ("enc A128GCM", protected(enc="A128GCM"), UnsupportedKey),
    ("enc CBC", protected(enc="A256CBC-HS512"), UnsupportedKey),
    ("enc none", protected(enc="none"), UnsupportedKey),
    ("enc list", protected(enc=["A256GCM"]), UnsupportedKey),
    ("no enc", protected(enc=None), UnsupportedKey),
    ("crit", protected(crit=["v"]), DamagedKey),
    ("alg in protected", protected(alg="dir"), DamagedKey),
    ("long protected", protected(typ="x" * 2000), DamagedKey),
    ("no faces", protected(faces=[]), DamagedKey),
    ("faces a number", protected(faces=1), DamagedKey),
    ("faces a text", protected(faces="1"), DamagedKey),
    ("faces an object", protected(faces={"1": 1}), DamagedKey),
    ("face 0", protected(faces=[0, 1]), DamagedKey),
    ("face 257", protected(faces=[257]), DamagedKey),
    ("face true", protected(faces=[True]), DamagedKey),
    ("face 1.0", protected(faces=[1.0]), DamagedKey),
    ("face a text", protected(faces=["1"]), DamagedKey),
    ("face a list", protected(faces=[[1]]), DamagedKey),
    ("face twice", protected(faces=[1, 1]), DamagedKey),
    ("faces out of order", protected(faces=[2, 1]), DamagedKey),
    ("faces with a blank", top(protected=encode(HEADER[:-1] + b',"faces":[1, 2]}')), UnsupportedKey),
    ("300 faces", protected(faces=list(range(1, 301))), DamagedKey),
    ("spaced protected", top(protected=encode(HEADER.replace(b",", b", "))), UnsupportedKey),
    ("protected twice", top(protected=encode(HEADER.replace(b'"v"', b'"v":4,"v"'))), DamagedKey),
    ("protected a list", top(protected=encode(b"[]")), DamagedKey),
    ("protected nested", top(protected=encode(b"[" * 1500)), DamagedKey),
    ("protected not base64", top(protected="A"), DamagedKey),
    ("protected a number", top(protected=1), DamagedKey),
    ("no protected", without("protected"), DamagedKey),
    ("unprotected", top(unprotected={"zip": "DEF"}), DamagedKey),
    ("aad", top(aad="AAAA"), DamagedKey),
    ("flattened", without("recipients"), DamagedKey),
    ("no iv", without("iv"), DamagedKey),
    ("short iv", top(iv="AAAA"), DamagedKey),
    ("short tag", top(tag="AAAAAA"), DamagedKey),
    ("empty tag", top(tag=""), DamagedKey),
    ("tag a list", top(tag=[]), DamagedKey),
    ("ciphertext with a blank", top(ciphertext="AAAA AAAA"), DamagedKey),
    ("ciphertext nested", top(ciphertext=nested(50)), DamagedKey),
    ("recipients an object", top(recipients={}), DamagedKey),
    ("no recipients", top(recipients=[]), DamagedKey),
    ("recipients nested", top(recipients=nested(50)), DamagedKey),
    ("1025 recipients", twice(0, 1023), DamagedKey),
    ("2000 recipients", twice(0, 1998), DamagedKey),
    ("20000 recipients", twice(0, 19998), DamagedKey),
    ("two passphrases", twice(1, 1), DamagedKey),
    ("entry a text", top(recipients=["x"]), DamagedKey),
    ("entry with more", entry(0, more=1), DamagedKey),
    ("no encrypted_key", without("recipients", 0, "encrypted_key"), DamagedKey),
    ("long encrypted_key", entry(0, encrypted_key="A" * 2000), DamagedKey),
    ("header a list", entry(0, header=[]), DamagedKey),
    ("no alg", without("recipients", 0, "header", "alg"), DamagedKey),
    ("alg none", header(0, alg="none"), UnsupportedKey),
    ("alg dir", header(0, alg="dir"), UnsupportedKey),
    ("alg ECDH-ES", header(0, alg="ECDH-ES"), UnsupportedKey),
    ("alg RSA1_5", header(0, alg="RSA1_5"), UnsupportedKey),
    ("alg PBES2-HS256", header(1, alg="PBES2-HS256+A128KW"), UnsupportedKey),
    ("alg a number", header(0, alg=1), DamagedKey),
    ("zip in an entry", header(0, zip="DEF"), DamagedKey),
    ("epk P-256", header(0, epk={"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}), UnsupportedKey),
    ("epk with d", header(0, epk={"kty": "OKP", "crv": "X25519", "x": "A" * 43, "d": "A" * 43}), DamagedKey),
    ("epk short", header(0, epk={"kty": "OKP", "crv": "X25519", "x": "AAAA"}), DamagedKey),
    ("epk a text", header(0, epk="x"), UnsupportedKey),
    ("kid with an escape", header(0, kid="\x1b[2J"), DamagedKey),
    ("10^9 rounds", header(1, p2c=10**9), UnsupportedKey),
    ("1 round", header(1, p2c=1), UnsupportedKey),
    ("-1 rounds", header(1, p2c=-1), UnsupportedKey),
    ("rounds a float", header(1, p2c=210000.0), DamagedKey),
    ("rounds true", header(1, p2c=True), DamagedKey),
    ("no rounds", without("recipients", 1, "header", "p2c"), DamagedKey),
    ("short salt", header(1, p2s="AAAA"), DamagedKey),
    ("long salt", header(1, p2s="A" * 100), DamagedKey),
]


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test if a key is derived or anything is decrypted."""

    def work(*_: object, **__: object) -> None:
        pytest.fail("work was done before the limits were checked")

    monkeypatch.setattr(envelope, "decrypt_json", work)


@pytest.mark.parametrize(("name", "change", "error"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refused_without_work(
    sealed: SimpleNamespace,
    no_work: None,
    name: str,
    change: Change,
    error: type[KeyFileError],
    unseal: Callable[..., bytes],
) -> None:
    data = json.loads(sealed.key_file)
    change(data)
    key_file = json.dumps(data).encode()
    for identity in (sealed.reader, PassphraseIdentity(sealed.passphrase)):
        with pytest.raises(KeyFileError) as caught:
            unseal(key_file, identity)
        assert type(caught.value) is error
        assert "\n" not in str(caught.value)


def test_no_member_may_come_twice(sealed: SimpleNamespace, no_work: None, unseal: Callable[..., bytes]) -> None:
    with pytest.raises(DamagedKey):
        unseal(sealed.key_file.replace(b'{"protected"', b'{"iv":"","protected"'), sealed.reader)


JUNK = {
    "empty": b"",
    "text": b"hello",
    "null": b"null",
    "list": b"[]",
    "number": b"1" * 10_000,
    "not a number": b"NaN",
    "not UTF-8": b"\xff\xfe",
    "UTF-16": '{"protected":""}'.encode("utf-16"),
    "lone surrogate": b'{"protected":"\\ud800"}',
    "nested": b"[" * 30_000,
    "nested objects": b'{"a":' * 30_000,
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(1000),
}


@pytest.mark.parametrize("name", JUNK)
def test_junk_is_refused(sealed: SimpleNamespace, no_work: None, name: str, unseal: Callable[..., bytes]) -> None:
    with pytest.raises(DamagedKey):
        unseal(JUNK[name], sealed.reader)


FLOODS = {
    "100 MB of zeros": bytes(100_000_000),
    "100 MB of brackets": b"[" * 100_000_000,
    "32 MiB of brackets": b"[" * parse.MAX_KEY_FILE,
    "32 MiB of lists": b"[" + b"[]," * (parse.MAX_KEY_FILE // 3 - 1),
    "32 MiB of objects": b"[" + b"{}," * (parse.MAX_KEY_FILE // 3 - 1),
    "32 MiB of numbers": b"[" + b"1.5," * (parse.MAX_KEY_FILE // 4 - 1),
}


@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_does_not_reach_the_json_parser(
    sealed: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, name: str, unseal: Callable[..., bytes]
) -> None:
    monkeypatch.setattr(parse.json, "loads", lambda *_, **__: pytest.fail("parsed"))
    with pytest.raises(DamagedKey):
        unseal(FLOODS[name], sealed.reader)


# Ways to fail that decryption finds.

ALTERED: list[tuple[str, Change, type[KeyFileError]]] = [
    ("no ciphertext", top(ciphertext=""), DamagedKey),
    ("other ciphertext", top(ciphertext="AAAA"), DamagedKey),
    ("ciphertext of odd length", top(ciphertext="AAAAA"), DamagedKey),
    ("faces that were not there", protected(faces=[1]), DamagedKey),
    ("other iv", top(iv="A" * 16), DamagedKey),
    ("other tag", top(tag="A" * 22), DamagedKey),
    ("reordered protected", top(protected=encode(b'{"v":3,"typ":"veilkey+jwe","enc":"A256GCM"}')), DamagedKey),
    ("other wrapped key", entry(0, encrypted_key="A" * 54), WrongIdentity),
    ("short wrapped key", entry(0, encrypted_key="AAAA"), WrongIdentity),
    ("wrapped key not base64", entry(0, encrypted_key="A" * 53), DamagedKey),
    ("epk of small order", header(0, epk={"kty": "OKP", "crv": "X25519", "x": "A" * 43}), DamagedKey),
    ("epk not base64", header(0, epk={"kty": "OKP", "crv": "X25519", "x": "A" * 42 + "B"}), DamagedKey),
    (
        "the passphrase's key",
        lambda data: entry(0, encrypted_key=data["recipients"][1]["encrypted_key"])(data),
        WrongIdentity,
    ),
]


@pytest.mark.parametrize(("name", "change", "error"), ALTERED, ids=[row[0] for row in ALTERED])
def test_altered(
    sealed: SimpleNamespace, name: str, change: Change, error: type[KeyFileError], unseal: Callable[..., bytes]
) -> None:
    data = json.loads(sealed.key_file)
    change(data)
    with pytest.raises(KeyFileError) as caught:
        unseal(json.dumps(data).encode(), sealed.reader)
    assert type(caught.value) is error


def assert_closed(
    unseal: Callable[..., bytes], key_file: bytes, identity: X25519Identity | PassphraseIdentity, plain: bytes
) -> None:
    """A bit that carries nothing may leave the exact payload; anything else is a KeyFileError."""
    try:
        assert unseal(key_file, identity) == plain
    except KeyFileError:
        pass


def flipped(data: bytes, bit: int) -> bytes:
    altered = bytearray(data)
    altered[bit // 8] ^= 1 << (bit % 8)
    return bytes(altered)


def test_every_bit_around_the_ciphertext(sealed: SimpleNamespace, unseal: Callable[..., bytes]) -> None:
    data = sealed.key_file
    start = data.index(b'"ciphertext"') + 20
    for byte in (*range(start), *range(data.index(b'"tag"') - 5, len(data))):
        assert_closed(unseal, flipped(data, 8 * byte + byte % 8), sealed.reader, sealed.plain)


def test_flipped_bits_in_200_places(sealed: SimpleNamespace, unseal: Callable[..., bytes]) -> None:
    for number in range(200):
        bit = number * (8 * len(sealed.key_file)) // 200 + number % 8
        assert_closed(unseal, flipped(sealed.key_file, bit), sealed.reader, sealed.plain)


def test_flipped_bits_with_a_passphrase(sealed: SimpleNamespace, unseal: Callable[..., bytes]) -> None:
    identity = PassphraseIdentity(sealed.passphrase)
    for number in range(24):
        bit = 8 * len(sealed.key_file) - 1 - 113 * number  # from the end: the passphrase's entry is the last
        assert_closed(unseal, flipped(sealed.key_file, bit), identity, sealed.plain)


def test_a_key_file_cut_short_is_refused(sealed: SimpleNamespace, unseal: Callable[..., bytes]) -> None:
    for length in range(0, len(sealed.key_file), 17):
        with pytest.raises(DamagedKey):
            unseal(sealed.key_file[:length], sealed.reader)
    with pytest.raises(DamagedKey):
        unseal(sealed.key_file[:-1], sealed.reader)
