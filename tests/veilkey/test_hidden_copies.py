"""Every other picture in a protected file is taken out of it and shown to a recognizer: none shows the face."""

import base64
import io
import json
import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from veilkey import api, recognizers
from veilkey.carriers import open_photo
from veilkey.faces import FaceFinder
from veilkey.issuing import complete
from veilkey.protector import Settings
from veilkey.restorer import restore_file

SIDE = 160  # of the copies, pixels: enough for a recognizer
SIGNATURES = re.compile(rb"\xff\xd8\xff|\x89PNG\r\n|II\*\0|MM\0\*|(?=....ftyp)", re.DOTALL)
BASE64 = re.compile(rb"[A-Za-z0-9+/]{400,}=*")


def as_jpeg(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def copy(close_up: np.ndarray) -> bytes:
    """A JPEG file that shows the face."""
    return as_jpeg(cv2.resize(close_up, (SIDE, SIDE), interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="module")
def film(close_up: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A short film of the face (MP4)."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 10, (256, 256))
    for _ in range(3):
        writer.write(np.ascontiguousarray(close_up[..., ::-1]))
    writer.release()
    return path.read_bytes()


def exif_with(copy: bytes) -> bytes:
    """Exif with a thumbnail, and a preview in the maker's note."""
    note = b"MAKER\0" + copy
    start = 8 + len(copy) + len(note)
    first = struct.pack("<HHHIII", 1, 0x927C, 7, len(note), 8 + len(copy), start + 18)
    second = struct.pack("<HHHIIHHIII", 2, 0x0201, 4, 1, 8, 0x0202, 4, 1, len(copy), 0)
    return b"Exif\0\0II*\0" + struct.pack("<I", start) + copy + note + first + second


def xmp_with(copy: bytes) -> bytes:
    image = base64.b64encode(copy).decode()
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:'
        'Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:g="http://ns.adobe.com/xap/1.0/g/img/">'
        f'<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource"><g:image>{image}</g:image></rdf:li></rdf:Alt>'
        "</xmp:Thumbnails></rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def jpeg(pixels: np.ndarray, copy: bytes, film: bytes) -> bytes:
    buffer, image = io.BytesIO(), Image.fromarray(pixels)
    image.save(buffer, "MPO", save_all=True, append_images=[image], exif=exif_with(copy), xmp=xmp_with(copy))
    data = buffer.getvalue()
    thumbnail = struct.pack(">6I2H", 1, SIDE, SIDE, SIDE * 3, SIDE * SIDE * 3, len(copy), 24, 1) + copy
    resource = b"Photoshop 3.0\x008BIM\x04\x0c\0\0" + struct.pack(">I", len(thumbnail)) + thumbnail
    resource += bytes(len(thumbnail) % 2)
    return data[:2] + struct.pack(">HH", 0xFFED, len(resource) + 2) + resource + data[2:] + film


def png(pixels: np.ndarray, copy: bytes, film: bytes) -> bytes:
    buffer, text = io.BytesIO(), PngImagePlugin.PngInfo()
    text.add_itxt("XML:com.adobe.xmp", xmp_with(copy).decode())
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=text, exif=exif_with(copy))
    return buffer.getvalue() + copy + film


def tiff(pixels: np.ndarray, copy: bytes, film: bytes) -> bytes:
    buffer, tags = io.BytesIO(), [(700, "B", len(xmp_with(copy)), xmp_with(copy), True)]
    with tifffile.TiffWriter(buffer) as file:
        file.write(pixels, photometric="rgb", compression="zlib", extratags=tags)
        file.write(pixels[::2, ::2].copy(), photometric="rgb", subfiletype=1)
    return buffer.getvalue()


KINDS = {"photo.jpg": (jpeg, 5), "photo.png": (png, 3), "photo.tif": (tiff, 2)}


def by_signature(data: bytes) -> Iterator[bytes]:
    """Whatever in a file looks like the beginning of a picture or film, but for the file itself; base64 as well."""
    yield from (data[found.start() :] for found in SIGNATURES.finditer(data) if found.start())
    yield from (base64.b64decode(found[0][: len(found[0]) // 4 * 4]) for found in BASE64.finditer(data))


def by_exiftool(data: bytes, folder: Path) -> Iterator[bytes]:
    """Every binary value that exiftool takes out of a file."""
    path = folder / "photo"
    path.write_bytes(data)
    done = subprocess.run(["exiftool", "-j", "-b", "-a", "-G4", "-ee", str(path)], capture_output=True, check=False)
    for value in json.loads(done.stdout)[0].values():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, str) and one.startswith("base64:"):
                yield base64.b64decode(one.removeprefix("base64:"))


def frames(data: bytes, folder: Path) -> list[np.ndarray]:
    """(H, W, 3) uint8 RGB: all that a picture or film shows, so far as it can be decoded."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            found = []
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                found.append(np.array(image.convert("RGB")))
            return found
    except (OSError, SyntaxError, ValueError, EOFError):
        path = folder / "film"
        path.write_bytes(data)
        shown, frame = cv2.VideoCapture(str(path)).read() if data[4:8] == b"ftyp" else (False, None)
        return [np.ascontiguousarray(frame[..., ::-1])] if shown else []


@pytest.fixture(scope="module")
def shows_the_person(close_up: np.ndarray) -> Callable[[np.ndarray], bool]:
    judge, finder = recognizers.get("dlib"), FaceFinder()
    known = judge.embed_face(close_up, finder.find(close_up)[0].landmarks)

    def ask(image: np.ndarray) -> bool:
        faces = finder.find(image)
        return any(judge.distance(known, judge.embed_face(image, face.landmarks)) < judge.threshold for face in faces)

    return ask


@pytest.fixture(scope="module", params=KINDS)
def photo(request: pytest.FixtureRequest, close_up: np.ndarray, copy: bytes, film: bytes) -> SimpleNamespace:
    """data, protected: files. copies: how many others the first holds at least."""
    make, copies = KINDS[request.param]
    data = make(close_up, copy, film)
    original = open_photo(data)
    # Strong, so that the photo itself does not show the person either, whichever secret was drawn.
    changed, payload, _ = api.protector("dlib").protect(original, Settings(strength="strong"))
    payload = complete(data, original, changed, payload, exact=True, name=request.param, modified=0)
    assert restore_file(open_photo(changed.encode()), [payload]).data == data
    return SimpleNamespace(data=data, protected=changed.encode(), copies=copies)


def test_no_copy_that_can_be_cut_out_shows_the_face(
    photo: SimpleNamespace, shows_the_person: Callable[[np.ndarray], bool], tmp_path: Path
) -> None:
    def shown(file: bytes) -> int:
        """How many pictures show the person."""
        taken = [file, *by_signature(file)]
        return sum(sum(map(shows_the_person, frames(one, tmp_path))) for one in taken)

    assert shown(photo.data) >= 1 + photo.copies
    assert shown(photo.protected) == 0


def test_no_copy_that_exiftool_takes_out_shows_the_face(
    photo: SimpleNamespace, shows_the_person: Callable[[np.ndarray], bool], tmp_path: Path
) -> None:
    if not shutil.which("exiftool"):
        pytest.skip("exiftool is not installed (libimage-exiftool-perl)")

    def shown(file: bytes) -> int:
        return sum(any(map(shows_the_person, frames(one, tmp_path))) for one in by_exiftool(file, tmp_path))

    assert shown(photo.data) >= 1
    assert shown(photo.protected) == 0
