"""Does every kind of JPEG file come back to the last byte, and how large are the protected file and what its key saves?

    python scripts/check_jpeg.py ../shared/data/faces                  300 files
    python scripts/check_jpeg.py ../shared/data/faces --files 60       fewer

Photos of FACES/photos and FACES/unlabelled, evenly spaced by name, are encoded anew by Pillow, OpenCV, mozjpeg, several
versions of libjpeg (jpeglib) and cjpeg where that is installed: qualities 30 to 100, every sampling, optimized or not,
progressive or not, with restart markers, grey, RGB, from 64x64 to 12 megapixels, with Exif and its thumbnail, XMP, ICC,
a second picture (MPO), a film behind the end. The draw is the same every time. In a window of a quarter of each side, a
fifth of the 15 lowest frequencies' coefficients change by 1 to 3, which is no protection: it asks the codec. Then the
file is protected as the command would, where a face is found in it.

A file fails unless rebuilding gives its bytes, Pillow (and djpeg, where installed) decode the protected file, the
coefficients in it are the changed ones, and outside of the window, or of the template's blocks, the original's.
"""

import io
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
import cv2
import jpeglib
import numpy as np
from PIL import Image, ImageCms
from tqdm import tqdm

from veilkey.carriers import open_photo
from veilkey.carriers.jpeg.carrier import JpegCarrier
from veilkey.carriers.jpeg.coefficients import AC_RANGE, Coefficients, read, write
from veilkey.carriers.jpeg.rebuild import rebuild, recipe_of, save
from veilkey.issuing import complete
from veilkey.protector import Protector, Settings

SAMPLINGS = {"4:4:4": "1x1", "4:2:2": "2x1", "4:2:0": "2x2", "4:4:0": "1x2", "4:1:1": "4x1"}
LIBJPEGS = ("6b", "7", "8d", "9f", "turbo120", "turbo210", "mozjpeg101", "mozjpeg300", "mozjpeg403", "mozjpeg403")
LARGE = 12_000_000  # pixels
SMALL = 64  # pixels a side
ALLOWED = 1.15  # of the original's size


@dataclass(frozen=True)
class Style:
    """What a file is made like; an encoder takes of it what it can do."""

    quality: int
    sampling: str
    optimize: bool
    progressive: bool
    restart: int
    colour: str


def draw(rng: np.random.Generator) -> Style:
    return Style(
        quality=int(rng.integers(30, 101)),
        sampling=str(rng.choice(list(SAMPLINGS))),
        optimize=bool(rng.random() < 0.4),
        progressive=bool(rng.random() < 0.4),
        restart=int(rng.integers(1, 20)) if rng.random() < 0.25 else 0,
        colour=str(rng.choice(["YCbCr", "YCbCr", "YCbCr", "YCbCr", "grey", "RGB"])),
    )


def sized(photo: Path, rng: np.random.Generator) -> np.ndarray:
    """The photo (H, W, 3) uint8 RGB: one in thirty at 12 megapixels, four in thirty at 64 to 83 pixels a side, others
    with up to 16 rows and columns cut off."""
    image = np.array(Image.open(photo).convert("RGB"))
    chance = rng.random()
    if chance < 1 / 30:
        scale = (LARGE / (image.shape[0] * image.shape[1])) ** 0.5
        return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    if chance < 1 / 6:
        width, height = (SMALL + int(extra) for extra in rng.integers(0, 20, 2))
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    rows, columns = (max(SMALL, side - int(rng.integers(0, 17))) for side in image.shape[:2])
    return np.ascontiguousarray(image[:rows, :columns])


