"""BMP with a palette: spelled out with 24 bits, and back. Pixels here are as they lie in the file, blue first."""

import struct

import numpy as np

FILE_HEADER = 14
_START, _BITS, _SIZE, _COLOURS, _PROFILE = (FILE_HEADER + at for at in (-4, 14, 20, 32, 112))
_ROWS = 256  # worked on at once, which bounds memory


def spelled_out(data: bytes, width: int, height: int, profile: slice) -> bytes:
    """A file with 24 bits a pixel that shows the same, without what follows picture and profile. A colour that the
    palette lacks is black."""
    head, kept, bits = bytearray(data[: _head_size(data)]), data[profile], _bits(data)
    body = np.zeros((height, stride_of(width, 24)), np.uint8)
    body[:, : width * 3] = _palette(data)[_indices(_rows(data, width, height), bits)[:, :width]].reshape(height, -1)
    struct.pack_into("<I", head, 2, len(head) + body.size + len(kept))
    struct.pack_into("<I", head, _START, len(head))
    struct.pack_into("<H", head, _BITS, 24)
    struct.pack_into("<I", head, _SIZE, body.size)
    struct.pack_into("<II", head, _COLOURS, 0, 0)
    if kept:
        struct.pack_into("<I", head, _PROFILE, len(head) - FILE_HEADER + body.size)
    return bytes(head) + body.tobytes() + kept


def taken_apart(data: bytes, pixels: np.ndarray) -> tuple[bytes, bytes, bytes]:
    """What is needed beside its pixels (H, W, 3) for a file: what follows its rows, what precedes them, and what
    `rebuilt` takes beside that: how its rows differ from those that have the first of equal colours and are filled up
    by 0, b"" where they do not."""
    (start,) = struct.unpack_from("<I", data, _START)
    rows = _rows(data, pixels.shape[1], len(pixels))
    differ = rows ^ _packed(data[:start], pixels)
    return data[start + rows.size :], data[:start], differ.tobytes() if differ.any() else b""


def rebuilt(head: bytes, pixels: np.ndarray, differences: bytes) -> bytes:
    """The file until the end of its rows. Raises ValueError or struct.error where these do not belong together."""
    rows = _packed(head, pixels)
    if differences:
        rows ^= np.frombuffer(differences, np.uint8).reshape(rows.shape)
    return head + rows.tobytes()


def _packed(head: bytes, pixels: np.ndarray) -> np.ndarray:
    """Rows (H, stride) uint8 of places in the palette of `head`."""
    bits, (height, width) = _bits(head), pixels.shape[:2]
    colours, first = np.unique(_numbers(_palette(head)), return_index=True)
    stride = stride_of(width, bits)
    indices = np.zeros((height, stride * 8 // bits), np.uint8)
    for start in range(0, height, _ROWS):
        wanted = _numbers(pixels[start : start + _ROWS])
        places = np.searchsorted(colours, wanted).clip(max=len(colours) - 1)
        if not np.array_equal(colours[places], wanted):
            raise ValueError("a colour is not in the palette")
        indices[start : start + _ROWS, :width] = first[places]
    return np.bitwise_or.reduce(indices.reshape(height, stride, -1) << _shifts(bits), axis=2)


def _indices(rows: np.ndarray, bits: int) -> np.ndarray:
    return (rows[..., None] >> _shifts(bits) & ((1 << bits) - 1)).reshape(len(rows), -1)


def _shifts(bits: int) -> np.ndarray:
    """Of the pixels in a byte: the first is in its highest bits."""
    return np.arange(8 - bits, -1, -bits, dtype=np.uint8)


def _palette(data: bytes) -> np.ndarray:
    """(2 to the power of bits, 3) uint8; black beyond its end."""
    size, (start,), (used,) = 1 << _bits(data), *(struct.unpack_from("<I", data, at) for at in (_START, _COLOURS))
    entries = data[_head_size(data) : start][: 4 * min(used or size, size)]
    whole = entries[: len(entries) // 4 * 4].ljust(4 * size, b"\0")
    return np.frombuffer(whole, np.uint8).reshape(size, 4)[:, :3]


def _bits(data: bytes) -> int:
    (bits,) = struct.unpack_from("<H", data, _BITS)
    if bits not in (1, 4, 8):
        raise ValueError("it has no palette")
    return int(bits)


def _head_size(data: bytes) -> int:
    return FILE_HEADER + int(struct.unpack_from("<I", data, FILE_HEADER)[0])


def stride_of(width: int, bits: int) -> int:
    """Bytes of a row, which are filled up to a multiple of 4."""
    return -(-width * bits // 32) * 4


def _rows(data: bytes, width: int, height: int) -> np.ndarray:
    (start,) = struct.unpack_from("<I", data, _START)
    stride = stride_of(width, _bits(data))
    return np.frombuffer(data, np.uint8, stride * height, start).reshape(height, stride)


def _numbers(colours: np.ndarray) -> np.ndarray:
    """One number for each colour (..., 3)."""
    return colours.astype(np.uint32) @ np.array([1, 1 << 8, 1 << 16], np.uint32)
