"""What is said of a protected face: measured on this photo, by the recognizers themselves."""

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from perturbation_gen.budget import ssim
from veilkey.carriers.noise import window
from veilkey.faces import Face
from veilkey.recognizers import Recognizer


@dataclass(frozen=True)
class Verdict:
    """One recognizer on one face.

    before: distance between the face and its mirror image. after: between the face and the protected face.
    matches: whether `after` is still under `threshold`, its usual one. attacked: whether the change was made against
    this recognizer, or is new to it.
    """

    before: float
    after: float
    threshold: float
    matches: bool
    attacked: bool


@dataclass(frozen=True)
class FaceReport:
    """One face: box (x, y, w, h); structural similarity and peak signal-to-noise ratio (dB; None where
    nothing could change) over it; steps taken."""

    box: tuple[int, int, int, int]
    ssim: float
    psnr: float | None
    steps: int
    recognizers: dict[str, Verdict]

    def matched(self) -> list[str]:
        """Names of the attacked recognizers that still match."""
        return [name for name, verdict in self.recognizers.items() if verdict.matches and verdict.attacked]

    def to_json(self) -> dict[str, Any]:
        """Plain values, rounded to what was measured."""
        values = asdict(self)
        values["box"] = list(self.box)
        values["ssim"] = round(self.ssim, 4)
        values["psnr"] = None if self.psnr is None else round(self.psnr, 2)
        for verdict in values["recognizers"].values():
            verdict["before"], verdict["after"] = round(verdict["before"], 4), round(verdict["after"], 4)
        return values


def report_face(
    original: np.ndarray,
    protected: np.ndarray,
    face: Face,
    judges: Mapping[str, Recognizer],
    attacked: Collection[str],
    steps: int,
) -> FaceReport:
    """Compare a face in two pictures (H, W, 3) uint8 RGB."""
    area = window(face.box)
    before, after = original[area], protected[area]
    error = float(np.mean((before.astype(np.float32) - after) ** 2))
    with ThreadPoolExecutor(len(judges)) as pool:
        asked = {name: pool.submit(_ask, judge, original, protected, face) for name, judge in judges.items()}
        verdicts = {name: Verdict(**answer.result(), attacked=name in attacked) for name, answer in asked.items()}
    return FaceReport(
        box=face.box,
        ssim=ssim(before, after),
        psnr=None if error == 0 else float(10 * np.log10(255**2 / error)),
        steps=steps,
        recognizers=verdicts,
    )


def _ask(judge: Recognizer, original: np.ndarray, protected: np.ndarray, face: Face) -> dict[str, Any]:
    clean = judge.align(original, face.landmarks)
    changed = judge.align(protected, face.landmarks)
    plain, mirrored, moved = judge.embed(np.stack([clean, clean[:, ::-1], changed]))
    after = float(judge.distance(plain, moved))
    before = float(judge.distance(plain, mirrored))
    return {"before": before, "after": after, "threshold": judge.threshold, "matches": after < judge.threshold}
