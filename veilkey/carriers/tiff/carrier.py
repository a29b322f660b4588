"""TIFF of 8 or 16 bits a channel: strips and tiles under a change are written anew, all else stays in place."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple, Self

import numpy as np

from keys.payload import FaceKey
from veilkey.carriers import parts, patches
from veilkey.carriers.limits import check_ratio, check_size
from veilkey.carriers.orientation import to_stored, to_upright
from veilkey.carriers.picture import Picture
from veilkey.carriers.pixels import PixelCarrier
from veilkey.carriers.tiff import hidden as tiff_hidden
from veilkey.carriers.tiff import segments as tiff_segments
from veilkey.carriers.tiff.directories import Tags
from veilkey.carriers.tiff.pages import (
    STRIP_LENGTHS,
    STRIP_OFFSETS,
    TILE_LENGTHS,
    TILE_OFFSETS,
    Page,
    Segment,
    read_page,
)
from veilkey.errors import UnreadablePhoto

_MODES = {(False, 1): "L", (False, 2): "LA", (True, 3): "RGB", (True, 4): "RGBA"}
_ICC_PROFILE = 34675
_CHANGED = np.dtype([("page", "<u2"), ("segment", "<u4"), ("start", "<u8")])


class Change(NamedTuple):
    """A strip or tile that is not as in the file any more: its page, and its raw bytes as they are now."""

    page: int
    segment: Segment
    raw: bytes


@dataclass(frozen=True, eq=False)
class TiffCarrier(PixelCarrier):
    """`shown` has the pages one under the other, each upright, with black to the right of narrow ones.

    low: what 16-bit channels have below `shown`, uint8 of its shape; None where channels have 8 bits.
    opened, tags, pages: the file. before: what it shows.
    """

    low: np.ndarray | None
    opened: bytes
    tags: Tags
    pages: list[Page]
    before: Picture

    kind: ClassVar[str] = "tiff"
    suffixes: ClassVar[tuple[str, ...]] = (".tif", ".tiff")

    @classmethod
    def probe(cls, head: bytes) -> bool:
        return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

    @classmethod
    def read(cls, data: bytes, name: str) -> Self:
        tags = Tags.read(data, name)
        tiff_hidden.refuse_raw(data, tags, name)
        shown = [each for each in tags.directories if each.main and not tiff_hidden.is_preview(data, tags, each)]
        pages = [read_page(data, tags, directory, name) for directory in shown]
        if not pages:
            raise UnreadablePhoto(f"{name}: holds no picture but previews: get the file again")
        if len({(page.channels, page.depth) for page in pages}) != 1:
            raise UnreadablePhoto(f"{name}: its pages differ in colour or depth: save each as its own file")
        width, height = (max(_size(page)[0] for page in pages), sum(_size(page)[1] for page in pages))
        check_size(width, height, name)
        unpacked = sum(page.width * page.height * page.channels * page.depth // 8 for page in pages)
        check_ratio(unpacked, sum(int(page.lengths.sum()) for page in pages), name)
        tiff_hidden.check_apart(data, tags, pages, name)
        channels, deep = pages[0].channels, pages[0].depth == 16
        stacked = np.zeros((height, width, channels), np.uint16 if deep else np.uint8)
        for place, page in zip(_places(pages), pages, strict=True):
            stacked[place] = to_upright(_read_pixels(data, tags.order, page, name), page.orientation)
        stacked = stacked[..., 0] if channels == 1 else stacked
        high, low = ((stacked >> 8).astype(np.uint8), stacked.astype(np.uint8)) if deep else (stacked, None)
        profile = pages[0].directory.entries.get(_ICC_PROFILE)
        icc_profile = data[profile.start : profile.start + profile.length] if profile else None
        picture = Picture(high, _MODES[channels > 2, channels], icc_profile)
        return cls(picture, low, data, tags, pages, picture)

    def put_on(self, face: FaceKey) -> Self:
        return super().put_on(face)._in_pages()

    def take_off(self, face: FaceKey) -> Self:
        return super().take_off(face)._in_pages()

    def digest(self) -> bytes:
        if self.low is None:
            return self.shown.digest()
        return hashlib.sha256(self.shown.digest() + self.low.tobytes()).digest()

    def _encode(self) -> bytes:
        file = bytearray(self.opened)
        offsets, lengths = ([getattr(page, name).copy() for page in self.pages] for name in ("offsets", "lengths"))
        moved, holes = [], []
        for number, segment, raw in self._changes():
            page = self.pages[number]
            body = tiff_segments.compress(raw, page)
            start, room = int(page.offsets[segment.number]), int(page.lengths[segment.number])
            file[start : start + room] = bytes(room)
            lengths[number][segment.number] = len(body)
            if len(body) <= room:
                file[start : start + len(body)] = body
            else:
                moved.append((number, segment.number, body))
                holes.append((start, start + room))
        for (number, index, _), start in zip(moved, _settle(file, [body for *_, body in moved], holes), strict=True):
            offsets[number][index] = start
        for page, starts, sizes in zip(self.pages, offsets, lengths, strict=True):
            where = (TILE_OFFSETS, TILE_LENGTHS) if page.tiled else (STRIP_OFFSETS, STRIP_LENGTHS)
            for tag, old, new in zip(where, (page.offsets, page.lengths), (starts, sizes), strict=True):
                if not np.array_equal(old, new):
                    self.tags.write(file, page.directory.entries[tag], new)
        tiff_hidden.blank(file, self.opened, self.tags, self.pages)
        return bytes(file)

    def saved(self, protected: bytes) -> bytes:
        restored = replace(type(self).read(protected, "the protected file"), shown=self.shown)
        changes = list(restored._changes())
        writer = self._find_writer(changes)
        again = [] if writer is None else [change for change in changes if self._wrote(change, writer)]
        where = np.zeros(len(again), _CHANGED)
        for row, change in zip(where, again, strict=True):
            row["page"], row["segment"] = change.page, change.segment.number
            row["start"] = self.pages[change.page].offsets[change.segment.number]
        draft = restored._draft(where, writer or 0, len(self.opened), protected)
        size = np.array([len(self.opened), writer or 0], "<u8").tobytes()
        return parts.join([size, where.tobytes(), *patches.differences(self.opened, draft)])

    def rebuild(self, saved: bytes, protected: bytes) -> bytes:
        size, where, runs, bodies = parts.split(saved, 4)
        if len(size) != 16 or len(where) % _CHANGED.itemsize:
            raise parts.not_fitting()
        length, writer = np.frombuffer(size, "<u8").tolist()
        draft = self._draft(np.frombuffer(where, _CHANGED), writer, length, protected)
        patches.patch(draft, runs, bodies)
        return bytes(draft)

    def _in_pages(self) -> Self:
        """Black beside narrow pages again: there the file keeps nothing."""
        if len({_size(page)[0] for page in self.pages}) == 1:
            return self
        pixels = np.zeros_like(self.shown.pixels)
        for place in _places(self.pages):
            pixels[place] = self.shown.pixels[place]
        return replace(self, shown=replace(self.shown, pixels=pixels))

    def _changes(self) -> Iterator[Change]:
        """The strips and tiles that `shown` changes, page by page."""
        if self.shown is self.before:
            return
        for number, (place, page) in enumerate(zip(_places(self.pages), self.pages, strict=True)):
            noise = to_stored(self.shown.pixels[place] ^ self.before.pixels[place], page.orientation)
            noise = noise.reshape(page.height, page.width, page.channels)
            touched = np.any(noise, 2)
            for segment in page.segments():
                area = _area(segment)
                if touched[area].any():
                    pixels = tiff_segments.decode(self.opened, self.tags.order, page, segment, "the picture")
                    part = noise[area][..., segment.channel : segment.channel + page.coded[2]].astype(pixels.dtype)
                    pixels[: segment.height, : segment.width] ^= part << (page.depth - 8)
                    yield Change(number, segment, tiff_segments.raw_bytes(pixels, self.tags.order, page))

    def _find_writer(self, changes: list[Change]) -> int | None:
        """Which of `tiff_segments.WRITERS` has written this file, told by one of the changes' places."""
        if not changes:
            return None
        for writer in range(len(tiff_segments.WRITERS[self.pages[changes[0].page].compression])):
            if self._wrote(changes[0], writer):
                return writer
        return None

    def _wrote(self, change: Change, writer: int) -> bool:
        """Whether the writer makes of a change's raw bytes what this file has in its place."""
        page = self.pages[change.page]
        if writer >= len(tiff_segments.WRITERS[page.compression]):
            return False
        start, length = (int(page.offsets[change.segment.number]), int(page.lengths[change.segment.number]))
        return tiff_segments.compress(change.raw, page, writer) == self.opened[start : start + length]

    def _draft(self, where: np.ndarray, writer: int, length: int, protected: bytes) -> bytearray:
        """The original file as far as it can be told from the protected one: with the segments at `where` as `writer`
        writes them of `shown`."""
        if length > len(protected):
            raise parts.not_fitting()
        draft = bytearray(memoryview(protected)[:length])
        changes = {(change.page, change.segment.number): change.raw for change in self._changes()}
        for number, index, start in where.tolist():
            page = self.pages[number] if number < len(self.pages) else None
            if page is None or (number, index) not in changes or writer >= len(tiff_segments.WRITERS[page.compression]):
                raise parts.not_fitting()
            body = tiff_segments.compress(changes[number, index], page, writer)
            if start + len(body) > length:
                raise parts.not_fitting()
            draft[start : start + len(body)] = body
        return draft


