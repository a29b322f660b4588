import io
import time
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import fields, replace

import h5py
import numpy as np
import pytest

from keys import payload as payloads
from keys.errors import DamagedKey, KeyFileError, UnsupportedKey
from keys.payload import FaceKey, Payload, from_bytes, to_bytes


def assert_same(a: Payload, b: Payload) -> None:
    for f in fields(Payload):
        if f.name != "faces":
            assert getattr(a, f.name) == getattr(b, f.name), f.name
    assert len(a.faces) == len(b.faces)
    for one, other in zip(a.faces, b.faces, strict=True):
        for f in fields(FaceKey):
            x, y = getattr(one, f.name), getattr(other, f.name)
            assert type(x) is type(y), f.name
            if isinstance(x, np.ndarray):
                assert (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes()), f.name
                assert y.flags.writeable and y.flags.owndata
            else:
                assert x == y, f.name


def test_round_trip_is_exact(payload: Payload) -> None:
    assert_same(payload, from_bytes(to_bytes(payload)))


def test_a_photo_without_faces_and_a_face_without_blocks(payload: Payload) -> None:
    bare = replace(payload, faces=(), recognizers=())
    assert_same(bare, from_bytes(to_bytes(bare)))
    empty = {name: getattr(payload.faces[0], name)[:0] for name in ("blocks", "recognizer", "group", "tau", "held")}
    blank = replace(payload, faces=(replace(payload.faces[0], **empty),))
    assert_same(blank, from_bytes(to_bytes(blank)))


def test_the_least_that_a_key_may_say(payload: Payload) -> None:
    least = replace(payload, faces=payload.faces[:1], name="", modified=0, saved=b"", whole=False)
    assert_same(least, from_bytes(to_bytes(least)))


@pytest.mark.parametrize("name", ["..a", "-f", " ", "C:a", "a" * 255, "\U0001f600" * 255, "a\u0301", "a.tar.gz\u202f"])
def test_names_that_files_have(payload: Payload, name: str) -> None:
    assert from_bytes(to_bytes(replace(payload, name=name))).name == name


def test_what_does_not_deflate_costs_no_more_than_its_size(payload: Payload) -> None:
    noise = np.random.default_rng(3).bytes(100_000)
    less, more = (len(to_bytes(replace(payload, saved=noise[:size]))) for size in (50_000, 100_000))
    assert more - less <= 50_000
    assert len(to_bytes(replace(payload, saved=bytes(100_000)))) < less


def test_runs_of_held_positions_cost_little(payload: Payload) -> None:
    """A saturated white wall: a hundred runs of a thousand positions each."""
    runs = [start + np.arange(1000) for start in range(0, 10**8, 10**6)]
    held = np.concatenate(runs).astype(np.uint32)
    walled = replace(payload, faces=(replace(payload.faces[0], held=held),))
    bare = replace(payload, faces=(replace(payload.faces[0], held=held[:0]),))
    assert_same(walled, from_bytes(to_bytes(walled)))
    assert len(to_bytes(walled)) - len(to_bytes(bare)) < 2500


def test_the_most_that_a_key_may_save(payload: Payload) -> None:
    most = replace(payload, saved=np.random.default_rng(4).bytes(payloads.MAX_SAVED))
    assert_same(most, from_bytes(to_bytes(most)))


def test_the_same_payload_gives_the_same_bytes_later(payload: Payload) -> None:
    first = to_bytes(payload)
    time.sleep(1.1)  # HDF5 would note the time, in seconds
    assert to_bytes(payload) == first


def test_the_secret_is_not_shown(payload: Payload) -> None:
    assert "secret" not in repr(payload) and "saved" not in repr(payload)


def test_other_programs_can_read_it(payload: Payload) -> None:
    with h5py.File(io.BytesIO(to_bytes(payload))) as file:
        assert set(file) == {"version", "photo", "recognizers", "faces", "template", "lattice", "held", "saved"}
        assert file["template"]["block"][:500].tolist() == payload.faces[0].blocks.tolist()
        assert file["lattice"][: 256 * 256 * 3].tobytes() == payload.faces[0].lattice.tobytes()
        assert np.cumsum(file["held"][:5]).tolist() == payload.faces[0].held.tolist()
        assert file["saved"][:].tobytes() == payload.saved
        assert file["photo"]["name"][0].decode() == payload.name