def by_pillow(pixels: np.ndarray, style: Style, rng: np.random.Generator) -> bytes:
    """The one that writes metadata, too; a third of the files are MPO."""
    image = Image.fromarray(pixels)
    image = image.convert("L") if style.colour == "grey" else image
    small, packet = io.BytesIO(), b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><a>b</a></x:xmpmeta>"
    image.resize((160, 120)).save(small, "JPEG")
    thumbnail = small.getvalue()
    size = len(thumbnail)
    exif = b"II*\0\x08\0\0\0" + bytes.fromhex(
        "0100 1201 0300 01000000 01000000 1a000000 0200 0102 0400 01000000 38000000"
    )
    exif += bytes.fromhex("0202 0400 01000000") + size.to_bytes(4, "little") + bytes(4)
    options = {
        "quality": style.quality,
        "optimize": style.optimize,
        "progressive": style.progressive,
        "restart_marker_blocks": style.restart,
        "exif": b"Exif\0\0" + exif + thumbnail,
        "xmp": packet,
        "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    }
    if style.colour == "RGB":
        options["keep_rgb"] = True
    elif style.colour == "YCbCr" and style.sampling in ("4:4:4", "4:2:2", "4:2:0"):
        options["subsampling"] = style.sampling
    buffer = io.BytesIO()
    if rng.random() < 1 / 3:
        image.save(buffer, "MPO", save_all=True, append_images=[image.rotate(180)], **options)
    else:
        image.save(buffer, "JPEG", **options)
    film = b"\0\0\0\x18ftypmp42" + rng.bytes(3000) if rng.random() < 0.2 else b""
    return buffer.getvalue() + film


def by_opencv(pixels: np.ndarray, style: Style, rng: np.random.Generator) -> bytes:
    flags = {
        cv2.IMWRITE_JPEG_QUALITY: style.quality,
        cv2.IMWRITE_JPEG_OPTIMIZE: int(style.optimize),
        cv2.IMWRITE_JPEG_PROGRESSIVE: int(style.progressive),
        cv2.IMWRITE_JPEG_RST_INTERVAL: style.restart,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR: int(SAMPLINGS[style.sampling].replace("x", "") + "1111", 16),
    }
    image = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if style.colour == "grey" else pixels[..., ::-1]
    return cv2.imencode(".jpg", image, [value for flag in flags.items() for value in flag])[1].tobytes()


def by_jpeglib(pixels: np.ndarray, style: Style, rng: np.random.Generator) -> bytes:
    flags = [("+" if style.optimize else "-") + "OPTIMIZE_CODING"]
    flags += ["+PROGRESSIVE_MODE"] if style.progressive else []
    with tempfile.TemporaryDirectory() as folder, jpeglib.version(str(rng.choice(LIBJPEGS))):
        path = Path(folder, "photo.jpg")
        picture = jpeglib.from_spatial(pixels)
        picture.samp_factor = style.sampling
        picture.write_spatial(str(path), qt=style.quality, flags=flags)
        return path.read_bytes()


def by_cjpeg(pixels: np.ndarray, style: Style, rng: np.random.Generator) -> bytes:
    options = ["-quality", str(style.quality)]
    options += ["-optimize"] if style.optimize else []
    options += ["-progressive"] if style.progressive else []
    options += ["-restart", f"{style.restart}B"] if style.restart else []
    colours = {"grey": ["-grayscale"], "RGB": ["-rgb"], "YCbCr": ["-sample", SAMPLINGS[style.sampling]]}
    height, width = pixels.shape[:2]
    ppm = f"P6 {width} {height} 255\n".encode() + pixels.tobytes()
    return subprocess.run(
        ["cjpeg", *options, *colours[style.colour]], input=ppm, capture_output=True, check=True
    ).stdout


Encoder = Callable[[np.ndarray, Style, np.random.Generator], bytes]
ENCODERS: dict[str, Encoder] = {"Pillow": by_pillow, "OpenCV": by_opencv, "jpeglib": by_jpeglib, "cjpeg": by_cjpeg}


def change(coefficients: Coefficients, rng: np.random.Generator) -> Coefficients:
    """A fifth of the low frequencies in the middle quarter of the rows and columns, by 1 to 3 up or down."""
    low = np.add.outer(np.arange(8), np.arange(8)) < 5
    components = []
    for component in coefficients.components:
        blocks = component.blocks.copy()
        window = blocks[middle(blocks)]
        steps = rng.integers(1, 4, window.shape) * rng.choice((-1, 1), window.shape)
        window[...] = np.clip(window + steps * (rng.random(window.shape) < 0.2) * low, *AC_RANGE)
        components.append(replace(component, blocks=blocks))
    return replace(coefficients, components=tuple(components))


def middle(blocks: np.ndarray) -> tuple[slice, slice]:
    rows, columns = blocks.shape[:2]
    return slice(3 * rows // 8, 5 * rows // 8 + 1), slice(3 * columns // 8, 5 * columns // 8 + 1)


def check(original: bytes, protected: bytes, saved: bytes, before: Coefficients, changed: Coefficients) -> list[str]:
    """What is wrong."""
    wrong = []
    after = read(protected)
    if rebuild(saved, protected, before) != original:
        wrong.append("rebuilt to other bytes")
    for one, other, wanted in zip(before.blocks(), after.blocks(), changed.blocks(), strict=True):
        if not np.array_equal(other, wanted):
            wrong.append("other coefficients than were written")
        outside = np.ones(one.shape[:2], bool)
        outside[middle(one)] = False
        if not np.array_equal(one[outside], other[outside]):
            wrong.append("coefficients differ outside of the window")
    if Image.open(io.BytesIO(protected)).convert("RGB").size != (before.width, before.height):
        wrong.append("Pillow shows another size")
    if shutil.which("djpeg"):
        done = subprocess.run(["djpeg"], input=protected, capture_output=True, check=False)
        if done.returncode or done.stderr:
            wrong.append(f"djpeg: {done.stderr.decode().strip()}")
    return wrong


def protect(protector: Protector, original: bytes) -> float | None:
    """Protect a file and restore it; the protected file's size over the original's, None where no face was found.

    Raises AssertionError where a block changed that no template touches; CheckFailed where the file does not come back.
    """
    photo = open_photo(original)
    assert isinstance(photo, JpegCarrier)
    protected, payload, _ = protector.protect(photo, Settings(allow_no_face=True))
    complete(original, photo, protected, payload, exact=True, name="", modified=0)
    if not payload.faces:
        return None
    under = [np.zeros(part.blocks.shape[:2], bool) for part in photo.coefficients.components]
    for face in payload.faces:
        for mask, (_, window, touched, _) in zip(under, photo.changes(face), strict=True):
            mask[window] |= touched
    after = read(protected.encode())
    for mask, one, other in zip(under, photo.coefficients.blocks(), after.blocks(), strict=True):
        assert np.array_equal(one[~mask], other[~mask]), "coefficients differ outside of the template's blocks"
    return len(protected.encode()) / len(original)


def spread(values: Sequence[float]) -> str:
    """Median and maximum."""
    return f"{statistics.median(values):.4g} / {max(values):.4g}"


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--files", type=click.IntRange(1), default=300, show_default=True, help="How many files are made.")
def main(faces: Path, files: int) -> None:
    photos = sorted(p for place in ("photos", "unlabelled") for p in (faces / place).iterdir() if p.is_file())
    encoders = {name: encoder for name, encoder in ENCODERS.items() if name != "cjpeg" or shutil.which("cjpeg")}
    counts, complaints = {name: Counter[str]() for name in encoders}, []
    ratios: dict[str, list[tuple[float, float]]] = {name: [] for name in encoders}
    kept: dict[str, list[float]] = {}
    protector, growth = Protector(), []
    for index in tqdm(range(files), "checking", unit="file", mininterval=1):
        rng = np.random.default_rng(index)
        photo, name = photos[index * len(photos) // files], list(encoders)[index % len(encoders)]
        style, pixels = draw(rng), sized(photo, rng)
        counts[name]["files"] += 1
        try:
            original = encoders[name](pixels, style, rng)
            before = read(original)
            changed = change(before, rng)
            protected = write(original, changed)
            saved = save(original, protected)
            wrong = check(original, protected, saved, before, changed)
            step = recipe_of(saved)
            ratios[name].append((len(protected) / len(original), len(write(original, before)) / len(original)))
            # What leaves the protected file is in the key, whatever the recipe.
            counts[name][step] += 1
            size = protect(protector, original)
            counts[name]["faceless" if size is None else "protected"] += 1
            growth += [] if size is None else [size]
            kept.setdefault(step + (", with copies" if name == "Pillow" else ""), []).append(len(saved))
        except Exception as error:  # whatever it is, it is this file's result and is counted
            wrong = [f"{type(error).__name__}: {' '.join(str(error).split())}"]
        counts[name]["failed" if wrong else "exact"] += 1
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        complaints += [f"{photo.name} {size} by {name}, {style}: FAILED: {reason}" for reason in wrong]

    columns = ("files", "exact", "failed", "tables", "jxl", "whole", "protected", "faceless")
    click.echo(
        f"{'':10}" + "".join(f"{column:>10}" for column in columns) + "   changed / original     unchanged / original"
    )
    rows = [(name, counts[name], ratios[name]) for name in encoders]
    rows.append(("all", sum(counts.values(), Counter()), [ratio for name in encoders for ratio in ratios[name]]))
    for name, found, ratio in rows:
        click.echo(
            f"{name:10}"
            + "".join(f"{found[column]:10}" for column in columns)
            + "".join(f"   {spread(r):20}" for r in zip(*ratio, strict=True))
        )
    large = [size for size in growth if size > ALLOWED]
    click.echo(
        f"protected by veilkey ({len(growth)} files): {spread(growth)} of the original's size, median / max; "
        f"{len(large)} over {ALLOWED}"
    )
    for step, lengths in sorted(kept.items()):
        click.echo(f"saved by {step} ({len(lengths)} files): {spread(lengths)} bytes, median / max")
    for line in complaints:
        click.echo(line)
    if complaints:
        sys.exit(1)


if __name__ == "__main__":
    main()
