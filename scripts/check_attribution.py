"""Do the gradients' attributions say what the recognizers themselves say when parts of the face are hidden?

    python scripts/check_attribution.py runs/faces

Blurs 64 windows of 20 training faces, one at a time, asks each recognizer what that costs, and correlates it with the
attribution (Spearman, mean over faces, bootstrap interval). Writes runs/faces/agreement.json.
"""

import json
from pathlib import Path

import click
import cv2
import numpy as np
from scipy.stats import spearmanr
from tqdm import tqdm

from mask_template.network import HEADS
from mask_template.truth import blur
from perturbation_gen.target import IdentitySpace, load_space
from veilkey import recognizers
from veilkey.evaluation.intervals import People

WINDOW = 32
SAMPLE = 20


@click.command()
@click.argument("faces", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(faces: Path) -> None:
    names = ("crops", "transforms", "attributions")
    rows = list(zip(*(np.load(faces / f"{name}.npy", mmap_mode="r")[:SAMPLE] for name in names), strict=True))
    result: dict[str, object] = {"faces": SAMPLE, "window": WINDOW}
    for head, name in enumerate(HEADS):
        judge, space, agreement = recognizers.get(name), load_space(name), []
        for crop, transforms, maps in tqdm(rows, f"occlusion through {name}", mininterval=5):
            seen = occlude(crop, transforms[head], judge, space)
            by_gradient = maps[head].reshape(8, 8, 8, 8).sum((1, 3))
            agreement.append(spearmanr(seen.ravel(), by_gradient.ravel()).statistic)
        figure = People(list(map(str, range(SAMPLE)))).mean(np.array(agreement))
        result[name] = [round(figure[key], 2) for key in ("value", "low", "high")]
    (faces / "agreement.json").write_text(json.dumps(result) + "\n")
    click.echo((faces / "agreement.json").read_text())


def occlude(crop: np.ndarray, to_input: np.ndarray, judge: recognizers.Recognizer, space: IdentitySpace) -> np.ndarray:
    """Likeness lost (8, 8) when each 32x32 window of the crop is blurred, by the recognizer itself."""
    dull, size = blur(crop), (judge.input_size, judge.input_size)
    variants = [crop]
    for y in range(0, 256, WINDOW):
        for x in range(0, 256, WINDOW):
            hidden = crop.copy()
            hidden[y : y + WINDOW, x : x + WINDOW] = dull[y : y + WINDOW, x : x + WINDOW]
            variants.append(hidden)
    inputs = [cv2.warpAffine(v, to_input, size, borderMode=cv2.BORDER_REPLICATE) for v in variants]
    embedded = np.stack([space.place(one) for one in judge.embed(np.stack(inputs))]) - space.mean
    likeness = embedded @ embedded[0] / np.linalg.norm(embedded[0])
    return (likeness[0] - likeness[1:]).reshape(8, 8)


if __name__ == "__main__":
    main()
