"""Files that show a picture and are not taken: what each is, and what to do."""

from veilkey.errors import UnreadablePhoto

_RAW = "is a camera's RAW file: develop it to TIFF or JPEG first"
_VECTOR = "is no photo: export it as PNG first"
# RAW files that begin like TIFF (DNG, CR2, NEF, ARW, PEF) are told by their tags: see tiff_hidden.py.
_BEGINNINGS = (
    (b"FUJIFILMCCD-RAW", _RAW),
    (b"IIRO", _RAW),
    (b"IIRS", _RAW),
    (b"MMOR", _RAW),
    (b"IIU\0", _RAW),
    (b"\0MRM", _RAW),
    (b"FOVb", _RAW),
    (b"II\x1a\0\0\0HEAPCCDR", _RAW),
    (b"8BPS", "is a Photoshop file: export it as PNG or TIFF first"),
    (b"8BPB", "is a Photoshop file: export it as PNG or TIFF first"),
    (b"gimp xcf", "is a GIMP file: export it as PNG or TIFF first"),
    (b"GIF8", "is a GIF: save the picture that you want as PNG first"),
    (b"\xff\x0a", "is JPEG XL: convert it to PNG first"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "is JPEG XL: convert it to PNG first"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "is JPEG 2000: convert it to PNG first"),
    (b"\xff\x4f\xff\x51", "is JPEG 2000: convert it to PNG first"),
    (b"%PDF", "is a PDF: export its page as PNG first"),
    (b"<svg", _VECTOR),
    (b"<?xml", _VECTOR),
    (b"%!PS", _VECTOR),
    (b"\0\0\1\0", "is an icon: save it as PNG first"),
    (b"v/1\1", "is OpenEXR: convert it to TIFF with 16 bits first"),
    (b"#?RADIANCE", "is Radiance HDR: convert it to TIFF with 16 bits first"),
    (b"\x1aE\xdf\xa3", "is a film: save the picture that you want as PNG first"),
)
_BRANDS = {
    b"crx ": _RAW,
    b"qt  ": "is a film: save the picture that you want as PNG first",
    b"isom": "is a film: save the picture that you want as PNG first",
    b"mp42": "is a film: save the picture that you want as PNG first",
}


def refuse(head: bytes, name: str) -> UnreadablePhoto:
    """The error for a file that begins like `head`, which no format of ours does."""
    if not head:
        return UnreadablePhoto(f"{name}: is empty: get the file again")
    reason = _BRANDS.get(head[8:12]) if head[4:8] == b"ftyp" else None
    for beginning, said in _BEGINNINGS:
        if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(beginning):
            reason = said
    if reason is None:
        reason = "not a picture that can be read: give a JPEG, PNG, TIFF, WebP, BMP, HEIC or AVIF file"
    return UnreadablePhoto(f"{name}: {reason}")
