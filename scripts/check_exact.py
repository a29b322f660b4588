"""Is every photo given back to the last bit, and does nothing outside the masks change?

    python scripts/check_exact.py ../shared/data/faces                 305 photos, the generator alone
    python scripts/check_exact.py ../shared/data/faces --refine 20     the same photos, refined

All of FACES/photos, 100 of andy_lau and 200 of dev, evenly spaced by sorted name, so the same ones every time. Each is
protected in its own kind and sealed for a key pair of its own; both go through their files before they
meet again. "files" counts those that come back byte for byte, "exact" also those whose pixels do. Photos without a face
are listed and are no failure; any other exception is.
"""

import sys
from collections import Counter
from pathlib import Path

import click
import cv2
import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from PIL import Image
from tqdm import tqdm

from keys import keyring
from keys.payload import Payload
from keys.recipients import X25519Identity, X25519Recipient
from mask_template.template import mask_in_photo
from veilkey.carriers import PhotoFile, Picture, open_photo
from veilkey.carriers.limits import MIN_SIDE
from veilkey.carriers.noise import window
from veilkey.errors import NoFace
from veilkey.issuing import Issued, complete, seal
from veilkey.protector import Protector, Settings
from veilkey.restorer import restore_file

PLACES = {"photos": None, "andy_lau": 100, "dev": 200}
"""How many photos of each folder; None is all of them."""


def choose(folder: Path, wanted: int | None) -> list[Path]:
    """So many files of a folder and its folders, evenly spaced by name; all where there are fewer.

    Pictures under 64 pixels a side are left out: veilkey refuses them, and says so.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and large_enough(path))
    count = len(files) if wanted is None else min(wanted, len(files))
    return [files[i * len(files) // count] for i in range(count)]


def large_enough(path: Path) -> bool:
    with Image.open(path) as image:
        return min(image.size) >= MIN_SIDE


def check(photo: Path, protector: Protector, settings: Settings) -> tuple[int, bool, list[str]]:
    """How many faces were protected, whether the file's bytes came back, and what is wrong."""
    data, original = photo.read_bytes(), open_photo(photo)
    protected, payload, _ = protector.protect(original, settings)
    payload = complete(data, original, protected, payload, exact=False, name=photo.name, modified=0)
    private = X25519PrivateKey.generate()
    key = seal(protected, payload, [Issued(X25519Recipient(private.public_key()))])

    veiled = open_photo(protected.encode())
    restored = restore_file(veiled, keyring.unseal(key, X25519Identity(private)))
    again = open_photo(restored.data)
    wrong = []
    if restored.exact and restored.data != data:
        wrong.append("restored to another file")
    if again.digest() != original.digest() and again.picture.digest() != original.picture.digest():
        wrong.append("restored to another picture")
    if again.picture.icc_profile != original.picture.icc_profile:
        wrong.append("lost its colour profile")
    if np.array_equal(veiled.picture.pixels, original.picture.pixels):
        wrong.append("was not changed at all")
    if changed := outside(original, veiled.picture, payload):
        wrong.append(f"{changed} pixels differ outside the masks")
    return len(payload.faces), restored.exact, wrong


def outside(original: PhotoFile, protected: Picture, payload: Payload) -> int:
    """How many pixels differ where no face's mask is near, or in alpha."""
    picture, grain = original.picture, original.grain
    if protected.pixels.shape != picture.pixels.shape:
        return picture.width * picture.height
    mask = np.zeros((picture.height, picture.width), bool)
    for face in payload.faces:
        mask[window(face.region)] |= mask_in_photo(face.blocks, face.transform, face.region)
    if grain:
        mask = cv2.dilate(mask.astype(np.uint8), np.ones((2 * grain + 1,) * 2, np.uint8)).astype(bool)
    differs = (protected.pixels != picture.pixels).reshape(picture.height, picture.width, -1)
    differs[mask, : picture.colour().shape[2]] = False
    return int(differs.any(2).sum())


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--refine", type=click.IntRange(0), default=0, show_default=True, help="Gradient steps a face.")
def main(faces: Path, refine: int) -> None:
    chosen = [(place, photo) for place, wanted in PLACES.items() for photo in choose(faces / place, wanted)]
    protector, settings = Protector(), Settings(refine=refine)
    counts = {place: Counter[str]() for place in PLACES}
    complaints = []
    for place, photo in tqdm(chosen, "checking", unit="photo", mininterval=1):
        name, found = photo.relative_to(faces), counts[place]
        found["photos"] += 1
        try:
            people, to_the_byte, wrong = check(photo, protector, settings)
        except NoFace:
            found["no face"] += 1
            complaints.append(f"{name}: no face found")
            continue
        except Exception as error:  # whatever it is, it is this photo's result and is counted
            people, to_the_byte, wrong = 0, False, [f"{type(error).__name__}: {' '.join(str(error).split())}"]
        found["faces"] += people
        found["failed" if wrong else "exact"] += 1
        found["files"] += to_the_byte
        complaints += [f"{name}: FAILED: {reason}" for reason in wrong]

    columns = ("photos", "no face", "faces", "exact", "files", "failed")
    click.echo(f"{'':10}" + "".join(f"{column:>9}" for column in columns))
    for place, found in [*counts.items(), ("all", sum(counts.values(), Counter()))]:
        click.echo(f"{place:10}" + "".join(f"{found[column]:9}" for column in columns))
    for line in complaints:
        click.echo(line)
    if any(found["failed"] for found in counts.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
