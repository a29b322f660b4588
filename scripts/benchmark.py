"""How fast is it, how much memory does it take, and where does the time go?

    python scripts/benchmark.py -o runs/benchmark.json
    python scripts/benchmark.py --repeats 3                the same, coarser

Prints the tables of the README. What is compared takes turns, every second round backwards, so that a machine that
speeds up or slows down does so for both; a first round is thrown away. Each figure is minimum / median / maximum over
the rounds, each ratio is formed within a round, and an aim is reached where the median reaches it.

Warm: in this process, everything loaded, from decoded picture to sealed key. Cold: a process of its own, its files in
the system's cache, compiled to bytecode. Memory is that of the process alone. The photo is scikit-image's astronaut
(public domain), scaled to 1 megapixel; the portrait is head and shoulders of it at 12 megapixels, as PNG and as JPEG.
Needs libjpeg's `jpegtran` and `djpeg` (Debian: libjpeg-turbo-progs).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

import click
import cv2
import numpy as np
import skimage.data
from rounds import Measured, Row, machine, spread, take_turns

import perturbation_gen.generator
import veilkey
import veilkey.protector
from keys import keyring
from keys.keypair import generate
from keys.recipients import load_identity, load_recipient
from perturbation_gen.scene import Scene
from veilkey import recognizers
from veilkey.carriers import Picture, Pixels, encode_png
from veilkey.faces import FaceFinder
from veilkey.issuing import Issued, seal
from veilkey.protector import Protector, Settings
from veilkey.recognizers.gradient import Gradient

ONE, ALL = "dlib", "all"
"""Whom a protect is made against: one recognizer, as the first aims mean it, or by default all that are installed."""
REFINED = Settings()
CAMERA = [cv2.IMWRITE_JPEG_QUALITY, 92]
GENERATOR = Settings(refine=0)
PORTRAIT = (slice(0, 384), slice(80, 368))
"""Rows and columns of the astronaut that make an upright portrait, 3 to 4."""

SEAL, ENCODE, REST = "sealing the key", "PNG encoding", "the rest (crops, masks, lattice)"
PARTS: tuple[tuple[str, Any, str], ...] = (
    ("finding faces and landmarks", FaceFinder, "find"),
    ("template network", veilkey.protector, "predict"),
    ("template network", veilkey.protector, "choose"),
    ("looks and generator", veilkey.protector, "saliency"),
    ("looks and generator", perturbation_gen.generator, "generate"),
    # Inside the two below it counts as theirs; what is left is the clean face's own embedding.
    ("looks and generator", Gradient, "forward"),
    ("refinement", veilkey.protector, "refine"),
    ("fitting to the budget", Scene, "fit"),
    ("judging (recognizers, SSIM)", veilkey.protector, "report_face"),
    ("restore check and digests", veilkey.protector, "take_off_all"),
    ("restore check and digests", Picture, "digest"),
)
"""Functions that are timed, and what they count as; an attribute is where `Protector` looks it up."""

# A process inherits the peak memory of the one that starts it, so one that holds next to nothing has to.
LAUNCHER = """
import os, sys, time
quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
start = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=quiet)
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - start, usage.ru_maxrss, os.waitstatus_to_exitcode(status))
"""


class Stopwatch:
    """Adds up the seconds spent in functions, under names; what a timed function calls counts as its own."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._running = False

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            if self._running:
                return function(*args, **kwargs)
            self._running = True
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[name] += time.perf_counter() - start
                self._running = False

        return timed


class Warm:
    """Protecting one picture again and again in this process."""

    def __init__(self, picture: Picture, recipient: Path, target: str) -> None:
        self._picture, self._issued = picture, [Issued(load_recipient(recipient))]
        self._protector = Protector(recognizers.targets(target))

    def protect(self, settings: Settings) -> Measured:
        """Seconds until the key is sealed, and by parts, there with PNG encoding on top."""
        watch = Stopwatch()
        with ExitStack() as patches:
            for name, owner, attribute in PARTS:
                timed = watch.wrap(name, getattr(owner, attribute))
                patches.enter_context(mock.patch.object(owner, attribute, timed))
            start = time.perf_counter()
            protected, payload, reports = self._protector.protect(Pixels(self._picture), settings)
            watch.wrap(SEAL, seal)(protected, payload, self._issued)
            seconds = time.perf_counter() - start
            watch.wrap(ENCODE, encode_png)(protected.picture)
        require_one_face(reports)
        parts = {name: watch.seconds[name] for name in [*dict.fromkeys(part[0] for part in PARTS), SEAL, ENCODE]}
        parts[REST] = seconds + parts[ENCODE] - sum(parts.values())
        return {"seconds": seconds, "steps": reports[0].steps, "matches": len(reports[0].matched()), **parts}

    def encode(self) -> Measured:
        start = time.perf_counter()
        encode_png(self._picture)
        return {"seconds": time.perf_counter() - start}


