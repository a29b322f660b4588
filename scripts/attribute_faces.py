"""Attribute dlib's embedding of every training face to the blocks of its crop, by gradients through the port.

    python scripts/attribute_faces.py runs/faces

Reads what prepare_faces.py wrote. Writes runs/faces/attributions.npy (N, 64, 64) float32.
"""

from pathlib import Path

import click
import numpy as np
from tqdm import tqdm

from mask_template.truth import attribute
from veilkey.recognizers.dlib_resnet import DlibResNet
from veilkey.recognizers.gradient import load_gradient


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(faces: Path) -> None:
    crops = np.load(faces / "crops.npy", mmap_mode="r")
    chips, embeddings = np.load(faces / "chips.npy"), np.load(faces / "embeddings.npy")
    mean, gradient, size = embeddings.mean(0), load_gradient("dlib"), DlibResNet.input_size
    maps = np.stack(
        [
            attribute(crop, chip, size, gradient, mean)
            for crop, chip in tqdm(zip(crops, chips, strict=True), "attributions", len(crops), mininterval=5)
        ]
    )
    np.save(faces / "attributions.npy", maps)


if __name__ == "__main__":
    main()
