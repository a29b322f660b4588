"""A file of two kinds, or of one kind under another's name: what it begins with counts, and no other picture in it is
published (issue 5, part 4)."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def test_a_jpeg_with_a_zip_behind(
    there_and_back: Callable, folder: Path, close_up: np.ndarray, written: Callable
) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("photo.png", written(close_up, "rgb.png"))
    (folder / "a.jpg").write_bytes(written(close_up, "444.jpg") + archive.getvalue())
    there_and_back("a.jpg", "a.veiled.jpg")
    protected = (folder / "a.veiled.jpg").read_bytes()
    assert b"\x89PNG" not in protected and b"PK\3\4" not in protected


def test_a_png_with_a_jpeg_inside_and_another_behind(
    there_and_back: Callable, folder: Path, close_up: np.ndarray, written: Callable
) -> None:
    jpeg, inside = written(close_up, "444.jpg"), PngInfo()
    inside.add(b"juNk", jpeg)
    inside.add_text("thumbnail", jpeg)
    Image.fromarray(close_up).save(folder / "a.png", pnginfo=inside)
    with (folder / "a.png").open("ab") as file:
        file.write(jpeg)
    assert (folder / "a.png").read_bytes().count(jpeg) == 3
    there_and_back("a.png", "a.veiled.png", "--exact-file")
    assert b"\xff\xd8\xff" not in (folder / "a.veiled.png").read_bytes()


def test_a_png_that_is_named_a_jpeg(
    there_and_back: Callable, folder: Path, close_up: np.ndarray, written: Callable
) -> None:
    (folder / "a.jpg").write_bytes(written(close_up, "rgb.png"))
    there_and_back("a.jpg", "a.veiled.png", "--exact-file")