def _size(page: Page) -> tuple[int, int]:
    """Width and height of a page, upright."""
    return (page.width, page.height) if page.orientation < 5 else (page.height, page.width)


def _places(pages: Sequence[Page]) -> list[tuple[slice, slice]]:
    """Rows and columns of every page in the picture of all."""
    sizes = [_size(page) for page in pages]
    ends = itertools.accumulate(height for _, height in sizes)
    return [(slice(end - height, end), slice(0, width)) for (width, height), end in zip(sizes, ends, strict=True)]


def _settle(file: bytearray, bodies: Sequence[bytes], holes: list[tuple[int, int]]) -> list[int]:
    """Write every body into the first of the holes (start, end) that has room, or after the end; where each is then."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(holes):
        if merged and merged[-1][1] == start:
            start = merged.pop()[0]
        merged.append((start, end))
    if merged and merged[-1][1] == len(file):
        del file[merged.pop()[0] :]
    starts = []
    for body in bodies:
        for number, (first, end) in enumerate(merged):
            start = first + first % 2  # offsets are even by the standard
            if end - start >= len(body):
                merged[number] = (start + len(body), end)
                break
        else:
            file += bytes(len(file) % 2)
            start = len(file)
            file += bytes(len(body))
        file[start : start + len(body)] = body
        starts.append(start)
    return starts


def _area(segment: Segment) -> tuple[slice, slice]:
    """Rows and columns of a segment on its page."""
    top, left = segment.top, segment.left
    return slice(top, top + segment.height), slice(left, left + segment.width)


def _read_pixels(data: bytes, order: str, page: Page, name: str) -> np.ndarray:
    """(H, W, C) uint8 or uint16 as they are stored, 0 for black."""
    pixels = np.empty((page.height, page.width, page.channels), f"u{page.depth // 8}")
    for segment in page.segments():
        part = tiff_segments.decode(data, order, page, segment, name)[: segment.height, : segment.width]
        pixels[_area(segment)][..., segment.channel : segment.channel + page.coded[2]] = part
    if page.inverted:
        np.invert(pixels[..., :1], pixels[..., :1])
    return pixels
