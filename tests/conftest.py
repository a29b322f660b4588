"""What all tests share: a portrait, pictures of every kind, the command, and one protected portrait with its key."""

import hashlib
import io
import os
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageCms

ROOT = Path(__file__).parents[1]
SHARED_FACES = ROOT.parent / "shared" / "data" / "faces"
PASSPHRASE = "correct horse battery staple"
# What opening a hostile file may cost: processor time, and memory with the program around it.
SECONDS = 2.0
MEMORY = 500 * 2**20
# What a process holds that has not opened anything yet.
PROGRAM = 100 * 2**20


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    """(512, 512, 3) uint8 RGB: NASA's portrait of Eileen Collins, public domain. One face of 91x114 pixels."""
    return skimage.data.astronaut()


@pytest.fixture(scope="session")
def close_up(portrait: np.ndarray) -> np.ndarray:
    """(256, 256, 3) uint8 RGB: the face of the portrait and what is around it, for tests that need no more."""
    return np.ascontiguousarray(portrait[:256, 96:352])


@pytest.fixture(scope="session")
def faceless() -> np.ndarray:
    """(256, 256, 3) uint8 RGB without a face."""
    return np.ascontiguousarray(cv2.resize(skimage.data.coffee(), (256, 256), interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="session")
def shared_faces() -> Path:
    """The folder of face photos beside the checkout."""
    if not SHARED_FACES.is_dir():
        pytest.skip(f"no face photos: {SHARED_FACES} is not there")
    return SHARED_FACES


@pytest.fixture(scope="session")
def usual() -> Callable[[float], float]:
    """usual(seconds): what processor time that was spent just now is on a machine that does two million rounds of
    PBKDF2 with SHA-512 in a second, where this one is slower: that is no reason to miss a bound.

    Less than a second, which no test has for a bound, stays as it is: fuzzing asks hundreds of times."""

    def scaled(seconds: float) -> float:
        if seconds < 1:
            return seconds
        start = time.process_time()
        hashlib.pbkdf2_hmac("sha512", b"passphrase", b"salt", 200_000)
        return seconds * min(1.0, 0.1 / (time.process_time() - start))

    return scaled


@pytest.fixture(scope="session")
def bounded(usual: Callable[[float], float]) -> Callable[[], AbstractContextManager[None]]:
    """A block that may take 2 s of processor time and, with the program around it, 500 MB: `with bounded(): ...`."""

    def status(name: str) -> int:
        lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        return int(lines[name].split()[0]) * 1024

    @contextmanager
    def measure() -> Iterator[None]:
        try:
            Path("/proc/self/clear_refs").write_text("5")  # the peak is what is held now, from here on
        except OSError:
            pytest.skip("cannot measure memory through /proc")
        held, start = status("VmRSS"), time.process_time()
        yield
        seconds, grown = usual(time.process_time() - start), status("VmHWM") - held
        assert seconds < SECONDS, f"{seconds:.1f} s of processor time"
        assert grown < MEMORY - PROGRAM, f"{grown >> 20} MB"

    return measure


@pytest.fixture(scope="session", autouse=True)
def one_target() -> Iterator[None]:
    """The command attacks dlib alone where a test does not say otherwise: each other makes a protect longer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VEILKEY_TARGET", "dlib")
        yield


@pytest.fixture(scope="session", autouse=True)
def first_use() -> None:
    """What the first use of veilkey fetches and exports is there before the first test: no test depends on which came
    before it, or on what another process of the suite is at. A recognizer that cannot be fetched is left out."""
    from veilkey import recognizers
    from veilkey.errors import MissingModel
    from veilkey.recognizers import store
    from veilkey.recognizers.gradient import load_gradient, load_purifiers

    for name in store.SOURCES:
        with suppress(MissingModel):
            store.install(name)
    # Of two processes, each begins at its own end; whoever comes to what the other is at waits for it.
    names = recognizers.targets("all")
    for name in names if os.environ.get("PYTEST_XDIST_WORKER", "gw0") == "gw0" else reversed(names):
        load_gradient(name)
    load_purifiers()


@pytest.fixture(scope="session")
def environment(one_target: None) -> dict[str, str]:
    """For processes: this checkout's modules."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def veilkey_command(environment: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `veilkey ARGUMENT...` as a process of its own, in the test's folder if in no other."""

    def run(*arguments: object, cwd: Path = tmp_path, typed: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "veilkey.cli", *map(str, arguments)],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            **({"stdin": subprocess.DEVNULL} if typed is None else {"input": typed}),
        )

    return run


@pytest.fixture(scope="session")
def key_pair(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """NAME.pem and NAME.pub.pem of who may restore, and of a stranger."""
    from keys.keypair import generate

    folder = tmp_path_factory.mktemp("pairs")
    private, public = generate(folder / "alice")
    stranger, strangers_public = generate(folder / "mallory")
    return SimpleNamespace(private=private, public=public, stranger=stranger, strangers_public=strangers_public)


@pytest.fixture(scope="session")
def protected(portrait: np.ndarray, key_pair: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory):
    """The portrait, protected once for the session: for `key_pair` and for `passphrase`.

    original, image: (512, 512, 3) uint8 RGB. key: bytes. report: one entry a face. photo, file, key_file: the same as
    files; read them, write beside copies only.
    """
    from keys.recipients import PassphraseRecipient, load_recipient
    from veilkey import api
    from veilkey.carriers import encode_png, open_photo
    from veilkey.issuing import Issued, complete, seal
    from veilkey.protector import Settings

    folder = tmp_path_factory.mktemp("protected")
    photo = encode_png(api.as_picture(portrait))
    original = open_photo(photo)
    changed, payload, report = api.protector("dlib").protect(original, Settings())
    payload = complete(photo, original, changed, payload, exact=False, name="photo.png", modified=0)
    recipients = [load_recipient(key_pair.public), PassphraseRecipient(PASSPHRASE.encode())]
    key = seal(changed, payload, [Issued(one) for one in recipients])
    files = {
        "photo.png": photo,
        "photo.veiled.png": changed.encode(),
        "photo.veiled.png.veilkey": key,
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return SimpleNamespace(
        original=portrait,
        image=changed.picture.pixels,
        payload=payload,
        key=key,
        report=report,
        passphrase=PASSPHRASE,
        identity=key_pair.private,
        photo=folder / "photo.png",
        file=folder / "photo.veiled.png",
        key_file=folder / "photo.veiled.png.veilkey",
    )


@pytest.fixture(scope="session")
def other_key(portrait: np.ndarray, key_pair: SimpleNamespace) -> bytes:
    """A key for the same portrait, the same reader and the same passphrase, issued with another protected picture."""
    from keys.recipients import PassphraseRecipient, load_recipient
    from veilkey import api
    from veilkey.carriers import Pixels
    from veilkey.issuing import Issued, seal
    from veilkey.protector import Settings

    changed, payload, _ = api.protector("dlib").protect(Pixels(api.as_picture(portrait)), Settings(refine=0))
    recipients = [load_recipient(key_pair.public), PassphraseRecipient(PASSPHRASE.encode())]
    return seal(changed, payload, [Issued(one) for one in recipients])


@pytest.fixture(scope="session")
def payload_of() -> Callable[..., object]:
    """What a key says that restores a whole photo, opened with an identity file."""
    from keys import keyring
    from keys.recipients import load_identity

    def open_(key: bytes, identity: Path) -> object:
        (payload,) = keyring.unseal(key, load_identity(identity))
        return payload

    return open_


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


# How a camera that held the photo this way has stored it: what EXIF's orientation undoes.
_STORED = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.transpose(1, 0, 2),
    6: lambda x: np.rot90(x, 1),
    7: lambda x: x[::-1, ::-1].transpose(1, 0, 2),
    8: lambda x: np.rot90(x, -1),
}


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """Any array or PIL image as a file: encode(image, format, **what Pillow's save takes)."""

    def write(image: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
        buffer = io.BytesIO()
        image = Image.fromarray(np.ascontiguousarray(image)) if isinstance(image, np.ndarray) else image
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    return write


@pytest.fixture(scope="session")
def turned(close_up: np.ndarray, encode: Callable[..., bytes]) -> Callable[[int, str], bytes]:
    """The close-up as a file of some format, stored turned or mirrored as EXIF orientation 1 to 8 says."""

    def make(orientation: int, kind: str) -> bytes:
        options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
        stored = _STORED[orientation](close_up[:, :192])
        return encode(stored, kind, exif=_exif(orientation), **options)

    return make


@pytest.fixture(scope="session")
def alpha(close_up: np.ndarray) -> np.ndarray:
    """An alpha channel (256, 256) uint8 for the close-up, with holes through which colour shows."""
    ramp = np.linspace(0, 255, close_up.shape[1]).astype(np.uint8)
    return np.broadcast_to(ramp, close_up.shape[:2]).copy()


@pytest.fixture(scope="session")
def icc_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


@pytest.fixture(scope="session")
def file_of(close_up: np.ndarray, alpha: np.ndarray, icc_profile: bytes, encode: Callable[..., bytes]):
    """The close-up as a file of a kind: what can be protected, and what has to be refused."""
    image = Image.fromarray(close_up)
    rgba = Image.fromarray(np.dstack([close_up, alpha]))

    def deep(suffix: str, pixels: np.ndarray) -> bytes:
        return cv2.imencode(suffix, pixels.astype(np.uint16) * 257)[1].tobytes()

    def claiming(png: bytes, width: int, height: int) -> bytes:
        header = png[12:16] + struct.pack(">II", width, height) + png[24:29]
        return png[:12] + header + struct.pack(">I", zlib.crc32(header)) + png[33:]

    def frames(kind: str) -> bytes:
        return encode(image, kind, save_all=True, append_images=[image.rotate(90)])

    makers: dict[str, Callable[[], bytes]] = {
        "rgb.png": lambda: encode(image),
        "rgb.jpg": lambda: encode(image, "JPEG", quality=95),
        "progressive.jpg": lambda: encode(image, "JPEG", progressive=True),
        "two-views.mpo": lambda: frames("MPO"),
        "rgb.webp": lambda: encode(image, "WEBP", quality=90),
        "rgb.tiff": lambda: encode(image, "TIFF"),
        "lzw.tiff": lambda: encode(image, "TIFF", compression="tiff_lzw"),
        "rgb.bmp": lambda: encode(image, "BMP"),
        "icc.png": lambda: encode(image, icc_profile=icc_profile),
        "icc.jpg": lambda: encode(image, "JPEG", icc_profile=icc_profile),
        "rgba.png": lambda: encode(rgba),
        "rgba.webp": lambda: encode(rgba, "WEBP", lossless=True, exact=True),
        "grey.png": lambda: encode(image.convert("L")),
        "grey.jpg": lambda: encode(image.convert("L"), "JPEG"),
        "grey-alpha.png": lambda: encode(rgba.convert("LA")),
        "palette.png": lambda: encode(image.quantize(64)),
        "palette-clear.png": lambda: encode(image.quantize(64), transparency=3),
        "one-clear-colour.png": lambda: encode(image, transparency=tuple(close_up[0, 0].tolist())),
        "bitmap.png": lambda: encode(image.convert("1")),
        "16-bit-grey.png": lambda: deep(".png", close_up[..., 0]),
        "16-bit.png": lambda: deep(".png", close_up),
        "16-bit-alpha.png": lambda: deep(".png", np.dstack([close_up, alpha])),
        "16-bit.tiff": lambda: deep(".tiff", close_up),
        "float.tiff": lambda: encode(image.convert("F"), "TIFF"),
        "cmyk.jpg": lambda: encode(image.convert("CMYK"), "JPEG"),
        "cmyk.tiff": lambda: encode(image.convert("CMYK"), "TIFF"),
        "ycbcr.tiff": lambda: encode(image.convert("YCbCr"), "TIFF"),
        "picture.gif": lambda: encode(image, "GIF"),
        "pages.tiff": lambda: frames("TIFF"),
        "animated.png": lambda: frames("PNG"),
        "animated.webp": lambda: frames("WEBP"),
        "small.png": lambda: encode(image.resize((63, 200))),
        "cut.png": lambda: makers["rgb.png"]()[:-2000],
        "cut.jpg": lambda: makers["rgb.jpg"]()[: len(makers["rgb.jpg"]()) // 2],
        "cut.webp": lambda: makers["rgb.webp"]()[: len(makers["rgb.webp"]()) // 2],
        "cut.tiff": lambda: makers["rgb.tiff"]()[:5000],
        "cut.bmp": lambda: makers["rgb.bmp"]()[:5000],
        "header.png": lambda: makers["rgb.png"]()[:40],
        "empty.png": lambda: b"",
        "text.jpg": lambda: b"not a picture\n",
        "huge.png": lambda: encode(Image.new("1", (20_001, 6_000))),
        "bomb.png": lambda: claiming(makers["rgb.png"](), 60_000, 60_000),
    }
    return lambda kind: makers[kind]()


@pytest.fixture(scope="session")
def some_faces(portrait: np.ndarray) -> Callable[[int], Sequence[np.ndarray]]:
    """Up to so many photos of different people from `../shared`, and the portrait alone where that is not there."""

    def load(count: int) -> list[np.ndarray]:
        people = sorted((SHARED_FACES / "dev").glob("*")) if SHARED_FACES.is_dir() else []
        files = [next(iter(sorted(person.glob("*.jpg")))) for person in people][:count]
        return [np.array(Image.open(file).convert("RGB")) for file in files] or [portrait]

    return load
