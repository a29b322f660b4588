import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageOps

import veilkey
from keys.errors import BadIdentity, DamagedKey, KeyFileError, WrongIdentity
from keys.recipients import X25519Identity, load_identity, load_recipient
from veilkey.errors import ForeignKey, NoFace, UnreadablePhoto, UsageError

FAST = {"passphrase": "x", "refine": 0, "target": "dlib"}


def test_it_can_be_called_again(close_up: np.ndarray) -> None:
    for _ in range(2):
        assert callable(veilkey.protect) and callable(veilkey.restore)
        protected = veilkey.protect(close_up, **FAST)
        assert np.array_equal(veilkey.restore(protected.image, protected.key, passphrase="x"), close_up)


def test_an_array_gives_an_array(close_up: np.ndarray) -> None:
    before = close_up.copy()
    protected = veilkey.protect(close_up, **FAST)
    assert isinstance(protected, veilkey.Protected)
    assert isinstance(protected.image, np.ndarray) and protected.image.dtype == np.uint8
    assert protected.image.shape == close_up.shape and not np.array_equal(protected.image, close_up)
    assert np.array_equal(close_up, before)
    restored = veilkey.restore(protected.image, protected.key, passphrase="x")
    assert isinstance(restored, np.ndarray) and np.array_equal(restored, close_up)


def test_bytes_give_bytes(file_of: Callable[[str], bytes]) -> None:
    data = file_of("rgb.jpg")
    protected = veilkey.protect(data, **FAST)
    assert isinstance(protected.image, bytes)
    restored = veilkey.restore(protected.image, protected.key, passphrase="x")
    assert isinstance(restored, bytes)
    first, second = (np.array(Image.open(io.BytesIO(x))) for x in (data, restored))
    assert np.array_equal(first, second)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_gives_a_file(kind: type, file_of: Callable[[str], bytes], tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(file_of("rgb.jpg"))
    protected = veilkey.protect(kind(path), **FAST)
    (tmp_path / "veiled.jpg").write_bytes(protected.image)
    (tmp_path / "veiled.key").write_bytes(protected.key)
    restored = veilkey.restore(kind(tmp_path / "veiled.jpg"), kind(tmp_path / "veiled.key"), passphrase="x")
    assert restored == path.read_bytes() != protected.image


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "LA"])
def test_a_pil_image_gives_one_of_its_mode(mode: str, close_up: np.ndarray, alpha: np.ndarray) -> None:
    image = Image.fromarray(np.dstack([close_up, alpha])).convert(mode)
    protected = veilkey.protect(image, **FAST)
    assert isinstance(protected.image, Image.Image) and protected.image.mode == mode
    assert np.any(np.array(protected.image) != np.array(image))
    restored = veilkey.restore(protected.image, protected.key, passphrase="x")
    assert restored.mode == mode and np.array_equal(np.array(restored), np.array(image))


def test_grey_stays_grey(close_up: np.ndarray) -> None:
    grey = np.ascontiguousarray(close_up[..., 1])
    protected = veilkey.protect(grey, **FAST)
    assert protected.image.shape == grey.shape
    assert np.array_equal(veilkey.restore(protected.image, protected.key, passphrase="x"), grey)


def test_alpha_is_left_alone(close_up: np.ndarray, alpha: np.ndarray) -> None:
    image = np.dstack([close_up, alpha])
    protected = veilkey.protect(image, **FAST)
    assert np.array_equal(protected.image[..., 3], alpha)
    assert not np.array_equal(protected.image[..., :3], close_up)
    assert np.array_equal(veilkey.restore(protected.image, protected.key, passphrase="x"), image)


def test_the_profile_and_the_way_up_stay(
    file_of: Callable[[str], bytes], icc_profile: bytes, turned: Callable[[int, str], bytes], close_up: np.ndarray
) -> None:
    protected = veilkey.protect(file_of("icc.png"), **FAST)
    assert Image.open(io.BytesIO(protected.image)).info["icc_profile"] == icc_profile
    restored = veilkey.restore(protected.image, protected.key, passphrase="x")
    assert Image.open(io.BytesIO(restored)).info["icc_profile"] == icc_profile
    protected = veilkey.protect(turned(6, "PNG"), **FAST)
    restored = veilkey.restore(protected.image, protected.key, passphrase="x")
    assert restored == turned(6, "PNG")
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(protected.image)))
    assert shown.size == (192, 256)


def test_every_recipient_opens_it(protected: SimpleNamespace, key_pair: SimpleNamespace) -> None:
    identities = [
        {"identity": key_pair.private},
        {"identity": str(key_pair.private)},
        {"identity": key_pair.private.read_bytes()},
        {"identity": load_identity(key_pair.private)},
        {"passphrase": protected.passphrase},
        {"passphrase": protected.passphrase.encode()},
    ]
    for identity in identities:
        assert np.array_equal(veilkey.restore(protected.image, protected.key, **identity), protected.original)


