"""Wrong key, damaged key, other photo, edited photo: a clear error and nothing written (issue 2, item 4)."""

import io
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from keys import envelope, keyring
from keys.payload import to_bytes
from keys.recipients import PassphraseIdentity, PassphraseRecipient, X25519Identity, load_identity, load_recipient
from veilkey.carriers import Picture, Pixels, encode_png, open_photo, read_photo
from veilkey.errors import ForeignKey, KeyFileError
from veilkey.restorer import restore, restore_file

SECONDS = 2.0
MEMORY = 500 * 2**20


def restored(image: np.ndarray, key: bytes, identity: X25519Identity | PassphraseIdentity) -> np.ndarray | None:
    """What restoring gives, or None where it refuses as it should."""
    try:
        return restore(Pixels(Picture(image, "RGB")), keyring.unseal(key, identity)).picture.pixels
    except (KeyFileError, ForeignKey) as error:
        assert str(error) and "\n" not in str(error)
        return None


def flip(data: bytes, bit: int) -> bytes:
    altered = bytearray(data)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)


@pytest.mark.parametrize("part", range(4))
def test_one_flipped_bit_in_200_places(protected: SimpleNamespace, key_pair: SimpleNamespace, part: int) -> None:
    identity = load_identity(key_pair.private)
    random = np.random.default_rng(part)
    bits = random.choice(8 * len(protected.key), 50, replace=False)
    refused = 0
    for bit in bits:
        image = restored(protected.image, flip(protected.key, int(bit)), identity)
        assert image is None or np.array_equal(image, protected.original)
        refused += image is None
    # Nearly every bit of a key file carries something.
    assert refused >= 45


def test_the_key_unharmed_restores(protected: SimpleNamespace, key_pair: SimpleNamespace) -> None:
    """Without this, everything here could pass because nothing ever opens."""
    for identity in (load_identity(key_pair.private), PassphraseIdentity(protected.passphrase.encode())):
        assert np.array_equal(restored(protected.image, protected.key, identity), protected.original)


def test_truncated_keys(protected: SimpleNamespace, key_pair: SimpleNamespace) -> None:
    identity = load_identity(key_pair.private)
    for length in [0, 1, 100, *range(500, len(protected.key), 499), len(protected.key) - 1]:
        assert restored(protected.image, protected.key[:length], identity) is None


@pytest.mark.parametrize("where", [(0, 0, 0), (511, 511, 2), (118, 226, 1), (300, 20, 0)])
@pytest.mark.parametrize("change", [1, 128])
def test_one_edited_pixel(
    protected: SimpleNamespace, key_pair: SimpleNamespace, where: tuple[int, int, int], change: int
) -> None:
    edited = protected.image.copy()
    edited[where] ^= change
    assert restored(edited, protected.key, load_identity(key_pair.private)) is None


def test_other_keys_and_readers(protected: SimpleNamespace, key_pair: SimpleNamespace, other_key: bytes) -> None:
    assert restored(protected.image, protected.key, load_identity(key_pair.stranger)) is None
    assert restored(protected.image, protected.key, PassphraseIdentity(b"wrong")) is None
    assert restored(protected.image, other_key, load_identity(key_pair.private)) is None


def test_pictures_that_show_the_same_do_not_matter(protected: SimpleNamespace, key_pair: SimpleNamespace) -> None:
    """A program that writes the same pixels into another lossless file has not edited the photo."""
    from PIL import Image

    identity = load_identity(key_pair.private)
    for kind, options in (("PNG", {"optimize": True}), ("TIFF", {}), ("BMP", {}), ("WEBP", {"lossless": True})):
        buffer = io.BytesIO()
        Image.fromarray(protected.image).save(buffer, kind, **options)
        again = open_photo(buffer.getvalue())
        payloads = keyring.unseal(protected.key, identity)
        assert np.array_equal(restore(again, payloads).picture.pixels, protected.original)


def test_a_key_with_an_altered_lattice_gives_nothing(protected: SimpleNamespace, key_pair: SimpleNamespace) -> None:
    """Sealed properly, by someone who can, but not what `protect` made: it does not lead to the original."""
    (payload,) = keyring.unseal(protected.key, load_identity(key_pair.private))
    lattice = payload.faces[0].lattice
    lattice[np.unravel_index(np.abs(lattice.astype(int)).argmax(), lattice.shape)] = 0
    with pytest.raises(ForeignKey, match="original"):
        restore_file(open_photo(protected.file), [payload])


# One of each by the command, with what it costs.


def rounds(key: bytes) -> bytes:
    data = json.loads(key)
    for entry in data["recipients"]:
        if "p2c" in entry["header"]:
            entry["header"]["p2c"] = 10**9
    return json.dumps(data).encode()


