"""JPEG files by several encoders, changes as protecting makes them, and what holds for every format."""

import contextlib
import io
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from keys.payload import BLOCKS, FaceKey
from mask_template.template import fixed_point
from veilkey.carriers.base import PROBED
from veilkey.carriers.jpeg.coefficients import AC_RANGE, Coefficients
from veilkey.carriers.picture import Picture
from veilkey.carriers.pixels import PixelCarrier
from veilkey.errors import UnreadablePhoto


def _pillow(pixels: np.ndarray, grey: bool = False, **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert("L") if grey else image).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def _opencv(pixels: np.ndarray, **options: int) -> bytes:
    flags = [value for name, number in options.items() for value in (getattr(cv2, f"IMWRITE_JPEG_{name}"), number)]
    return cv2.imencode(".jpg", pixels[..., ::-1], flags)[1].tobytes()


def _cjpeg(pixels: np.ndarray, *options: str) -> bytes:
    if not shutil.which("cjpeg"):
        pytest.skip("cjpeg is not installed (libjpeg-turbo-progs)")
    height, width = pixels.shape[:2]
    ppm = f"P6 {width} {height} 255\n".encode() + pixels.tobytes()
    return subprocess.run(["cjpeg", *options], input=ppm, capture_output=True, check=True).stdout


def _jpeglib(pixels: np.ndarray, version: str, sampling: str, quality: int, *flags: str) -> bytes:
    jpeglib = pytest.importorskip("jpeglib")
    path = Path(_jpeglib.folder, "photo.jpg")
    with jpeglib.version(version):
        picture = jpeglib.from_spatial(np.ascontiguousarray(pixels))
        picture.samp_factor = sampling
        picture.write_spatial(str(path), qt=quality, flags=list(flags))
    return path.read_bytes()


@pytest.fixture(scope="session")
def face(portrait: np.ndarray) -> np.ndarray:
    """(203, 237, 3) uint8 RGB with the face of the portrait; no side is a whole number of blocks."""
    return np.ascontiguousarray(portrait[20:223, 100:337])


@pytest.fixture(scope="session")
def jpeg(face: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., bytes]:
    """jpeg(encoder, *what it takes, pixels=face, **more): a JPEG file by "pillow", "opencv", "cjpeg" or "jpeglib"."""
    _jpeglib.folder = tmp_path_factory.mktemp("jpeglib")
    encoders = {"pillow": _pillow, "opencv": _opencv, "cjpeg": _cjpeg, "jpeglib": _jpeglib}

    def make(encoder: str = "pillow", *options: object, pixels: np.ndarray = face, **more: object) -> bytes:
        return encoders[encoder](pixels, *options, **more)

    return make


