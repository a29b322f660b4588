"""From a protected PNG file back to the original's bytes: its chunks, and how its rows were filtered and deflated."""

import itertools
import struct
from collections.abc import Sequence

import numpy as np

from veilkey.carriers import deflate, parts
from veilkey.carriers.png import chunks as png_chunks
from veilkey.carriers.png import rows as png_rows
from veilkey.carriers.png.chunks import Chunk, Header
from veilkey.errors import UnreadablePhoto

_SAME, _OWN, _PICTURE = b"\0", b"\1", b"\2"
_NUMBER = struct.Struct("<I")
_OWN_HEAD = struct.Struct("<4sI")


def save(chunks: Sequence[Chunk], tail: bytes, pixels: np.ndarray, protected: bytes) -> bytes:
    """What `rebuild` needs to make the file of `chunks` and `tail` again, given its pixels as they are stored.

    A few hundred bytes where zlib has deflated the picture; all of the deflated picture where something else has.
    """
    bodies = [chunk.body for chunk in chunks if chunk.kind == b"IDAT"]
    stream = b"".join(bodies)
    header = png_chunks.read_header(chunks, "the file")
    samples = _samples(pixels, header, chunks)
    filters = png_rows.read_filters(bodies, header) or b""
    setting = filters and deflate.find_setting(stream, lambda: png_rows.filtered_rows(samples, header, filters))
    how = (setting.packed(), filters) if setting else (b"", stream)
    lengths = np.array([len(body) for body in bodies], "<u4").tobytes()
    theirs, _ = png_chunks.parse(protected, "the protected file")
    return parts.join([*how, lengths, _describe(chunks, theirs), tail])


def rebuild(saved: bytes, pixels: np.ndarray, protected: bytes) -> bytes:
    """The original file; its pixels as they are stored.

    Raises:
        ForeignKey: `saved` is not what `save` gave for these pixels' file.
    """
    setting, stream, lengths, described, tail = parts.split(saved, 5)
    theirs, _ = png_chunks.parse(protected, "the protected file")
    try:
        chunks = _follow(described, theirs)
        if setting:
            header = png_chunks.read_header(chunks, "the file")
            samples = _samples(pixels, header, chunks)
            rows = png_rows.filtered_rows(samples, header, stream)
            stream = b"".join(deflate.compress(deflate.Setting.unpacked(setting), rows))
        ends = np.frombuffer(lengths, "<u4").cumsum(dtype=np.int64).tolist()
    except (ValueError, IndexError, KeyError, struct.error, UnreadablePhoto):
        raise parts.not_fitting() from None
    picture = [Chunk(b"IDAT", stream[start:end]) for start, end in itertools.pairwise((0, *ends))]
    first = next((index for index, chunk in enumerate(chunks) if chunk.kind == b"IDAT"), 0)
    return png_chunks.write([*chunks[:first], *picture, *chunks[first + 1 :]], tail)


def _samples(pixels: np.ndarray, header: Header, chunks: Sequence[Chunk]) -> np.ndarray:
    """Pixels with palettes and transparent colours spelled out -> (H, W, C) samples of a file with this header."""
    if pixels.shape[:2] != (header.height, header.width):
        raise ValueError("`header` must be of a picture of the same size as `pixels`.")
    channels = pixels.reshape(*pixels.shape[:2], -1)
    if header.colour == 3:
        return _indices(channels, chunks)
    channels = channels[:, :, : png_rows.CHANNELS[header.colour]]
    return channels // np.uint8(255 // (2**header.depth - 1)) if header.depth < 8 else channels


def _indices(channels: np.ndarray, chunks: Sequence[Chunk]) -> np.ndarray:
    """Colours (H, W, 3 or 4) uint8 -> the first place (H, W, 1) uint8 that each has in the palette, 0 for none."""
    bodies = {chunk.kind: bytes(chunk.body) for chunk in chunks if chunk.kind in (b"PLTE", b"tRNS")}
    palette = np.full((len(bodies[b"PLTE"]) // 3, 4), 255, np.uint8)
    palette[:, :3] = np.frombuffer(bodies[b"PLTE"], np.uint8).reshape(-1, 3)
    clear = np.frombuffer(bodies.get(b"tRNS", b""), np.uint8)[: len(palette)]
    palette[: len(clear), 3] = clear
    colours, places = np.unique(_codes(palette[:, : channels.shape[2]]), return_index=True)
    codes = _codes(channels)
    found = np.minimum(np.searchsorted(colours, codes), len(colours) - 1)
    return np.where(colours[found] == codes, places[found], 0).astype(np.uint8)[..., None]


def _codes(colours: np.ndarray) -> np.ndarray:
    """One uint32 for every colour (..., 3 or 4) uint8."""
    codes = np.zeros(colours.shape[:-1], np.uint32)
    for channel in range(colours.shape[-1]):
        codes = codes << np.uint32(8) | colours[..., channel]
    return codes


def _describe(chunks: Sequence[Chunk], theirs: Sequence[Chunk]) -> bytes:
    """`chunks` in terms of the protected file's; those of the picture by their place alone."""
    places = {(kind, bytes(body)): place for place, (kind, body) in enumerate(theirs) if kind != b"IDAT"}
    described, before = [], b""
    for kind, body in chunks:
        if kind == b"IDAT":
            described += [_PICTURE] if before != b"IDAT" else []
        elif (kind, bytes(body)) in places:
            described.append(_SAME + _NUMBER.pack(places[kind, bytes(body)]))
        else:
            described.append(_OWN + _OWN_HEAD.pack(kind, len(body)) + body)
        before = kind
    return b"".join(described)


def _follow(described: bytes, theirs: Sequence[Chunk]) -> list[Chunk]:
    """The chunks that `_describe` was given, with one empty one for the picture.

    Raises ValueError, IndexError or struct.error for what `_describe` does not give.
    """
    chunks, start = [], 0
    while start < len(described):
        word, start = described[start : start + 1], start + 1
        if word == _PICTURE:
            chunks.append(Chunk(b"IDAT", b""))
        elif word == _SAME:
            chunks.append(theirs[_NUMBER.unpack_from(described, start)[0]])
            start += _NUMBER.size
        elif word == _OWN:
            kind, length = _OWN_HEAD.unpack_from(described, start)
            start += _OWN_HEAD.size + length
            chunks.append(Chunk(kind, described[start - length : start]))
        else:
            raise ValueError("no description of chunks")
    return chunks
