"""A TIFF file as its directories of tags (TIFF 6.0, section 2; BigTIFF)."""

import struct
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from veilkey.errors import UnreadablePhoto

MAX_DIRECTORIES = 1024
MAX_ENTRIES = 2**16  # of all directories together
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE = {1: "u1", 3: "u2", 4: "u4", 13: "u4", 16: "u8", 18: "u8"}
_SHORT, _LONG, _LONG8 = 3, 4, 16
_SUB_IFDS, _EXIF_IFD = 330, 34665


class Entry(NamedTuple):
    """A tag: `place` is where its entry is in the file, `start` and `length` where its value is, in bytes."""

    kind: int
    number: int
    place: int
    start: int
    length: int


class Directory(NamedTuple):
    """start, length: where its entries are. main: a page of the chain, rather than one that a tag points to."""

    start: int
    length: int
    main: bool
    entries: dict[int, Entry]


@dataclass(frozen=True, eq=False)
class Tags:
    """A file's directories. order: "<" or ">". big: BigTIFF, whose offsets have 64 bits."""

    order: str
    big: bool
    directories: list[Directory]

    @classmethod
    def read(cls, data: bytes, name: str) -> "Tags":
        """
        Raises:
            UnreadablePhoto: a directory is outside the file or comes twice, or there are too many.
        """
        order = {b"II": "<", b"MM": ">"}.get(data[:2], "")
        version = struct.unpack_from(order + "H", data, 2)[0] if order and len(data) >= 16 else 0
        if version not in (42, 43):
            raise UnreadablePhoto(f"{name}: cut short or not a TIFF file: get the file again")
        tags = cls(order, version == 43, [])
        tags._collect(data, name)
        return tags

    def numbers(self, data: bytes, entry: Entry) -> np.ndarray:
        """The whole numbers of an entry (n,) int64; none where it holds something else."""
        if entry.kind not in _WHOLE:
            return np.empty(0, np.int64)
        values = np.frombuffer(data, self.order + _WHOLE[entry.kind], entry.number, entry.start)
        return values.astype(np.int64)

    def write(self, data: bytearray, entry: Entry, values: np.ndarray) -> None:
        """Other whole numbers for an entry, as many as it has; at the file's end where they need more room."""
        kind = entry.kind
        if len(values) and values.max() > np.iinfo(_WHOLE[kind]).max:
            kind = _LONG8 if self.big else _LONG
        body = values.astype(self.order + _WHOLE[kind]).tobytes()
        start = entry.start
        if kind != entry.kind:
            inline = len(body) <= (8 if self.big else 4)
            struct.pack_into(self.order + "H", data, entry.place + 2, kind)
            start = entry.place + (12 if self.big else 8)
            if not inline:
                data += bytes(len(data) % 2)
                struct.pack_into(self.order + ("Q" if self.big else "I"), data, start, len(data))
                start = len(data)
                data += bytes(len(body))
        data[start : start + len(body)] = body

    def _collect(self, data: bytes, name: str) -> None:
        pending = [(struct.unpack_from(self.order + ("Q" if self.big else "I"), data, 8 if self.big else 4)[0], True)]
        seen: set[int] = set()
        entries, values = 0, 0
        while pending:
            start, main = pending.pop()
            if start in seen or len(seen) == MAX_DIRECTORIES:
                raise UnreadablePhoto(f"{name}: its directories run in a circle or are too many: save it anew")
            seen.add(start)
            directory, following = self._directory(data, start, main, MAX_ENTRIES - entries, name)
            entries += len(directory.entries)
            values += sum(entry.length for entry in directory.entries.values())
            if values > 4 * len(data) + 2**20:  # some writers have pages share a profile
                raise UnreadablePhoto(f"{name}: its tags share bytes: save it anew")
            self.directories.append(directory)
            others = []
            for tag in (_SUB_IFDS, _EXIF_IFD):
                if tag in directory.entries:
                    others += self.numbers(data, directory.entries[tag]).tolist()
            # Pointers to nowhere are left over from editing; viewers pass them over, too.
            pending += [(other, False) for other in others if 8 <= other < len(data) - 8 and other not in seen]
            if following:
                pending.append((following, main))

    def _directory(self, data: bytes, start: int, main: bool, most: int, name: str) -> tuple[Directory, int]:
        """The directory at `start`, and where the next one is, 0 for nowhere."""
        counting, size, pointer = ("Q", 20, "Q") if self.big else ("H", 12, "I")
        first = start + struct.calcsize(counting)
        count = struct.unpack_from(self.order + counting, data, start)[0] if first <= len(data) else 0
        end = first + count * size
        if not 0 < count <= most or end + struct.calcsize(pointer) > len(data):
            raise UnreadablePhoto(f"{name}: cut short or damaged (a directory of tags): get the file again")
        entries: dict[int, Entry] = {}
        for place in range(first, end, size):
            tag, kind = struct.unpack_from(self.order + "HH", data, place)
            (number,) = struct.unpack_from(self.order + pointer, data, place + 4)
            value = place + 4 + struct.calcsize(pointer)
            length = number * _SIZES.get(kind, 1)
            if length > struct.calcsize(pointer):
                (value,) = struct.unpack_from(self.order + pointer, data, value)
            if value + length > len(data):
                raise UnreadablePhoto(f"{name}: cut short or damaged (tag {tag}): get the file again")
            entries.setdefault(tag, Entry(kind, number, place, value, length))
        (following,) = struct.unpack_from(self.order + pointer, data, end)
        return Directory(start, end + struct.calcsize(pointer) - start, main, entries), following
