"""Draw what light, standard and strong change of a photo's largest face, for a person to judge.

    python scripts/draw_strengths.py -o strengths.png

The portrait of an astronaut that scikit-image carries, or PHOTO, protected against the recognizers of --target: the
face as it was and at each strength with its SSIM, FLIP and SSIMULACRA2 over the face box, and under it the difference,
eight times as large.
"""

from pathlib import Path

import click
import numpy as np
import skimage.data
from tqdm import tqdm

from perturbation_gen.budget import STRENGTHS
from veilkey import api
from veilkey.carriers import Picture, Pixels, encode_png, read_photo
from veilkey.carriers.noise import window
from veilkey.evaluation import visible
from veilkey.files import write_new
from veilkey.pictures import GAIN, difference, side_by_side
from veilkey.protector import Settings


@click.command()
@click.argument("photo", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option("--target", default="all", show_default=True)
def main(photo: Path | None, output: Path, target: str) -> None:
    image = read_photo(photo).rgb() if photo else skimage.data.astronaut()
    protector, shown, changed = api.protector(target), [], []
    for strength in tqdm(STRENGTHS):
        settings = Settings(strength=strength, faces=(1,))
        protected, payload, faces = protector.protect(Pixels(Picture(image, "RGB")), settings)
        after, area, box = protected.picture.rgb(), window(payload.faces[0].region), faces[0].box
        figures = {**visible.face_measures(image, after, box), **visible.slow_measures(image, after, box)}
        if not shown:
            shown.append(("original", image[area]))
            changed.append(("", np.full_like(image[area], 255)))
        ssim, flip, ssimulacra2 = (figures[name] for name in ("ssim", "flip", "ssimulacra2"))
        shown.append((f"{strength}: SSIM {ssim:.3f}, FLIP {flip:.3f}, SSIMULACRA2 {ssimulacra2:.0f}", after[area]))
        changed.append((f"difference x{GAIN}", difference(image[area], after[area])))
    rows = [side_by_side(panels, 480).pixels for panels in (shown, changed)]
    write_new([(output, encode_png(Picture(np.concatenate(rows), "RGB")))], force=True)


if __name__ == "__main__":
    main()
