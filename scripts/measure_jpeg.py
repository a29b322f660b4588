"""How strong is protection that goes from a JPEG into a JPEG, and after somebody saves that again?

    python scripts/measure_jpeg.py ../shared/data/faces/dev --protocol ../shared/data/faces/dev.json

Every probe is saved as a JPEG of each kind below, and protected twice: as that file, and as the picture that the file
shows, pixel by pixel. For both: how many still match the gallery by dlib itself, at the threshold that strangers' clean
photos give for FAR 1e-3; the same after JPEG 75; and the mean SSIM of the face box against what the file showed.
"""

import io
from pathlib import Path

import click
import numpy as np
from PIL import Image
from tqdm import tqdm

from perturbation_gen.budget import ssim
from veilkey import recognizers
from veilkey.carriers import Carrier, Picture, Pixels, open_photo, read_photo
from veilkey.carriers.noise import window
from veilkey.errors import NoFace
from veilkey.evaluation import transforms
from veilkey.evaluation.enrolled import embed_first, enrol
from veilkey.evaluation.intervals import People
from veilkey.evaluation.protocol import read_protocol
from veilkey.faces import FaceFinder
from veilkey.protector import Protector, Settings

# Quality and chroma sampling; what phones, cameras and messengers write.
KINDS = {"95, 4:4:4": (95, 0), "90, 4:2:0": (90, 2), "85, 4:2:2": (85, 1), "75, 4:2:0": (75, 2), "50, 4:2:0": (50, 2)}
FAR = 1e-3
WAYS = ("as a JPEG", "as pixels")


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--protocol", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--every", default=1, type=click.IntRange(1), show_default=True, help="Only every so manieth probe.")
def main(faces: Path, protocol: Path | None, every: int) -> None:
    finder, protector = FaceFinder(), Protector(("dlib",))
    enrolled = enrol(recognizers.get("dlib"), finder, read_protocol(faces, protocol), FAR)
    probes = enrolled.probes
    chosen = np.arange(0, len(probes), every)
    people = People([probes[i].person for i in chosen])
    before = people.share(enrolled.clean.match(enrolled.threshold)[chosen])
    click.echo(f"{len(chosen)} probes, FAR {FAR:g}; clean: {before['value']:.3f}")
    for kind, (quality, sampling) in KINDS.items():
        hits: dict[tuple[str, bool], list[bool]] = {(way, again): [] for way in WAYS for again in (False, True)}
        seen: dict[str, list[float]] = {way: [] for way in WAYS}
        for i in tqdm(chosen, kind, mininterval=5):
            buffer = io.BytesIO()
            image = Image.fromarray(read_photo(probes[i].path).rgb())
            image.save(buffer, "JPEG", quality=quality, subsampling=sampling)
            original = open_photo(buffer.getvalue())
            for way, photo in zip(WAYS, (original, Pixels(Picture(original.picture.rgb(), "RGB"))), strict=True):
                shown, box = protect(protector, photo)
                for again in (False, True):
                    moved = transforms.get("jpeg75")(shown) if again else shown
                    hits[way, again].append(enrolled.beyond(embed_first(enrolled.recognizer, finder, moved), i) < 0)
                if box is not None:
                    seen[way].append(ssim(original.picture.rgb()[box], shown[box]))
        click.echo(f"quality {kind}, {buffer.tell()} bytes the last one")
        for way in WAYS:
            now, later = (people.share(np.array(hits[way, again])) for again in (False, True))
            click.echo(
                f"  {way}: {now['value']:.3f} [{now['low']:.3f}, {now['high']:.3f}] still match, after JPEG 75 "
                f"{later['value']:.3f} [{later['low']:.3f}, {later['high']:.3f}], SSIM {np.mean(seen[way]):.4f}"
            )


def protect(protector: Protector, photo: Carrier) -> tuple[np.ndarray, tuple[slice, slice] | None]:
    """What the protected photo shows, (H, W, 3) uint8, and where the first face is; the photo itself without one."""
    try:
        protected, _, reports = protector.protect(photo, Settings())
    except NoFace:
        return photo.picture.rgb(), None
    return protected.picture.rgb(), window(reports[0].box)


if __name__ == "__main__":
    main()
