"""Do the gradients' attributions say what dlib itself says when parts of the face are hidden?

    python scripts/check_attribution.py runs/faces

Blurs 64 windows of 40 training faces, one at a time, asks dlib what that costs, and correlates it with the attribution
(Spearman, mean over faces, bootstrap interval). Writes runs/faces/agreement.json.
"""

import json
from pathlib import Path

import click
import cv2
import numpy as np
from scipy.stats import spearmanr
from tqdm import tqdm

from mask_template.truth import blur
from veilkey.recognizers.dlib_resnet import DlibResNet

WINDOW = 32
SAMPLE = 40


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(faces: Path) -> None:
    crops = np.load(faces / "crops.npy", mmap_mode="r")
    chips, maps = np.load(faces / "chips.npy"), np.load(faces / "attributions.npy")
    mean = np.load(faces / "embeddings.npy").mean(0)
    recognizer = DlibResNet()
    sample = np.random.default_rng(0).choice(len(crops), SAMPLE, replace=False)
    rows = []
    for index in tqdm(sample, "occlusion through dlib", mininterval=5):
        seen = occlude(crops[index], chips[index], recognizer, mean)
        by_gradient = maps[index].reshape(8, 8, 8, 8).sum((1, 3))
        rows.append(spearmanr(seen.ravel(), by_gradient.ravel()).statistic)
    low, high = np.percentile(np.random.default_rng(0).choice(rows, (2000, SAMPLE)).mean(1), [2.5, 97.5])
    result = {"faces": SAMPLE, "window": WINDOW, "spearman": np.mean(rows), "interval": [low, high]}
    (faces / "agreement.json").write_text(json.dumps({k: np.round(v, 4).tolist() for k, v in result.items()}) + "\n")
    click.echo((faces / "agreement.json").read_text())


def occlude(crop: np.ndarray, to_chip: np.ndarray, recognizer: DlibResNet, mean: np.ndarray) -> np.ndarray:
    """Likeness lost (8, 8) when each 32x32 window of the crop is blurred, by dlib itself."""
    dull, size = blur(crop), recognizer.input_size
    variants = [crop]
    for y in range(0, 256, WINDOW):
        for x in range(0, 256, WINDOW):
            hidden = crop.copy()
            hidden[y : y + WINDOW, x : x + WINDOW] = dull[y : y + WINDOW, x : x + WINDOW]
            variants.append(hidden)
    inputs = [cv2.warpAffine(v, to_chip, (size, size), borderMode=cv2.BORDER_REPLICATE) for v in variants]
    embedded = recognizer.embed(np.stack(inputs)) - mean
    likeness = embedded @ embedded[0] / np.linalg.norm(embedded[0])
    return (likeness[0] - likeness[1:]).reshape(8, 8)


if __name__ == "__main__":
    main()