OUT_OF_RANGE = [
    {"width": 0},
    {"height": 65_536},
    {"width": 12_001, "height": 10_001},
    {"mode": "CMYK"},
    {"original_digest": b"short"},
    {"protected_digest": b"short"},
    {"secret": b"short"},
    {"recognizers": ("same", "same")},
    {"recognizers": ("two words", "b")},
    {"recognizers": ("", "b")},
    {"recognizers": ("only one",)},
    {"recognizers": tuple(str(i) for i in range(65))},
    {"width": 999},
    {"height": 999},
    {"kind": ""},
    {"kind": "JPEG"},
    {"kind": "a" * 17},
    {"kind": "jpeg\n"},
    {"kind": "é"},
    {"name": "."},
    {"name": ".."},
    {"name": "a/b"},
    {"name": "..\\b"},
    {"name": "a\nb"},
    {"name": "a\0"},
    {"name": "a\x7f"},
    {"name": "a\x9b"},
    {"name": "a\u2028"},
    {"name": "a\udcff"},
    {"name": "a" * 256},
    {"modified": -1},
    {"modified": 2**63},
    {"whole": False, "faces": ()},
    {"saved": bytes(payloads.MAX_SAVED + 1)},
]


@pytest.mark.parametrize("changes", OUT_OF_RANGE, ids=lambda c: ascii(c)[:40])
def test_a_payload_out_of_range_cannot_be_made(payload: Payload, changes: dict) -> None:
    with pytest.raises(ValueError):
        replace(payload, **changes)


FACE_OUT_OF_RANGE = [
    {"number": 0},
    {"number": 257},
    {"held": np.array([1, 1], np.uint32)},
    {"held": np.array([2, 1], np.uint32)},
    {"held": np.array([1, 2], np.int64)},
    {"held": np.array([[1, 2]], np.uint32)},
    {"box": (0, 0, 0, 10)},
    {"box": (2**31, 0, 10, 10)},
    {"region": (0, 0, 20, 300)},
    {"transform": np.zeros((3, 2), np.int64)},
    {"transform": np.zeros((2, 3))},
    {"blocks": np.array([0, 1, 4096], np.uint16)},
    {"blocks": np.array([0, 1, 2], np.int64)},
    {"blocks": np.array([0, 1], np.uint16)},
    {"group": np.array([0, 1, 6], np.uint8)},
    {"tau": np.array([0, 1, np.nan], np.float32)},
    {"tau": np.array([0, 1, np.inf], np.float32)},
    {"lattice": np.zeros((8, 8, 2), np.int8)},
    {"lattice": np.zeros((8, 8), np.int8)},
    {"lattice": np.zeros((0, 8, 1), np.int8)},
    {"lattice": np.zeros((301, 8, 1), np.int8)},
    {"lattice": np.zeros((8, 8, 1), np.int16)},
    {"region": (0, 0, 600, 600), "lattice": np.zeros((513, 8, 1), np.int8)},
]


@pytest.mark.parametrize("changes", FACE_OUT_OF_RANGE, ids=lambda c: f"{list(c)[-1]}-{len(str(c))}")
def test_a_face_out_of_range_cannot_be_made(payload: Payload, changes: dict) -> None:
    with pytest.raises(ValueError):
        replace(payload.faces[1], **changes)


def test_the_faces_together_are_limited(payload: Payload) -> None:
    with pytest.raises(ValueError, match="number of faces"):
        replace(payload, faces=(payload.faces[1],) * 257)
    with pytest.raises(ValueError, match="number is out of range"):
        replace(payload, faces=(payload.faces[1],) * 2)
    big = replace(payload.faces[0], region=(0, 0, 900, 900), lattice=np.zeros((512, 512, 3), np.int8))
    with pytest.raises(ValueError, match="size of lattice"):
        replace(payload, faces=tuple(replace(big, number=i + 1) for i in range(86)))
    half = replace(payload.faces[1], held=np.arange(2**19 + 1, dtype=np.uint32))
    with pytest.raises(ValueError, match="size of held"):
        replace(payload, faces=(half, replace(half, number=2)))


Change = Callable[[h5py.File], None]


def put(name: str, **options: object) -> Change:
    """Puts another dataset in the place of ``name``; by default the same data."""

    def change(file: h5py.File) -> None:
        data = file[name][:]
        del file[name]
        plain = {} if {"shape", "external"} & options.keys() else {"data": data}
        file.create_dataset(name, **{**plain, **options})

    return change