def test_recipients_of_every_kind(close_up: np.ndarray, key_pair: SimpleNamespace) -> None:
    recipients = [key_pair.public, key_pair.strangers_public.read_bytes(), load_recipient(key_pair.public)]
    protected = veilkey.protect(close_up, recipients=recipients, refine=0)
    for identity in (key_pair.private, key_pair.stranger):
        assert np.array_equal(veilkey.restore(protected.image, protected.key, identity=identity), close_up)
    with pytest.raises(WrongIdentity):
        veilkey.restore(protected.image, protected.key, passphrase="x")


def test_a_passphrase_does_not_depend_on_the_keyboard(protected: SimpleNamespace, close_up: np.ndarray) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    made = veilkey.protect(close_up, passphrase=composed, refine=0)
    assert np.array_equal(veilkey.restore(made.image, made.key, passphrase=decomposed), close_up)


def test_the_report(protected: SimpleNamespace) -> None:
    (face,) = protected.report
    assert 0.9 < face.ssim < 1 and 25 < face.psnr < 60
    verdict = face.recognizers["dlib"]
    assert 0 < verdict.before < verdict.threshold == 0.6
    assert verdict.matches == (verdict.after < verdict.threshold) and verdict.after > verdict.before
    assert face.matched() == (["dlib"] if verdict.matches else [])
    x, y, width, height = face.box
    assert 0 <= x < x + width <= 512 and 0 <= y < y + height <= 512


def test_what_it_says_is_what_dlib_says(protected: SimpleNamespace) -> None:
    from veilkey.faces import FaceFinder
    from veilkey.recognizers.dlib_resnet import DlibResNet

    judge, (face,) = DlibResNet(), FaceFinder().find(protected.original)
    first, second = (judge.embed_face(image, face.landmarks) for image in (protected.original, protected.image))
    verdict = protected.report[0].recognizers["dlib"]
    assert abs(float(judge.distance(first, second)) - verdict.after) < 1e-4


WRONG: list[tuple[str, Callable[[SimpleNamespace], object], type[Exception]]] = [
    ("nobody to seal for", lambda s: veilkey.protect(s.original), UsageError),
    ("an empty passphrase", lambda s: veilkey.protect(s.original, passphrase=""), BadIdentity),
    ("an unknown strength", lambda s: veilkey.protect(s.original, passphrase="x", strength="weak"), UsageError),
    ("floats", lambda s: veilkey.protect(s.original / 255, passphrase="x"), UsageError),
    ("two channels", lambda s: veilkey.protect(s.original[..., :2], passphrase="x"), UsageError),
    ("a batch", lambda s: veilkey.protect(s.original[None], passphrase="x"), UsageError),
    ("a tiny array", lambda s: veilkey.protect(s.original[:20], passphrase="x"), UnreadablePhoto),
    ("no picture", lambda s: veilkey.protect(b"hello", passphrase="x"), UnreadablePhoto),
    ("no file", lambda s: veilkey.protect("/nowhere/photo.png", passphrase="x"), UnreadablePhoto),
    ("no face", lambda s: veilkey.protect(np.zeros((99, 99, 3), np.uint8), passphrase="x"), NoFace),
    ("a private key", lambda s: veilkey.protect(s.original, recipients=[s.identity]), BadIdentity),
    ("nothing to open with", lambda s: veilkey.restore(s.image, s.key), UsageError),
    (
        "two ways to open",
        lambda s: veilkey.restore(s.image, s.key, identity=s.identity, passphrase=s.passphrase),
        UsageError,
    ),
    ("a wrong passphrase", lambda s: veilkey.restore(s.image, s.key, passphrase="wrong"), WrongIdentity),
    ("no key", lambda s: veilkey.restore(s.image, b"", passphrase="x"), DamagedKey),
    ("no key file", lambda s: veilkey.restore(s.image, "/nowhere/key", passphrase="x"), KeyFileError),
    ("the original", lambda s: veilkey.restore(s.original, s.key, identity=s.identity), ForeignKey),
    ("another size", lambda s: veilkey.restore(s.image[:-1], s.key, identity=s.identity), ForeignKey),
    ("another mode", lambda s: veilkey.restore(s.image[..., 0].copy(), s.key, identity=s.identity), ForeignKey),
]


@pytest.mark.parametrize(("name", "call", "error"), WRONG, ids=[row[0] for row in WRONG])
def test_what_is_wrong_is_said(
    protected: SimpleNamespace, name: str, call: Callable[[SimpleNamespace], object], error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        call(protected)
    assert str(caught.value) and "\n" not in str(caught.value)


def test_identities_are_typed(key_pair: SimpleNamespace) -> None:
    assert isinstance(load_identity(key_pair.private), X25519Identity)
