"""What a key says: one photo, its secret, for every face where and how it was changed, and what else leads back.

As bytes it is an HDF5 file of eight flat arrays (see ``_PHOTO``, ``_FACE`` and ``_BLOCK``). Faces follow one another in
``template``, ``lattice`` and ``held``, because a group for each face would cost more than most templates do. ``held``
is stored as gaps, each position less the one before it, which are small and so deflate well.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from keys import hdf5
from keys.errors import DamagedKey, UnsupportedKey

FORMAT_VERSION = 3

MODES = ("L", "LA", "RGB", "RGBA")
BLOCKS = 4096  # the canonical crop is 256x256 pixels, a block 4x4
GROUPS = 6

MAX_SIDE = 65_535
MAX_PIXELS = 120_000_000
MAX_FACES = 256
MAX_RECOGNIZERS = 64
MAX_TRANSFORM = 2**40  # keeps every product with a pixel's coordinate inside 64 bits
MAX_LATTICE_SIDE = 512
THUMBNAIL = 64  # pixels a side
MAX_TEMPLATE = 2**20  # blocks, all faces together
MAX_LATTICE = 64 * 2**20  # values, all faces together: every face of 256 may have 256x256x3
MAX_HELD = 2**20  # positions, all faces together
MAX_NAME = 255  # characters
MAX_SAVED = 20 * 2**20  # bytes

_RECOGNIZER_NAME = re.compile(r"[!-~]{1,64}")  # printable ASCII without spaces
_KIND = re.compile(r"[a-z0-9]{1,16}")
_NOT_IN_NAMES = {"Cc", "Cs", "Zl", "Zp"}  # control characters, halves of surrogate pairs, line and paragraph ends

_VERSION = np.dtype("<u2")
_RECOGNIZER = np.dtype("S64")
_LATTICE = np.dtype("i1")
_HELD = np.dtype("<u4")
_SAVED = np.dtype("u1")
_PHOTO = np.dtype(
    [
        ("width", "<u4"),
        ("height", "<u4"),
        ("mode", "S4"),
        ("kind", "S16"),
        ("name", f"S{4 * MAX_NAME}"),  # UTF-8
        ("modified", "<i8"),
        ("whole", "u1"),
        ("original_digest", "u1", (32,)),
        ("protected_digest", "u1", (32,)),
        ("secret", "u1", (32,)),
    ]
)
_FACE = np.dtype(
    [
        ("number", "<u2"),
        ("box", "<i4", (4,)),
        ("region", "<i4", (4,)),
        ("transform", "<i8", (2, 3)),
        ("blocks", "<u4"),  # how many of `template` are this face's
        ("lattice", "<u2", (3,)),  # the shape of this face's part of `lattice`
        ("held", "<u4"),  # how many of `held` are this face's
        ("thumbnail", "u1", (THUMBNAIL, THUMBNAIL)),
    ]
)
_BLOCK = np.dtype([("block", "<u2"), ("recognizer", "u1"), ("group", "u1"), ("tau", "<f4")])


# Compared by identity: a field-by-field == of arrays has no single truth value.
@dataclass(frozen=True, eq=False)
class FaceKey:
    """One face of the photo: where it is, its template and its noise lattice.

    number: 1..256, which face of the photo it is, as ``veilkey faces`` counts them.
    box: x, y, width, height in pixels of the photo; may reach over its edge.
    region: x, y, width, height of the rectangle that the lattice spans; inside the photo.
    transform: int64 (2, 3), pixel of the photo -> canonical crop, fixed point with 16 fractional bits.
    blocks: uint16 (n,), the template: indices 0..4095 of 4x4 blocks of the canonical crop.
    recognizer: uint8 (n,), whose block it is, an index into ``Payload.recognizers``.
    group: uint8 (n,), its feature group, 0..5.
    tau: float32 (n,), its weight, finite.
    lattice: int8 (h, w, c), c 1 or 3, sides at most 512 and at most the region's.
    held: uint32 (n,), strictly increasing: positions that the residual leaves alone. The carrier says what it counts.
    thumbnail: uint8 (64, 64), the region of the protected photo in grey, by which a changed copy of it is told
        from other photos; 0 as long as there is no protected photo.

    Raises ValueError when a field is not as said here.
    """

    number: int
    box: tuple[int, int, int, int]
    region: tuple[int, int, int, int]
    transform: NDArray[np.int64]
    blocks: NDArray[np.uint16]
    recognizer: NDArray[np.uint8]
    group: NDArray[np.uint8]
    tau: NDArray[np.float32]
    lattice: NDArray[np.int8]
    held: NDArray[np.uint32]
    thumbnail: NDArray[np.uint8] = field(default_factory=lambda: np.zeros((THUMBNAIL, THUMBNAIL), np.uint8))

    def __post_init__(self) -> None:
        _require(1 <= self.number <= MAX_FACES, "number", self.number)
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
        _require_array("held", self.held, np.uint32, (self.held.size,))
        _require(bool(np.all(self.held[1:] > self.held[:-1])), "held", self.held)
        _require_array("thumbnail", self.thumbnail, np.uint8, (THUMBNAIL, THUMBNAIL))


@dataclass(frozen=True, eq=False)
class Payload:
    """One photo's key, or that of some of its faces.

    width, height: 1..65535, at most 120 million pixels; mode: "L", "LA", "RGB" or "RGBA".
    kind: which carrier the photo has, 1 to 16 lower-case ASCII letters and digits.
    name: the original's file name, up to 255 characters; no folder, no control characters, and not "." or "..".
    modified: when the original was last modified, in nanoseconds since 1970 (64 bits, not negative); 0: not known.
    original_digest, protected_digest: 32 bytes each, of the original and of the protected photo as the carrier
        defines it.
    secret: 32 bytes.
    recognizers: at most 64 different names of 1 to 64 printable ASCII characters without spaces.
    faces: at most 256 of different numbers; none only where the key is whole.
    saved: at most 20 MiB, what else the carrier needs to give the original file back.
    whole: whether this leads back to the original; otherwise, to the photo with just these faces restored.

    Raises ValueError when a field is not as said here.
    """

    width: int
    height: int
    mode: str
    kind: str
    name: str
    modified: int
    original_digest: bytes
    protected_digest: bytes
    secret: bytes = field(repr=False)
    recognizers: tuple[str, ...]
    faces: tuple[FaceKey, ...]
    saved: bytes = field(repr=False)
    whole: bool

    def __post_init__(self) -> None:
        size = (self.width, self.height)
        _require(all(1 <= side <= MAX_SIDE for side in size) and math.prod(size) <= MAX_PIXELS, "size", size)
        _require(self.mode in MODES, "mode", self.mode)
        _require(_KIND.fullmatch(self.kind) is not None, "kind", self.kind)
        _require(_is_file_name(self.name), "name", self.name)
        _require(0 <= self.modified < 2**63, "modified", self.modified)
        _require(len(self.original_digest) == 32, "original_digest", self.original_digest)
        _require(len(self.protected_digest) == 32, "protected_digest", self.protected_digest)
        _require(len(self.secret) == 32, "the length of secret", len(self.secret))
        names = self.recognizers
        _require(len(set(names)) == len(names) <= MAX_RECOGNIZERS, "recognizers", names)
        _require(all(_RECOGNIZER_NAME.fullmatch(name) for name in names), "recognizers", names)
        _require(len(self.faces) <= MAX_FACES, "the number of faces", len(self.faces))
        _require(self.whole or len(self.faces) > 0, "the number of faces", len(self.faces))
        numbers = self.numbers
        _require(len(set(numbers)) == len(numbers), "number", numbers)
        for face in self.faces:
            x, y, width, height = face.region
            inside = 0 <= x < x + width <= self.width and 0 <= y < y + height <= self.height
            _require(inside, "region", face.region)
            _require(bool(np.all(face.recognizer < len(names))), "recognizer", face.recognizer)
        for name, left in room([self]).items():
            _require(left >= 0, f"the size of {name}, all faces together,", f"{-left} too many")

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the faces, ascending."""
        return tuple(sorted(face.number for face in self.faces))


