"""What else a TIFF file holds that shows the picture: reduced copies, thumbnails, layers. And files that are RAW."""

from collections.abc import Iterator, Sequence

import numpy as np

from veilkey.carriers.hidden import clean_streams
from veilkey.carriers.tiff import segments as tiff_segments
from veilkey.carriers.tiff.directories import Directory, Tags
from veilkey.carriers.tiff.pages import (
    MAX_SEGMENTS,
    STRIP_LENGTHS,
    STRIP_OFFSETS,
    TILE_LENGTHS,
    TILE_OFFSETS,
    Page,
    read_page,
)
from veilkey.errors import UnreadablePhoto

_SUBFILE_TYPE, _OLD_SUBFILE_TYPE, _COLOUR_SPACE, _DNG_VERSION = 254, 255, 262, 50706
_REDUCED, _OLD_REDUCED = 1, 2
_COLOUR_FILTER_ARRAY, _LINEAR_RAW = 32803, 34892
_JPEG_OFFSET, _JPEG_LENGTH = 513, 514
_PLACES = {STRIP_OFFSETS: STRIP_LENGTHS, TILE_OFFSETS: TILE_LENGTHS, _JPEG_OFFSET: _JPEG_LENGTH}
_PHOTOSHOP_LAYERS = 37724
_SHORTEST = 64  # bytes; no picture is smaller


def refuse_raw(data: bytes, tags: Tags, name: str) -> None:
    """
    Raises:
        UnreadablePhoto: what a camera's sensor saw, which only looks like TIFF.
    """
    raw = data[8:10] == b"CR"
    for directory in tags.directories:
        raw |= _first(data, tags, directory, _COLOUR_SPACE) in (_COLOUR_FILTER_ARRAY, _LINEAR_RAW)
        raw |= _DNG_VERSION in directory.entries
    if raw:
        raise UnreadablePhoto(f"{name}: is a camera's RAW file: develop it to TIFF or JPEG first")


def is_preview(data: bytes, tags: Tags, directory: Directory) -> bool:
    """Whether a directory says that its picture is a smaller copy of another's."""
    return (
        _first(data, tags, directory, _SUBFILE_TYPE) & _REDUCED != 0
        or _first(data, tags, directory, _OLD_SUBFILE_TYPE) == _OLD_REDUCED
        or _JPEG_OFFSET in directory.entries
        and directory is not tags.directories[0]
    )


def check_apart(data: bytes, tags: Tags, pages: Sequence[Page], name: str) -> None:
    """Whether every strip and tile can be written without a change to anything else.

    Raises:
        UnreadablePhoto: some share bytes with another, or with tags.
    """
    taken = [np.array([(0, 8, 0)])]
    for directory in tags.directories:
        values = [(each.start, each.start + each.length, 0) for each in directory.entries.values() if each.length > 8]
        taken.append(np.array([(directory.start, directory.start + directory.length, 0), *values]))
        taken += [np.stack([start, end, np.ones_like(start)], 1) for start, end in _pictures(data, tags, directory)]
    ranges = np.concatenate(taken)
    ranges = ranges[np.argsort(ranges[:, 0], kind="stable")]
    starts, ends, pictures = (ranges[1:, 0], np.maximum.accumulate(ranges[:, 1])[:-1], ranges[:, 2] == 1)
    picture_ends = np.maximum.accumulate(np.where(pictures, ranges[:, 1], 0))[:-1]
    if len(ranges) > 2 * MAX_SEGMENTS or np.any(starts < np.where(pictures[1:], ends, picture_ends)):
        raise UnreadablePhoto(f"{name}: its strips or tiles share bytes: save it anew")


def blank(file: bytearray, opened: bytes, tags: Tags, pages: Sequence[Page]) -> None:
    """Black in place of every other picture that `opened` holds, in `file`, which has the same tags in its places."""
    shown = {page.directory.start for page in pages}
    for directory in tags.directories:
        if directory.start not in shown:
            _blank_picture(file, opened, tags, directory)
        for tag, entry in directory.entries.items():
            if entry.length < _SHORTEST or tag in _PLACES or tag in _PLACES.values():
                continue
            value = slice(entry.start, entry.start + entry.length)
            cleaned = bytes(entry.length) if tag == _PHOTOSHOP_LAYERS else clean_streams(opened[value])
            if cleaned != opened[value]:  # a value of a damaged file may lie over tags that were written anew
                file[value] = cleaned


def _blank_picture(file: bytearray, opened: bytes, tags: Tags, directory: Directory) -> None:
    """Black pixels where we can write them, else zeros, which no program shows."""
    for starts, ends in _pictures(opened, tags, directory):
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            file[start:end] = bytes(end - start)
    try:
        page = read_page(opened, tags, directory, "the preview")
    except UnreadablePhoto:
        return
    lengths = page.lengths.copy()
    for segment in page.segments():
        rows = page.coded[0] if page.tiled else segment.height
        black = np.full((rows, *page.coded[1:]), -page.inverted, f"i{page.depth // 8}").view(f"u{page.depth // 8}")
        body = tiff_segments.compress(tiff_segments.raw_bytes(black, tags.order, page), page)
        start, room = int(page.offsets[segment.number]), int(page.lengths[segment.number])
        if len(body) <= room:
            file[start : start + len(body)] = body
            lengths[segment.number] = len(body)
    tags.write(file, directory.entries[TILE_LENGTHS if page.tiled else STRIP_LENGTHS], lengths)


def _pictures(data: bytes, tags: Tags, directory: Directory) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Where (starts, ends), int64, the pictures of a directory are, as far as that is inside the file."""
    for tag, lengths in _PLACES.items():
        if tag in directory.entries and lengths in directory.entries:
            starts = tags.numbers(data, directory.entries[tag])
            sizes = tags.numbers(data, directory.entries[lengths])
            both = min(len(starts), len(sizes))
            starts = np.clip(starts[:both], 0, len(data))
            yield (starts, np.clip(starts + np.clip(sizes[:both], 0, len(data)), 0, len(data)))


def _first(data: bytes, tags: Tags, directory: Directory, tag: int) -> int:
    """The first number of a tag, 0 where there is none."""
    values = tags.numbers(data, directory.entries[tag]) if tag in directory.entries else np.empty(0)
    return int(values[0]) if len(values) else 0