@pytest.fixture(scope="session")
def change() -> Callable[[Coefficients], Coefficients]:
    """The same coefficients, but for a fifth of those in the middle, which move by up to 3."""

    def changed(coefficients: Coefficients) -> Coefficients:
        rng = np.random.default_rng(5)
        components = []
        for component in coefficients.components:
            blocks = component.blocks.copy()
            rows, columns = blocks.shape[:2]
            window = blocks[rows // 3 : rows // 2 + 1, columns // 3 : columns // 2 + 1]
            steps = rng.integers(-3, 4, window.shape) * (rng.random(window.shape) < 0.2)
            window[...] = np.clip(window + steps, *AC_RANGE)
            components.append(replace(component, blocks=blocks))
        return replace(coefficients, components=tuple(components))

    return changed


@pytest.fixture(scope="session")
def thumbnail(portrait: np.ndarray) -> bytes:
    """A JPEG file of 64x64 pixels that shows the face."""
    return _pillow(cv2.resize(portrait[20:223, 130:333], (64, 64), interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="session")
def pictures_in() -> Callable[[bytes], int]:
    """How many JPEG and PNG pictures with anything in them can be decoded from within some bytes."""

    def count(data: bytes) -> int:
        found = 0
        for signature in (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"):
            start = data.find(signature)
            while start >= 0:
                try:
                    with Image.open(io.BytesIO(data[start:])) as image:
                        found += bool(np.asarray(image).any())
                except (OSError, SyntaxError, ValueError):
                    pass
                start = data.find(signature, start + 1)
        return found

    return count


@pytest.fixture(scope="session")
def muted(portrait: np.ndarray) -> np.ndarray:
    """(150, 171, 4) uint8 RGBA around the face of the portrait, with room for noise on both sides of every value; the
    alpha channel has all values."""
    part = portrait[60:210, 150:321]
    alpha = np.random.default_rng(5).integers(0, 256, part.shape[:2])
    return np.dstack([part // 2 + 60, alpha]).astype(np.uint8)


def _face(number: int, region: tuple[int, int, int, int], channels: int) -> FaceKey:
    """A face whose noise is at most 13, over a third of its blocks. That of the third face takes no light away."""
    rng = np.random.default_rng(number)
    x, y, width, height = region
    blocks = np.sort(rng.choice(BLOCKS, BLOCKS // 3, replace=False)).astype(np.uint16)
    return FaceKey(
        number=number,
        box=region,
        region=region,
        transform=fixed_point(np.array([[256 / width, 0, -x * 256 / width], [0, 256 / height, -y * 256 / height]])),
        blocks=blocks,
        recognizer=np.zeros(len(blocks), np.uint8),
        group=np.zeros(len(blocks), np.uint8),
        tau=np.ones(len(blocks), np.float32),
        lattice=rng.integers(0 if number == 3 else -13, 14, (12, 10, channels)).astype(np.int8),
        held=np.empty(0, np.uint32),
    )


@pytest.fixture(scope="session")
def faces() -> Callable[[Picture], list[FaceKey]]:
    """Three faces in a picture of 100 pixels a side at least; two overlap, and one touches a corner."""

    def make(picture: Picture) -> list[FaceKey]:
        channels = picture.colour().shape[2]
        corner = (picture.width - 40, picture.height - 50, 40, 50)
        regions = [(10, 20, 50, 60), (40, 50, 45, 40), corner]
        return [_face(number + 1, region, channels) for number, region in enumerate(regions)]

    return make


@pytest.fixture(scope="session")
def round_trip(faces: Callable[[Picture], list[FaceKey]]) -> Callable[..., SimpleNamespace]:
    """round_trip(carrier class, file, opened by): protect, write, open, restore whole, in part and after composing.

    Checks all that holds for every format, and gives `original`, `protected` (carriers), `file` (the protected one's
    bytes), `saved` and `restored` (the file with the same pixels).
    """

    def run(kind: type[PixelCarrier], data: bytes, again: type[PixelCarrier] | None = None) -> SimpleNamespace:
        again = again or kind
        assert kind.probe(data[:PROBED])
        original = kind.read(data, "photo")
        one, two, three = faces(original.picture)

        protected = original.put_on(one).put_on(two)
        file = protected.encode()
        opened = again.read(file, "photo")
        assert opened.digest() == protected.digest() != original.digest()
        assert opened.encode() == file
        part = again.read(opened.take_off(one).encode(), "photo")
        assert part.digest() == original.put_on(two).digest()
        whole = opened.take_off(one).take_off(two)
        assert whole.digest() == part.take_off(two).digest() == original.digest()
        assert again.read(whole.encode(), "photo").digest() == original.digest()
        saved = original.saved(file)
        assert kind.rebuild(whole, saved, file) == data

        more = opened.put_on(three)
        composed = more.encode()
        peeled = again.read(composed, "photo").take_off(three)
        assert peeled.rebuild(opened.saved(composed), composed) == file
        return SimpleNamespace(original=original, protected=opened, file=file, saved=saved, restored=whole.encode())

    return run


@pytest.fixture(scope="session")
def refused_quickly(usual: Callable[[float], float]) -> Callable[..., str]:
    """refused_quickly(carrier class, file): the one line that it is refused with, within two seconds."""

    def run(kind: type[PixelCarrier], data: bytes) -> str:
        start = time.process_time()
        with pytest.raises(UnreadablePhoto) as caught:
            kind.read(data, "photo")
        assert usual(time.process_time() - start) < 2
        line = str(caught.value)
        assert line.startswith("photo: ") and "\n" not in line and len(line) < 200
        return line

    return run


@pytest.fixture(scope="session")
def never_breaks() -> Callable[..., None]:
    """never_breaks(carrier class, file, places): cut there, and with a byte changed there, it opens or is refused."""

    def run(kind: type[PixelCarrier], data: bytes, places: Iterable[int]) -> None:
        for place in places:
            damaged = data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]
            for file in (data[:place], damaged):
                with contextlib.suppress(UnreadablePhoto):
                    kind.read(file, "photo").encode()

    return run