def bomb(payload: object, public: Path) -> bytes:
    """A properly sealed key whose lattice claims a terabyte, in chunks that would inflate to a gigabyte."""
    buffer = io.BytesIO(to_bytes(payload))
    with h5py.File(buffer, "r+", libver=("v110", "v110")) as file:
        del file["lattice"]
        chunk = 2**30
        options = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
        lattice = file.create_dataset("lattice", shape=(2**40,), dtype="i1", chunks=(chunk,), **options)
        packer = zlib.compressobj(1)
        zeros = bytes(2**24)
        data = b"".join(packer.compress(zeros) for _ in range(64)) + packer.flush()
        lattice.id.write_direct_chunk((0,), data)
    return envelope.seal(buffer.getvalue(), [load_recipient(public)])


def edited(protected: SimpleNamespace) -> bytes:
    image = protected.image.copy()
    image[100, 100, 0] ^= 1
    return encode_png(Picture(image, "RGB"))


Parts = dict[str, object]
CLOSED: dict[str, Callable[[SimpleNamespace], Parts]] = {
    "wrong passphrase": lambda s: {"passphrase": "not it"},
    "another recipient": lambda s: {"identity": s.keys.stranger},
    "flipped bit": lambda s: {"key": flip(s.key, 8 * (len(s.key) // 2))},
    "truncated key": lambda s: {"key": s.key[: len(s.key) // 2]},
    "empty key": lambda s: {"key": b""},
    "another photo's key": lambda s: {"key": s.other},
    "one pixel edited": lambda s: {"picture": edited(s)},
    "the original instead": lambda s: {"picture": s.photo.read_bytes()},
    "a key of 100 MB": lambda s: {"key": b"{" * 100_000_000},
    "10^9 rounds": lambda s: {"key": rounds(s.key), "passphrase": s.passphrase},
    "an HDF5 bomb": lambda s: {"key": bomb(s.payload, s.keys.public)},
    "no key file": lambda s: {"key": None},
    "a picture as the key": lambda s: {"key": s.photo.read_bytes()},
    "a public key as the identity": lambda s: {"identity": s.keys.public},
    "an empty passphrase": lambda s: {"passphrase": ""},
}


@pytest.mark.parametrize("name", CLOSED)
def test_the_command_says_no(
    protected: SimpleNamespace,
    key_pair: SimpleNamespace,
    other_key: bytes,
    measured: Callable[..., SimpleNamespace],
    tmp_path: Path,
    name: str,
) -> None:
    given = SimpleNamespace(**vars(protected), keys=key_pair, other=other_key)
    parts: Parts = {"key": protected.key, "picture": protected.file.read_bytes(), **CLOSED[name](given)}
    (tmp_path / "a.veiled.png").write_bytes(parts["picture"])
    if parts["key"] is not None:
        (tmp_path / "a.veiled.png.veilkey").write_bytes(parts["key"])
    arguments = ["restore", "a.veiled.png"]
    if "passphrase" in parts:
        (tmp_path / "passphrase").write_text(parts["passphrase"])
        arguments += ["--passphrase-file", "passphrase"]
    else:
        arguments += ["-i", str(parts.get("identity", key_pair.private))]
    before = {path.name for path in tmp_path.iterdir()}

    done = measured(tmp_path, *arguments)

    assert done.code == 4, done.error
    assert done.error.startswith("veilkey: ") and done.error.count("\n") == 1, done.error
    assert done.output == ""
    assert {path.name for path in tmp_path.iterdir()} == before
    # Processor time, because other programs may keep the machine busy.
    assert done.seconds < SECONDS
    assert done.memory < MEMORY


def test_the_command_says_yes(
    protected: SimpleNamespace, key_pair: SimpleNamespace, measured: Callable[..., SimpleNamespace], tmp_path: Path
) -> None:
    (tmp_path / "a.veiled.png").write_bytes(protected.file.read_bytes())
    (tmp_path / "a.veiled.png.veilkey").write_bytes(protected.key)
    done = measured(tmp_path, "restore", "a.veiled.png", "-i", str(key_pair.private))
    assert done.code == 0, done.error
    assert np.array_equal(read_photo(tmp_path / "a.restored.png").pixels, protected.original)
    assert done.seconds < SECONDS and done.memory < MEMORY


def test_no_plaintext_of_the_key_reaches_the_disk(protected: SimpleNamespace, tmp_path: Path) -> None:
    """The secret is nowhere in what was written."""
    for path in (protected.file, protected.key_file):
        assert protected.payload.secret not in path.read_bytes()
    assert PassphraseRecipient(b"x").header["alg"] in protected.key.decode()
