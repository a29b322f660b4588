"""Files that lie, made of parts: pictures of any claimed size, directories that lead astray, chunks of any length."""

import io
import re
import struct
import zipfile
import zlib

from PIL import Image


def zeros(count: int) -> bytes:
    """Deflated zeros, `count` of them, a multiple of 2^20, without the time that deflating them takes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    # Of zeros, Adler-32's first half stays 1 and its second grows by 1 each.
    return b"\x78\x9c" + block * (count >> 20) + b"\x03\0" + struct.pack(">I", count % 65521 << 16 | 1)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, data: bytes, *more: tuple[bytes, bytes], colour: int = 2, depth: int = 8) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = [(b"IHDR", header), *more, (b"IDAT", data), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


Tag = tuple[int, int, int, int]  # tag, type, count, value or offset


def tiff(entries: list[Tag], body: bytes = b"", following: int = 0, order: str = "<") -> bytes:
    """One directory at 8, sorted by tag, and `body` behind it, at the offset that `after` tells."""
    packed = b"".join(struct.pack(order + "HHII", *entry) for entry in sorted(entries))
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, len(entries))
    return head + packed + struct.pack(order + "I", following) + body


def after(entries: int) -> int:
    return 8 + 2 + 12 * entries + 4


def tiff_picture(width: int, height: int, data: bytes, compression: int = 1, **changed: tuple[int, int, int]) -> bytes:
    """A grey TIFF of one strip; `changed`: tags, such as t258, with another type, count and value, or new ones."""
    tags = {
        256: (4, 1, width),
        257: (4, 1, height),
        258: (3, 1, 8),
        259: (3, 1, compression),
        262: (3, 1, 1),
        273: (4, 1, 0),
        277: (3, 1, 1),
        278: (4, 1, height),
        279: (4, 1, len(data)),
    }
    tags |= {int(name[1:]): value for name, value in changed.items()}
    tags[273] = changed.get("t273", (4, 1, after(len(tags))))
    return tiff([(tag, *value) for tag, value in tags.items()], data)


def strips_in_one_place(count: int) -> bytes:
    """A TIFF whose every row is the same deflated mebibyte."""
    row = zeros(2**20)
    start = after(9)
    body = row + struct.pack("<I", start) * count + struct.pack("<I", len(row)) * count
    places = (4, count, start + len(row)), (4, count, start + len(row) + 4 * count)
    return tiff_picture(80, count, body, 8, t278=(4, 1, 1), t273=places[0], t279=places[1])


def jpeg_segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def jpeg_sized(jpeg: bytes, width: int, height: int) -> bytes:
    """The same file with other dimensions in its frame header."""
    start = next(m.start() for m in re.finditer(b"\xff[\xc0\xc2]\0", jpeg))
    return jpeg[: start + 5] + struct.pack(">HH", height, width) + jpeg[start + 9 :]


def before_scan(jpeg: bytes, segments: bytes) -> bytes:
    start = jpeg.index(b"\xff\xda")
    return jpeg[:start] + segments + jpeg[start:]


def many_scans(jpeg: bytes, width: int, height: int, scans: int) -> bytes:
    """A progressive JPEG of a large grey size whose every scan says in a few bytes that nothing is there."""
    blocks = -(-width // 8) * -(-height // 8)
    table = jpeg[jpeg.index(b"\xff\xdb") :][:69]
    frame = struct.pack(">BHHBBBB", 8, height, width, 1, 1, 0x11, 0)
    # One DC symbol, 0, and the AC symbol 0xE0: the next 2^14 and more blocks end here. Each has the code 0.
    codes = b"\0\1" + bytes(15) + b"\0", b"\x10\1" + bytes(15) + b"\xe0"
    data = b"\xff\xd8" + table + jpeg_segment(0xC2, frame) + b"".join(jpeg_segment(0xC4, code) for code in codes)
    data += jpeg_segment(0xDA, b"\1\1\0\0\0\0") + bytes(blocks // 8 + 1)
    run = bytes(2 * (blocks // 2**14 + 1))
    for scan in range(scans):
        band = scan % 63 + 1
        data += jpeg_segment(0xDA, bytes([1, 1, 0, band, band, 0])) + run
    return data + b"\xff\xd9"


def bmp_with(bmp: bytes, place: int, form: str, value: int) -> bytes:
    altered = bytearray(bmp)
    struct.pack_into("<" + form, altered, place, value)
    return bytes(altered)


def riff(*chunks: tuple[bytes, bytes], size: int | None = None) -> bytes:
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def vp8l(webp: bytes, width: int, height: int) -> bytes:
    """A lossless WebP that says to be of another size."""
    start = webp.index(b"VP8L") + 9
    (bits,) = struct.unpack_from("<I", webp, start)
    return webp[:start] + struct.pack("<I", bits & 0xF000_0000 | height - 1 << 14 | width - 1) + webp[start + 4 :]


def iso_sized(data: bytes, width: int, height: int) -> bytes:
    """A HEIC or AVIF file that says to be of another size."""
    start = data.index(b"ispe") + 8
    return data[:start] + struct.pack(">II", width, height) + data[start + 8 :]


def with_alpha_box(data: bytes, box: bytes, size: int) -> bytes:
    """The same file with another length for one of its boxes."""
    start = data.index(box) - 4
    return data[:start] + struct.pack(">I", size) + data[start + 4 :]


def gif(data: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(data)).save(buffer, "GIF")
    return buffer.getvalue()


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("photo.jpg", data)
    return buffer.getvalue()


def nested(jpeg: bytes, times: int) -> bytes:
    """A JPEG whose APP13 holds a JPEG whose APP13 holds a JPEG ..."""
    inner = jpeg
    for _ in range(times):
        if len(inner) > 60_000:
            break
        inner = jpeg[:2] + jpeg_segment(0xED, inner) + jpeg[2:]
    return inner