class Cold:
    """Commands as processes of their own, on one photo; and restoring it without one."""

    def __init__(self, photo: bytes, folder: Path, name: str) -> None:
        """`name`: of the photo's file, which decides nothing but how the others are called."""
        self._photo = folder / name
        self._veiled, self._restored = (
            self._photo.with_stem(f"{self._photo.stem}.{way}") for way in ("veiled", "back")
        )
        self._key = self._photo.with_suffix(".veilkey")
        self._identity, self._recipient = generate(self._photo.with_suffix(""))
        self._photo.write_bytes(photo)

    def protect(self, target: str = ONE) -> Measured:
        run = launch_python(
            *("-m", "veilkey.cli", "protect", self._photo, "-o", self._veiled, "-k", self._key),
            *("-r", self._recipient, "--force", "--target", target),
        )
        require_one_face(keyring.unseal(self._key.read_bytes(), load_identity(self._identity))[0].faces)
        return {**run, "key": self._key.stat().st_size, "picture": self._veiled.stat().st_size}

    def restore(self) -> Measured:
        """Of what the last `protect` wrote."""
        return launch_python(
            *("-m", "veilkey.cli", "restore", self._veiled, "-o", self._restored, "-k", self._key),
            *("-i", self._identity, "--force"),
        )

    def restore_here(self) -> Measured:
        """The same in this process, from files to bytes."""
        start = time.perf_counter()
        veilkey.restore(self._veiled, self._key, identity=self._identity)
        return {"seconds": time.perf_counter() - start}

    def decode_and_encode(self) -> Measured:
        """The picture that `restore` reads, through OpenCV."""
        return launch_python(
            "-c", f"import cv2; cv2.imwrite({str(self._restored)!r}, cv2.imread({str(self._veiled)!r}))"
        )

    def transcode_and_decode(self) -> Measured:
        """The JPEG that `restore` reads, through libjpeg's own programs."""
        runs = [
            launch(*command, "-outfile", os.devnull, self._veiled)
            for command in (("jpegtran", "-copy", "all"), ("djpeg",))
        ]
        return {"seconds": sum(run["seconds"] for run in runs), "memory": max(run["memory"] for run in runs)}

    @staticmethod
    def import_cv2() -> Measured:
        return launch_python("-c", "import cv2")


def require_one_face(found: Sequence[Any]) -> None:
    """The figures are of one face; more or none would make them others."""
    if len(found) != 1:
        raise click.ClickException(f"the photo should have one face, and {len(found)} were found")


def launch_python(*arguments: str | Path) -> Measured:
    return launch(sys.executable, *arguments)


def launch(*arguments: str | Path) -> Measured:
    """Run a program; wall-clock seconds and peak memory in bytes of that process alone."""
    # An installed package is compiled; a checkout must be allowed to be.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-S", "-c", LAUNCHER, *map(str, arguments)]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    seconds, peak, status = done.stdout.split() or ("0", "0", "no answer")
    if status != "0":
        raise click.ClickException(f"{' '.join(map(str, arguments))}: exit {status}\n{done.stderr}")
    # getrusage counts in KiB, but on macOS in bytes.
    return {"seconds": float(seconds), "memory": float(peak) * (1 if sys.platform == "darwin" else 1024)}


def scaled(pixels: np.ndarray, width: int, height: int) -> Picture:
    return Picture(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC), "RGB")