def room(payloads: Sequence[Payload]) -> dict[str, int]:
    """How many more values of each array may stand beside these payloads in a key file; negative where too many do.

    All that is opened from one file keeps to the limits of one payload, so that a file of many costs no more.
    """
    faces = [face for payload in payloads for face in payload.faces]
    return {
        "template": MAX_TEMPLATE - sum(len(face.blocks) for face in faces),
        "lattice": MAX_LATTICE - sum(face.lattice.size for face in faces),
        "held": MAX_HELD - sum(len(face.held) for face in faces),
        "saved": MAX_SAVED - sum(len(payload.saved) for payload in payloads),
    }


def to_bytes(payload: Payload) -> bytes:
    """``payload`` as an HDF5 file in memory; the same payload gives the same bytes."""
    photo = np.zeros(1, _PHOTO)
    photo["width"], photo["height"], photo["mode"] = payload.width, payload.height, payload.mode.encode()
    photo["kind"], photo["name"] = payload.kind.encode(), payload.name.encode()
    photo["modified"], photo["whole"] = payload.modified, payload.whole
    for name in ("original_digest", "protected_digest", "secret"):
        photo[name] = np.frombuffer(getattr(payload, name), np.uint8)

    faces = np.zeros(len(payload.faces), _FACE)
    template = np.zeros(sum(len(face.blocks) for face in payload.faces), _BLOCK)
    start = 0
    for row, face in zip(faces, payload.faces, strict=True):
        row["number"], row["box"], row["region"], row["transform"] = face.number, face.box, face.region, face.transform
        row["blocks"], row["lattice"], row["held"] = len(face.blocks), face.lattice.shape, len(face.held)
        row["thumbnail"] = face.thumbnail
        part = template[start : start + len(face.blocks)]
        part["block"], part["recognizer"], part["group"], part["tau"] = (
            face.blocks,
            face.recognizer,
            face.group,
            face.tau,
        )
        start += len(face.blocks)

    lattices = [face.lattice.reshape(-1) for face in payload.faces]
    gaps = [np.diff(face.held, prepend=_HELD.type(0)) for face in payload.faces]
    return hdf5.write(
        {
            "version": np.array([FORMAT_VERSION], _VERSION),
            "photo": photo,
            "recognizers": np.array([name.encode() for name in payload.recognizers], _RECOGNIZER),
            "faces": faces,
            "template": template,
            "lattice": np.concatenate([np.empty(0, _LATTICE), *lattices]),
            "held": np.concatenate([np.empty(0, _HELD), *gaps]),
            "saved": np.frombuffer(payload.saved, _SAVED),
        }
    )