def link(name: str, target: object) -> Change:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = target

    return change


def edit(name: str, part: str, value: object) -> Change:
    def change(file: h5py.File) -> None:
        rows = file[name][:]
        rows[part][0] = value
        file[name][...] = rows

    return change


def chunk(make: Callable[[bytes], bytes], mask: int = 0) -> Change:
    """Stores something else as the one deflated chunk of the lattice."""

    def change(file: h5py.File) -> None:
        file["lattice"].id.write_direct_chunk((0,), make(file["lattice"][:].tobytes()), mask)

    return change


def virtual(file: h5py.File) -> None:
    size = file["lattice"].shape
    del file["lattice"]
    layout = h5py.VirtualLayout(size, "i1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", size)
    file.create_virtual_dataset("lattice", layout)


def group(file: h5py.File) -> None:
    del file["photo"]
    file.create_group("photo")


GZIP = {"compression": "gzip", "shuffle": True}
SIZE = 256 * 256 * 3 + 40 * 30

HOSTILE: dict[str, Change] = {
    "10^12 values declared": put("lattice", shape=(10**12,), dtype="i1", chunks=(1024,), **GZIP),
    "10^12 values in one piece": put("lattice", shape=(10**12,), dtype="i1"),
    "10^12 faces": put("faces", shape=(10**12,), dtype=payloads._FACE, chunks=(64,), **GZIP),
    "no photo": put("photo", shape=(0,), dtype=payloads._PHOTO),
    "no version": put("version", shape=(0,), dtype="<u2"),
    "version 0": lambda file: file["version"].write_direct(np.zeros(1, "<u2")),
    "soft link": link("lattice", h5py.SoftLink("/version")),
    "soft link to itself": link("lattice", h5py.SoftLink("/lattice")),
    "external link": link("lattice", h5py.ExternalLink("/etc/passwd", "/lattice")),
    "virtual dataset": virtual,
    "external storage": put("lattice", shape=(SIZE,), dtype="i1", external=[("/etc/passwd", 0, SIZE)]),
    "group": group,
    "extra dataset": lambda file: file.create_dataset("more", data=1),
    "extra name for a dataset": lambda file: file.__setitem__("b", file["photo"]),
    "missing dataset": lambda file: file.__delitem__("template"),
    "attribute of the file": lambda file: file.attrs.__setitem__("a", 1),
    "attribute of a dataset": lambda file: file["photo"].attrs.__setitem__("a", 1),
    "no filter": put("lattice"),
    "no shuffle": put("lattice", chunks=(SIZE,), compression="gzip"),
    "lzf": put("lattice", chunks=(SIZE,), compression="lzf", shuffle=True),
    "checksum": put("lattice", chunks=(SIZE,), fletcher32=True, **GZIP),
    "scale-offset": put("lattice", chunks=(SIZE,), scaleoffset=4),
    "many chunks": put("lattice", chunks=(1024,), **GZIP),
    "chunk larger than the data": put("version", chunks=(8,), maxshape=(None,), **GZIP),
    "no chunk stored": put("lattice", shape=(SIZE,), dtype="i1", chunks=(SIZE,), **GZIP),
    "int16": put("lattice", dtype="i2", chunks=(SIZE,), **GZIP),
    "uint8": put("lattice", dtype="u1", chunks=(SIZE,), **GZIP),
    "big-endian": put("version", dtype=">u2", chunks=(1,), **GZIP),
    "text of any length": put("recognizers", data=["a", "b"], dtype=h5py.string_dtype(), chunks=(2,), **GZIP),
    "two dimensions": put("lattice", shape=(SIZE, 1), dtype="i1", chunks=(SIZE, 1), **GZIP),
    "no dimension": put("version", data=np.uint16(1)),
    "stream too short": chunk(lambda data: zlib.compress(data[:-1])),
    "stream too long": chunk(lambda data: zlib.compress(data + b"\0")),
    "stream cut off": chunk(lambda data: zlib.compress(data)[:-10]),
    "stream followed by more": chunk(lambda data: zlib.compress(data) + b"more"),
    "not a stream": chunk(lambda data: data),
    # At another level than ours, because HDF5 keeps a chunk's mask where its size stays.
    "filters switched off": chunk(lambda data: zlib.compress(data, 1), mask=3),
    "one filter switched off": chunk(lambda data: zlib.compress(data, 1), mask=1),
    "stored too short": chunk(lambda data: data[:-1], mask=3),
    "stored too long": chunk(lambda data: data + b"\0", mask=3),
    "faces want more blocks": edit("faces", "blocks", 501),
    "faces want more lattice": edit("faces", "lattice", (256, 256, 1)),
    "lattice of side 0": edit("faces", "lattice", (0, 0, 0)),
    "region outside": edit("faces", "region", (900, 0, 300, 300)),
    "region negative": edit("faces", "region", (-1, 0, 300, 300)),
    "width 0": edit("photo", "width", 0),
    "4 billion squared": edit("photo", "width", 2**32 - 1),
    "mode": edit("photo", "mode", b"\xff"),
    "block 4096": edit("template", "block", 4096),
    "group 6": edit("template", "group", 6),
    "recognizer 2": edit("template", "recognizer", 2),
    "tau not a number": edit("template", "tau", np.nan),
    "10^12 saved": put("saved", shape=(10**12,), dtype="u1", chunks=(1024,), **GZIP),
    "20 MiB and 1 saved": put("saved", data=np.zeros(payloads.MAX_SAVED + 1, "u1"), chunks=(2**20,), **GZIP),
    "10^12 held": put("held", shape=(10**12,), dtype="<u4", chunks=(1024,), **GZIP),
    "faces want more held": edit("faces", "held", 6),
    "held twice": lambda file: file["held"].write_direct(np.array([0, 1, 0, 5, 9, 5], "<u4")),
    "held beyond 32 bits": lambda file: file["held"].write_direct(np.array([2**32 - 1, 1, 1, 5, 9, 5], "<u4")),
    "number 0": edit("faces", "number", 0),
    "number twice": edit("faces", "number", 1),
    "kind": edit("photo", "kind", b"JPEG"),
    "name of a folder": edit("photo", "name", b"../a"),
    "name not UTF-8": edit("photo", "name", b"\xff"),
    "name of 256": edit("photo", "name", b"a" * 256),
    "modified before 1970": edit("photo", "modified", -1),
    "whole 2": edit("photo", "whole", 2),
}