def measure(folder: Path, repeats: int) -> tuple[list[Row], dict[str, dict[str, list]]]:
    """The table's rows, and the warm runs, whose parts are shown apart."""
    astronaut = skimage.data.astronaut()
    photo = scaled(astronaut, 1000, 1000)
    portrait = scaled(astronaut[PORTRAIT], 3000, 4000)
    one, large = Cold(encode_png(photo), folder, "photo.png"), Cold(encode_png(portrait), folder, "portrait.png")
    camera = Cold(cv2.imencode(".jpg", portrait.pixels[..., ::-1], CAMERA)[1].tobytes(), folder, "camera.jpg")
    cold = take_turns(
        {
            "import": one.import_cv2,
            "all": lambda: one.protect(ALL),
            "protect": one.protect,
            "restore": one.restore,
            "encode": one.decode_and_encode,
        },
        repeats,
        "cold, 1 megapixel",
    )
    heavy = take_turns({"protect": large.protect, "encode": large.decode_and_encode}, repeats, "cold, 12 megapixels")
    jpeg = take_turns(
        {
            "protect": camera.protect,
            "restore": camera.restore,
            "here": camera.restore_here,
            "transcode": camera.transcode_and_decode,
        },
        repeats,
        "12-megapixel JPEG",
    )
    _, recipient = generate(folder / "warm")
    process, ensemble = Warm(photo, recipient, ONE), Warm(photo, recipient, ALL)
    warm = take_turns(
        {
            "encode": process.encode,
            "generator": lambda: process.protect(GENERATOR),
            "refined": lambda: process.protect(REFINED),
            "all, generator": lambda: ensemble.protect(GENERATOR),
            "all, refined": lambda: ensemble.protect(REFINED),
        },
        repeats,
        "warm, 1 megapixel",
    )

    def seconds(runs: dict[str, dict[str, list]], what: str) -> list[float]:
        return runs[what]["seconds"]

    def gigabytes(runs: dict[str, dict[str, list]], what: str) -> list[float]:
        return [peak / 1e9 for peak in runs[what]["memory"]]

    attacked, importing = " + ".join(recognizers.targets(ALL)), seconds(cold, "import")
    png, opencv = "PNG encoding of the same picture", "`import cv2`, decode and encode the same picture"
    libjpeg, transcoding = "`jpegtran -copy all` and `djpeg` of the same file", seconds(jpeg, "transcode")
    encoding, kibibytes = seconds(warm, "encode"), [size / 1024 for size in heavy["protect"]["key"]]
    rows = [
        Row("protect, warm, 1 face in 1 megapixel, against dlib", png, seconds(warm, "refined"), encoding, "s", 0.6),
        Row("the same with `--refine 0`", png, seconds(warm, "generator"), encoding, "s", 0.08),
        Row(f"against {attacked}", png, seconds(warm, "all, refined"), encoding, "s", 1.5),
        Row("the same with `--refine 0`", png, seconds(warm, "all, generator"), encoding, "s", 0.06),
        Row("`veilkey protect`, cold, against dlib", "`import cv2`", seconds(cold, "protect"), importing, "s", 3),
        Row(f"against {attacked}", "`import cv2`", seconds(cold, "all"), importing, "s", 4),
        Row("`veilkey restore`, cold", opencv, seconds(cold, "restore"), seconds(cold, "encode"), "s", 0.6),
        Row("`veilkey protect`, cold, 12 megapixels", opencv, seconds(heavy, "protect"), seconds(heavy, "encode"), "s"),
        Row("its peak memory", opencv, gigabytes(heavy, "protect"), gigabytes(heavy, "encode"), "GB", 1.5),
        Row(
            "its key, 1 face",
            "the protected file",
            kibibytes,
            [n / 1024 for n in heavy["protect"]["picture"]],
            "KiB",
            64,
        ),
        Row("`veilkey protect`, cold, 12-megapixel JPEG", libjpeg, seconds(jpeg, "protect"), transcoding, "s"),
        Row("its peak memory", libjpeg, gigabytes(jpeg, "protect"), gigabytes(jpeg, "transcode"), "GB"),
        Row("`veilkey restore`, cold, of it", libjpeg, seconds(jpeg, "restore"), transcoding, "s", most=2),
        Row("its peak memory", libjpeg, gigabytes(jpeg, "restore"), gigabytes(jpeg, "transcode"), "GB"),
        Row("restore, warm, of it", libjpeg, seconds(jpeg, "here"), transcoding, "s", most=2),
    ]
    return rows, warm


def shares(runs: dict[str, list]) -> dict[str, list[float]]:
    """Per cent of each part of a warm protect, PNG encoding included, one value a round."""
    whole = [seconds + png for seconds, png in zip(runs["seconds"], runs[ENCODE], strict=True)]
    names = [name for name in runs if name not in ("seconds", "steps", "matches")]
    return {name: [100 * part / all_ for part, all_ in zip(runs[name], whole, strict=True)] for name in names}


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="JSON file for every single figure.")
@click.option("--repeats", type=click.IntRange(1), default=9, show_default=True, help="Rounds that count.")
def main(output: Path | None, repeats: int) -> None:
    where = machine()
    with tempfile.TemporaryDirectory() as folder:
        rows, warm = measure(Path(folder), repeats)
    click.echo(
        f"{where['cores']} cores ({where['processor']}), Python {where['python']}, load {where['load before']} before; "
        f"{repeats} rounds, minimum / median / maximum.\n"
    )
    click.echo("| | against | ratio | measured | against it | aim | |\n|---|---|---|---|---|---|---|")
    for row in rows:
        click.echo(row.markdown())

    ways = ("refined", "generator", "all, refined", "all, generator")
    parts = {way: shares(warm[way]) for way in ways}
    click.echo("\n| share of a warm protect, % | dlib, refined | `--refine 0` | all, refined | `--refine 0` |")
    click.echo("|---|---|---|---|---|")
    for name in parts["refined"]:
        click.echo(f"| {name} | {' | '.join(spread(parts[way][name]) for way in ways)} |")
    matched = ", ".join(f"{way}: {sum(warm[way]['matches'])}" for way in ways)
    click.echo(
        f"\nSteps taken against dlib: {spread(warm['refined']['steps'])}, against all: "
        f"{spread(warm['all, refined']['steps'])}; recognizers that still matched, of {repeats} runs: "
        f"{matched}."
    )
    if output:
        output.parent.mkdir(parents=True, exist_ok=True)
        result = {"machine": where, "repeats": repeats, "rows": [row.to_json() for row in rows], "warm": warm}
        output.write_text(json.dumps(result | {"shares": parts}, indent=1) + "\n")


if __name__ == "__main__":
    main()