def from_bytes(data: bytes, beside: Sequence[Payload] = ()) -> Payload:
    """The payload that ``to_bytes`` made ``data`` from, bit for bit.

    beside: what was opened already from the same key file; the limits are for all together.

    Raises DamagedKey for anything else, before reading more than the limits above allow; UnsupportedKey for a payload
    of another version.
    """
    limits = room(beside)
    with hdf5.reading(data) as file:
        (version,) = file.read("version", _VERSION, 1)
        require_version(int(version))
        file.expect_only({"version", "photo", "recognizers", "faces", "template", "lattice", "held", "saved"})
        (photo,) = file.read("photo", _PHOTO, 1)
        recognizers = file.read("recognizers", _RECOGNIZER, MAX_RECOGNIZERS)
        rows = file.read("faces", _FACE, MAX_FACES)
        template = file.read("template", _BLOCK, limits["template"])
        lattice = file.read("lattice", _LATTICE, limits["lattice"])
        gaps = file.read("held", _HELD, limits["held"])
        saved = file.read("saved", _SAVED, limits["saved"])
        _require(photo["whole"] <= 1, "whole", photo["whole"])
        # The constructors check every value; their ValueError becomes DamagedKey like everything else in this block.
        return Payload(
            width=int(photo["width"]),
            height=int(photo["height"]),
            mode=photo["mode"].decode(),
            kind=photo["kind"].decode(),
            name=photo["name"].decode(),
            modified=int(photo["modified"]),
            original_digest=photo["original_digest"].tobytes(),
            protected_digest=photo["protected_digest"].tobytes(),
            secret=photo["secret"].tobytes(),
            recognizers=tuple(name.decode() for name in recognizers),
            faces=_faces(rows, template, lattice, gaps),
            saved=saved.tobytes(),
            whole=bool(photo["whole"]),
        )


def require_version(version: int) -> None:
    """Raises UnsupportedKey for the number of another format than this one, and DamagedKey for what is no number."""
    if version > FORMAT_VERSION:
        raise UnsupportedKey(f"the key is of format {version}, this program knows {FORMAT_VERSION}: update it")
    if version < 1:
        raise DamagedKey("the key is of no format that there is; get the key file again")
    if version < FORMAT_VERSION:
        raise UnsupportedKey(f"the key is of format {version}, made by an early version; open it with that version")


def _faces(
    rows: NDArray[Any], template: NDArray[Any], lattice: NDArray[Any], gaps: NDArray[Any]
) -> tuple[FaceKey, ...]:
    """Deals ``template``, ``lattice`` and ``gaps`` out to the faces; all must come out even."""
    shapes = [tuple(row["lattice"].tolist()) for row in rows]
    sizes = [(int(row["blocks"]), math.prod(shape), int(row["held"])) for row, shape in zip(rows, shapes, strict=True)]
    if [sum(size) for size in zip((0, 0, 0), *sizes, strict=True)] != [len(template), len(lattice), len(gaps)]:
        raise DamagedKey("the faces of the key do not add up; get the key file again")
    faces = []
    block, value, gap = 0, 0, 0
    for row, shape, size in zip(rows, shapes, sizes, strict=True):
        blocks = template[block : block + size[0]]
        values = lattice[value : value + size[1]]
        # A sum beyond 32 bits comes out smaller than the one before it, which FaceKey refuses.
        held = np.cumsum(gaps[gap : gap + size[2]], dtype=np.uint32)
        block, value, gap = block + size[0], value + size[1], gap + size[2]
        faces.append(
            FaceKey(
                number=int(row["number"]),
                box=tuple(row["box"].tolist()),
                region=tuple(row["region"].tolist()),
                transform=row["transform"].copy(),
                blocks=blocks["block"].copy(),
                recognizer=blocks["recognizer"].copy(),
                group=blocks["group"].copy(),
                tau=blocks["tau"].copy(),
                lattice=values.reshape(shape).copy(),
                held=held,
                thumbnail=row["thumbnail"].copy(),
            )
        )
    return tuple(faces)


def _is_file_name(name: str) -> bool:
    plain = all(unicodedata.category(character) not in _NOT_IN_NAMES for character in name)
    return plain and len(name) <= MAX_NAME and not {"/", "\\"} & set(name) and name not in (".", "..")


def _require(holds: bool, name: str, value: object) -> None:
    if not holds:
        raise ValueError(f"{name} is out of range. Received: {value!r}")


def _require_array(name: str, array: NDArray[Any], dtype: type, shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(
            f"`{name}` must be {np.dtype(dtype).name} of shape {shape}. Received: {array.dtype} of {array.shape}"
        )