def changed(payload: Payload, change: Change) -> bytes:
    buffer = io.BytesIO(to_bytes(payload))
    with h5py.File(buffer, "r+", libver=("v110", "v110")) as file:
        change(file)
    return buffer.getvalue()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_hdf5_is_refused(payload: Payload, name: str) -> None:
    with pytest.raises(DamagedKey):
        from_bytes(changed(payload, HOSTILE[name]))


def test_changing_nothing_is_not_refused(payload: Payload) -> None:
    assert_same(payload, from_bytes(changed(payload, lambda file: None)))


def test_a_newer_version_is_named(payload: Payload) -> None:
    newer = changed(payload, lambda file: file["version"].write_direct(np.array([4], "<u2")))
    with pytest.raises(UnsupportedKey, match="format 4"):
        from_bytes(newer)


def test_an_early_version_is_named(payload: Payload) -> None:
    early = changed(payload, lambda file: file["version"].write_direct(np.array([1], "<u2")))
    with pytest.raises(UnsupportedKey, match="early version"):
        from_bytes(early)


def test_a_gzip_bomb_is_not_inflated(payload: Payload) -> None:
    bomb = changed(payload, chunk(lambda data: zlib.compress(bytes(100 * 2**20), 1)))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedKey):
            from_bytes(bomb)
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


def test_flipped_bits_give_an_error_or_a_valid_payload(payload: Payload) -> None:
    data = to_bytes(replace(payload, faces=payload.faces[1:]))
    for position in np.linspace(0, 8 * len(data) - 1, 2000).astype(int):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << (position % 8)
        try:
            from_bytes(bytes(flipped))
        except KeyFileError:
            pass


@pytest.mark.parametrize("junk", [b"", b"\x89HDF\r\n\x1a\n", b"{}", bytes(10**6), b"x" * 512], ids=len)
def test_junk_is_refused(junk: bytes) -> None:
    with pytest.raises(DamagedKey):
        from_bytes(junk)


def test_a_file_that_starts_later_is_refused(payload: Payload) -> None:
    with pytest.raises(DamagedKey):
        from_bytes(bytes(512) + to_bytes(payload))


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_a_payload_cut_short_is_refused(payload: Payload, kept: float) -> None:
    data = to_bytes(payload)
    with pytest.raises(DamagedKey):
        from_bytes(data[: int(len(data) * kept)])
