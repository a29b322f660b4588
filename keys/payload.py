"""What a key says: one photo, its secret, and for every face where and how it was changed.

As bytes it is an HDF5 file of six flat arrays (see ``_PHOTO``, ``_FACE`` and ``_BLOCK``). Faces follow one another in
``template`` and ``lattice``, because a group for each face would cost more than most templates do.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keys import hdf5
from keys.errors import DamagedKey, UnsupportedKey

FORMAT_VERSION = 1

MODES = ("L", "LA", "RGB", "RGBA")
BLOCKS = 4096  # the canonical crop is 256x256 pixels, a block 4x4
GROUPS = 6

MAX_SIDE = 65_535
MAX_PIXELS = 100_000_000
MAX_FACES = 256
MAX_RECOGNIZERS = 64
MAX_TRANSFORM = 2**40  # keeps every product with a pixel's coordinate inside 64 bits
MAX_LATTICE_SIDE = 512
MAX_TEMPLATE = 2**20  # blocks, all faces together
MAX_LATTICE = 64 * 2**20  # values, all faces together: every face of 256 may have 256x256x3

_NAME = re.compile(r"[!-~]{1,64}")  # printable ASCII without spaces

_VERSION = np.dtype("<u2")
_RECOGNIZER = np.dtype("S64")
_LATTICE = np.dtype("i1")
_PHOTO = np.dtype(
    [
        ("width", "<u4"),
        ("height", "<u4"),
        ("mode", "S4"),
        ("original_digest", "u1", (32,)),
        ("protected_digest", "u1", (32,)),
        ("secret", "u1", (32,)),
    ]
)
_FACE = np.dtype(
    [
        ("box", "<i4", (4,)),
        ("region", "<i4", (4,)),
        ("transform", "<i8", (2, 3)),
        ("blocks", "<u4"),  # how many of `template` are this face's
        ("lattice", "<u2", (3,)),  # the shape of this face's part of `lattice`
    ]
)
_BLOCK = np.dtype([("block", "<u2"), ("recognizer", "u1"), ("group", "u1"), ("tau", "<f4")])


# Compared by identity: a field-by-field == of arrays has no single truth value.
@dataclass(frozen=True, eq=False)
class FaceKey:
    """One face of the photo: where it is, its template and its noise lattice.

    box: x, y, width, height in pixels of the photo; may reach over its edge.
    region: x, y, width, height of the rectangle that the lattice spans; inside the photo.
    transform: int64 (2, 3), pixel of the photo -> canonical crop, fixed point with 16 fractional bits.
    blocks: uint16 (n,), the template: indices 0..4095 of 4x4 blocks of the canonical crop.
    recognizer: uint8 (n,), whose block it is, an index into ``Payload.recognizers``.
    group: uint8 (n,), its feature group, 0..5.
    tau: float32 (n,), its weight, finite.
    lattice: int8 (h, w, c), c 1 or 3, sides at most 512 and at most the region's.

    Raises ValueError when a field is not as said here.
    """

    box: tuple[int, int, int, int]
    region: tuple[int, int, int, int]
    transform: NDArray[np.int64]
    blocks: NDArray[np.uint16]
    recognizer: NDArray[np.uint8]
    group: NDArray[np.uint8]
    tau: NDArray[np.float32]
    lattice: NDArray[np.int8]

    def __post_init__(self) -> None:
        _require(len(self.box) == 4 and all(-(2**31) <= side < 2**31 for side in self.box), "box", self.box)
        _require(self.box[2] > 0 and self.box[3] > 0, "box", self.box)
        _require(len(self.region) == 4, "region", self.region)
        _require_array("transform", self.transform, np.int64, (2, 3))
        _require(bool(np.all(np.abs(self.transform) <= MAX_TRANSFORM)), "transform", self.transform)
        _require_array("blocks", self.blocks, np.uint16, (self.blocks.size,))
        _require_array("recognizer", self.recognizer, np.uint8, self.blocks.shape)
        _require_array("group", self.group, np.uint8, self.blocks.shape)
        _require_array("tau", self.tau, np.float32, self.blocks.shape)
        _require(bool(np.all(self.blocks < BLOCKS)), "blocks", self.blocks)
        _require(bool(np.all(self.group < GROUPS)), "group", self.group)
        _require(bool(np.all(np.isfinite(self.tau))), "tau", self.tau)
        shape = self.lattice.shape
        _require(len(shape) == 3 and shape[2] in (1, 3), "the shape of lattice", shape)
        _require_array("lattice", self.lattice, np.int8, shape)
        for side, room in zip(shape, (self.region[3], self.region[2]), strict=False):
            _require(1 <= side <= min(room, MAX_LATTICE_SIDE), "the shape of lattice", shape)


@dataclass(frozen=True, eq=False)
class Payload:
    """One photo's key.

    width, height: 1..65535, at most 100 million pixels; mode: "L", "LA", "RGB" or "RGBA".
    original_digest, protected_digest, secret: 32 bytes each.
    recognizers: at most 64 different names of 1 to 64 printable ASCII characters without spaces.
    faces: at most 256; a photo without a face has none.

    Raises ValueError when a field is not as said here.
    """

    width: int
    height: int
    mode: str
    original_digest: bytes
    protected_digest: bytes
    secret: bytes = field(repr=False)
    recognizers: tuple[str, ...]
    faces: tuple[FaceKey, ...]

    def __post_init__(self) -> None:
        size = (self.width, self.height)
        _require(all(1 <= side <= MAX_SIDE for side in size) and math.prod(size) <= MAX_PIXELS, "size", size)
        _require(self.mode in MODES, "mode", self.mode)
        _require(len(self.original_digest) == 32, "original_digest", self.original_digest)
        _require(len(self.protected_digest) == 32, "protected_digest", self.protected_digest)
        _require(len(self.secret) == 32, "the length of secret", len(self.secret))
        names = self.recognizers
        _require(len(set(names)) == len(names) <= MAX_RECOGNIZERS, "recognizers", names)
        _require(all(_NAME.fullmatch(name) for name in names), "recognizers", names)
        _require(len(self.faces) <= MAX_FACES, "the number of faces", len(self.faces))
        for face in self.faces:
            x, y, width, height = face.region
            inside = 0 <= x < x + width <= self.width and 0 <= y < y + height <= self.height
            _require(inside, "region", face.region)
            _require(bool(np.all(face.recognizer < len(names))), "recognizer", face.recognizer)
        blocks = sum(len(face.blocks) for face in self.faces)
        _require(blocks <= MAX_TEMPLATE, "the number of blocks of all faces", blocks)
        values = sum(face.lattice.size for face in self.faces)
        _require(values <= MAX_LATTICE, "the size of the lattices of all faces", values)


def to_bytes(payload: Payload) -> bytes:
    """``payload`` as an HDF5 file in memory; the same payload gives the same bytes."""
    photo = np.zeros(1, _PHOTO)
    photo["width"], photo["height"], photo["mode"] = payload.width, payload.height, payload.mode.encode()
    for name in ("original_digest", "protected_digest", "secret"):
        photo[name] = np.frombuffer(getattr(payload, name), np.uint8)

    faces = np.zeros(len(payload.faces), _FACE)
    template = np.zeros(sum(len(face.blocks) for face in payload.faces), _BLOCK)
    start = 0
    for row, face in zip(faces, payload.faces, strict=True):
        row["box"], row["region"], row["transform"] = face.box, face.region, face.transform
        row["blocks"], row["lattice"] = len(face.blocks), face.lattice.shape
        part = template[start : start + len(face.blocks)]
        part["block"], part["recognizer"], part["group"], part["tau"] = (
            face.blocks,
            face.recognizer,
            face.group,
            face.tau,
        )
        start += len(face.blocks)

    lattices = [face.lattice.reshape(-1) for face in payload.faces]
    return hdf5.write(
        {
            "version": np.array([FORMAT_VERSION], _VERSION),
            "photo": photo,
            "recognizers": np.array([name.encode() for name in payload.recognizers], _RECOGNIZER),
            "faces": faces,
            "template": template,
            "lattice": np.concatenate(lattices) if lattices else np.empty(0, _LATTICE),
        }
    )


def from_bytes(data: bytes) -> Payload:
    """The payload that ``to_bytes`` made ``data`` from, bit for bit.

    Raises DamagedKey for anything else, before reading more than the limits above allow; UnsupportedKey for a payload
    of a newer version.
    """
    with hdf5.reading(data) as file:
        (version,) = file.read("version", _VERSION, 1)
        if version > FORMAT_VERSION:
            raise UnsupportedKey(f"the key is of format {version}, this program knows {FORMAT_VERSION}: update it")
        _require(version == FORMAT_VERSION, "version", version)
        file.expect_only({"version", "photo", "recognizers", "faces", "template", "lattice"})
        (photo,) = file.read("photo", _PHOTO, 1)
        recognizers = file.read("recognizers", _RECOGNIZER, MAX_RECOGNIZERS)
        rows = file.read("faces", _FACE, MAX_FACES)
        template = file.read("template", _BLOCK, MAX_TEMPLATE)
        lattice = file.read("lattice", _LATTICE, MAX_LATTICE)
        # The constructors check every value; their ValueError becomes DamagedKey like everything else in this block.
        return Payload(
            width=int(photo["width"]),
            height=int(photo["height"]),
            mode=photo["mode"].decode(),
            original_digest=photo["original_digest"].tobytes(),
            protected_digest=photo["protected_digest"].tobytes(),
            secret=photo["secret"].tobytes(),
            recognizers=tuple(name.decode() for name in recognizers),
            faces=_faces(rows, template, lattice),
        )


def _faces(rows: NDArray[Any], template: NDArray[Any], lattice: NDArray[Any]) -> tuple[FaceKey, ...]:
    """Deals ``template`` and ``lattice`` out to the faces; both must come out even."""
    counts = [int(row["blocks"]) for row in rows]
    shapes = [tuple(row["lattice"].tolist()) for row in rows]
    if sum(counts) != len(template) or sum(math.prod(shape) for shape in shapes) != len(lattice):
        raise DamagedKey("the faces of the key do not add up; get the key file again")
    faces = []
    block, value = 0, 0
    for row, count, shape in zip(rows, counts, shapes, strict=True):
        blocks = template[block : block + count]
        values = lattice[value : value + math.prod(shape)]
        block, value = block + count, value + math.prod(shape)
        faces.append(
            FaceKey(
                box=tuple(row["box"].tolist()),
                region=tuple(row["region"].tolist()),
                transform=row["transform"].copy(),
                blocks=blocks["block"].copy(),
                recognizer=blocks["recognizer"].copy(),
                group=blocks["group"].copy(),
                tau=blocks["tau"].copy(),
                lattice=values.reshape(shape).copy(),
            )
        )
    return tuple(faces)


def _require(holds: bool, name: str, value: object) -> None:
    if not holds:
        raise ValueError(f"{name} is out of range. Received: {value!r}")


def _require_array(name: str, array: NDArray[Any], dtype: type, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(
            f"`{name}` must be {np.dtype(dtype).name} of shape {shape}. Received: {array.dtype} of {array.shape}"
        )
