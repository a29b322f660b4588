"""Picture files in and out: one file a format family, found by what the file holds, not by its name."""

from veilkey.carriers.picture import Picture
from veilkey.carriers.raster import encode_png, from_pil, read_photo

__all__ = ["Picture", "encode_png", "from_pil", "read_photo"]
