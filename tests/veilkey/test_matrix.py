"""Every kind of file, whole, face by face and protected twice: exact each time (issue 5, what it must show, 5)."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
import tifffile
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from PIL import Image

from keys import keyring
from keys.payload import FaceKey
from keys.recipients import X25519Identity, X25519Recipient
from mask_template.template import mask_in_photo
from veilkey import api
from veilkey.carriers import PhotoFile, open_photo
from veilkey.carriers.jpeg.carrier import JpegCarrier
from veilkey.carriers.noise import window
from veilkey.carriers.orientation import to_stored
from veilkey.errors import ForeignKey
from veilkey.issuing import Issued, complete, seal
from veilkey.protector import Settings
from veilkey.restorer import Restored, restore_file

# Kind of file: bits a channel, mode, and whether the file's bytes have to come back, or only its pixels.
MATRIX = {
    "444.jpg": (8, "RGB", True),
    "422.jpg": (8, "RGB", True),
    "420.jpg": (8, "RGB", True),
    "440.jpg": (8, "RGB", True),
    "grey.jpg": (8, "L", True),
    "progressive.jpg": (8, "RGB", True),
    "camera.jpg": (8, "RGB", True),
    "turned.jpg": (8, "RGB", True),
    "views.mpo": (8, "RGB", True),
    "rgb.png": (8, "RGB", False),
    "rgba.png": (8, "RGBA", False),
    "grey.png": (8, "L", False),
    "grey-alpha.png": (8, "LA", False),
    "palette.png": (8, "RGB", False),
    "clear-colour.png": (8, "RGBA", False),
    "interlaced.png": (8, "RGB", False),
    "rgb16.png": (16, "RGB", False),
    "rgba16.png": (16, "RGBA", False),
    "grey16.png": (16, "L", False),
    "interlaced16.png": (16, "RGB", False),
    "rgb.tiff": (8, "RGB", False),
    "rgba.tiff": (8, "RGBA", False),
    "grey.tiff": (8, "L", False),
    "lzw.tiff": (8, "RGB", False),
    "deflate.tiff": (8, "RGB", False),
    "tiled.tiff": (8, "RGB", False),
    "pages.tiff": (8, "RGB", False),
    "big.tiff": (8, "RGB", False),
    "rgb16.tiff": (16, "RGB", False),
    "grey16.tiff": (16, "L", False),
    "rgb.webp": (8, "RGB", False),
    "rgba.webp": (8, "RGBA", False),
    "rgb.bmp": (8, "RGB", True),
    "grey.bmp": (8, "L", True),
    "palette.bmp": (8, "RGB", True),
    "lossy.webp": (8, "RGB", True),
    "photo.heic": (8, "RGB", True),
    "photo.avif": (8, "RGB", True),
}


@dataclass(frozen=True)
class Reader:
    identity: X25519Identity
    recipient: X25519Recipient


def _reader() -> Reader:
    key = X25519PrivateKey.generate()
    return Reader(X25519Identity(key), X25519Recipient(key.public_key()))


ALICE, BOB, CAROL = (_reader() for _ in range(3))


@dataclass(frozen=True)
class Case:
    """A file, the same protected, and the key: face 1 for Alice, face 2 for Bob, all of it for Carol."""

    data: bytes
    protected: bytes
    key: bytes
    exact: bool


def protect(
    data: bytes, issued: Sequence[tuple[Reader, int | None]], faces: tuple[int, ...] = (1, 2)
) -> tuple[bytes, bytes]:
    """A file protected in its first two faces, or others, and its key file."""
    original = open_photo(data)
    changed, payload, _ = api.protector("dlib").protect(original, Settings(refine=0, faces=faces))
    payload = complete(data, original, changed, payload, exact=False, name="photo", modified=0)
    entries = [Issued(reader.recipient, face) for reader, face in issued]
    return changed.encode(), seal(changed, payload, entries)


def restore(protected: bytes, key: bytes, reader: Reader) -> Restored:
    return restore_file(open_photo(protected), keyring.unseal(key, reader.identity))


@pytest.fixture(scope="module", params=MATRIX)
def case(request: pytest.FixtureRequest, written: Callable[[np.ndarray, str], bytes], crowd: np.ndarray) -> Case:
    data = written(crowd, request.param)
    depth, mode, exact = MATRIX[request.param]
    photo = open_photo(data)
    assert (photo.picture.mode, 16 if getattr(photo, "low", None) is not None else 8) == (mode, depth)
    return Case(data, *protect(data, [(ALICE, 1), (BOB, 2), (CAROL, None)]), exact)


def decoded(data: bytes) -> list[np.ndarray]:
    """What others see in a file, every page of it."""
    if data[:2] in (b"II", b"MM"):
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            return [page.asarray() for page in file.pages]
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is not None and pixels.dtype == np.uint16:
        return [pixels]
    with Image.open(io.BytesIO(data)) as image:
        return [np.asarray(image.convert("RGBA"))]


def layers(photo: PhotoFile) -> list[np.ndarray]:
    """What noise is put on: the coefficients of a JPEG's components, the pixels of anything else."""
    if isinstance(photo, JpegCarrier):
        return [component.blocks for component in photo.coefficients.components]
    return [photo.picture.colour()]


def under(photo: PhotoFile, face: FaceKey) -> list[np.ndarray]:
    """Which blocks or pixels of the layers may change with a face."""
    mask = np.zeros((photo.picture.height, photo.picture.width), bool)
    mask[window(face.region)] = mask_in_photo(face.blocks, face.transform, face.region)
    if not isinstance(photo, JpegCarrier):
        return [mask]
    stored = to_stored(mask, photo.orientation)
    found = []
    widest, highest = (max(part.sampling[axis] for part in photo.coefficients.components) for axis in (0, 1))
    for part in photo.coefficients.components:
        rows, columns = part.blocks.shape[:2]
        wide, high = 8 * widest // part.sampling[0], 8 * highest // part.sampling[1]
        plane = np.zeros((rows * high, columns * wide), bool)
        plane[: stored.shape[0], : stored.shape[1]] = stored[: plane.shape[0], : plane.shape[1]]
        found.append(plane.reshape(rows, high, columns, wide).any((1, 3)))
    return found


def test_whole(case: Case) -> None:
    restored = restore(case.protected, case.key, CAROL)
    assert open_photo(case.protected).picture.digest() != open_photo(case.data).picture.digest()
    assert restored.exact or not case.exact
    assert (restored.data == case.data) or not restored.exact
    for before, after in zip(decoded(case.data), decoded(restored.data), strict=True):
        assert before.dtype == after.dtype and np.array_equal(before, after)


def faces_of(case: Case) -> list[FaceKey]:
    (payload,) = keyring.unseal(case.key, CAROL.identity)
    return sorted(payload.faces, key=lambda face: face.number)


@pytest.mark.parametrize(("first", "second"), [(1, 2), (2, 1)])
def test_face_by_face(case: Case, first: int, second: int) -> None:
    """The original inside the face that is restored, the protected photo elsewhere; then the other face as well."""
    readers = {1: ALICE, 2: BOB}
    original, protected = open_photo(case.data), open_photo(case.protected)
    half = restore(case.protected, case.key, readers[first])
    assert not half.exact
    faces = dict(zip((1, 2), faces_of(case), strict=True))
    restored = open_photo(half.data)
    changed = 0
    masks = [under(protected, faces[number]) for number in (first, second)]
    for before, after, now, own, other in zip(*map(layers, (original, protected, restored)), *masks, strict=True):
        assert np.array_equal(now[~own], after[~own])
        assert np.array_equal(now[own & ~other], before[own & ~other])
        changed += np.count_nonzero(now != after)
        assert np.count_nonzero(after[other & ~own] != before[other & ~own]) or now.ndim > 3
    assert changed
    assert restored.picture.pixels.shape == protected.picture.pixels.shape
    with pytest.raises(ForeignKey, match=f"face {first} is restored already"):
        restore(half.data, case.key, readers[first])
    with pytest.raises(ForeignKey):
        restore(half.data, case.key, CAROL)

    both = open_photo(restore(half.data, case.key, readers[second]).data)
    assert both.picture.digest() == original.picture.digest()
    assert all(map(np.array_equal, layers(both), layers(original)))


def test_protected_again_and_peeled(case: Case) -> None:
    """For another recipient on top: each key takes off its own layer, and only that."""
    twice, key = protect(case.protected, [(ALICE, None)], (1,))
    with pytest.raises(ForeignKey):
        restore(twice, case.key, CAROL)
    once = restore(twice, key, ALICE)
    assert open_photo(once.data).digest() == open_photo(case.protected).digest()
    assert once.data == case.protected or not once.exact
    for before, after in zip(decoded(case.protected), decoded(once.data), strict=True):
        assert np.array_equal(before, after)
    if isinstance(open_photo(case.protected), JpegCarrier):
        assert once.data == case.protected
    with pytest.raises(ForeignKey):
        restore(once.data, key, ALICE)
    restored = restore(once.data, case.key, CAROL)
    assert restored.exact or not case.exact
    for before, after in zip(decoded(case.data), decoded(restored.data), strict=True):
        assert np.array_equal(before, after)
