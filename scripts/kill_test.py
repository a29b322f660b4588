"""Kill `veilkey protect` at random moments; whatever protected file is there then must have a key that restores it.

    python scripts/kill_test.py                 30 kills of a run over 20 photos
    python scripts/kill_test.py --kills 5 --photos 4

Every second kill waits for a key to appear and strikes in the moments after, where key and picture are written; the
others strike anywhere in a run. Every third run replaces what earlier runs left (--force). Restoring is done here, file
by file, with the identity that the keys were issued to.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import skimage.data
from PIL import Image
from tqdm import tqdm

import veilkey
from keys.keypair import generate
from veilkey.carriers import read_photo

SIDE = 256


class KillTest:
    """Photos in a folder, and runs of `veilkey protect` over them that are killed."""

    def __init__(self, folder: Path, photos: int, seed: int = 0) -> None:
        self._folder, self._random = folder, random.Random(seed)
        self._identity, self._recipient = generate(folder / "reader")
        portrait = skimage.data.astronaut()
        (folder / "photos").mkdir()
        self._photos: dict[Path, np.ndarray] = {}
        for number in range(photos):
            # Each a little different, so that a key beside another photo's picture would show.
            left, top = 80 + 2 * (number % 16), number // 16
            original = portrait[top : top + SIDE, left : left + SIDE]
            path = folder / "photos" / f"{number:02d}.png"
            Image.fromarray(original).save(path)
            self._photos[path] = np.array(original)
        start = time.perf_counter()
        self._start(self._new_folder("whole")).wait()
        self.seconds = time.perf_counter() - start
        """How long a run takes that is not killed."""
        self.whole = self.check(folder / "whole")

    def kill(self, number: int) -> tuple[Path, int]:
        """Start a run and kill it; the folder that it wrote to, and how many photos were done by then."""
        force = number % 3 == 2
        folder = self._folder / f"killed-{number - 1}" if force else self._new_folder(f"killed-{number}")
        before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
        process = self._start(folder, "--force") if force else self._start(folder)
        try:
            if number % 2:
                self._wait_for_key(folder, before, process)
                time.sleep(self._random.uniform(0, 0.03))
            else:
                time.sleep(self._random.uniform(0.2, 1.0) * self.seconds)
        finally:
            process.kill()
            process.wait()
        return folder, self.check(folder, force)

    def check(self, folder: Path, forced: bool = False) -> int:
        """How many photos are protected in `folder`; each restores, or this raises RuntimeError."""
        done = 0
        for path in sorted(folder.iterdir()):
            if path.name.endswith(".veiled.png"):
                original = self._photos[self._folder / "photos" / path.name.replace(".veiled", "")]
                key = path.with_name(path.name + ".veilkey")
                if not key.exists():
                    raise RuntimeError(f"{path} has no key")
                restored = read_photo(veilkey.restore(path, key, identity=self._identity))
                if not np.array_equal(restored.pixels, original):
                    raise RuntimeError(f"{path} restores to something else")
                done += 1
            elif path.name.endswith(".veilkey"):
                self._check_whole(path)
            elif not (path.name.startswith(".veilkey-") and (forced or not hasattr(os, "O_TMPFILE"))):
                raise RuntimeError(f"{path} was left behind")
        return done

    def _check_whole(self, key: Path) -> None:
        from keys import keyring
        from keys.recipients import load_identity

        keyring.unseal(key.read_bytes(), load_identity(self._identity))

    def _wait_for_key(self, folder: Path, before: dict[Path, int], process: subprocess.Popen[bytes]) -> None:
        wanted = self._random.randrange(1, len(self._photos) + 1)
        while process.poll() is None:
            keys = [path for path in folder.glob("*.veilkey") if not path.name.startswith(".")]
            if sum(_modified(path) != before.get(path) for path in keys) >= wanted:
                return
            time.sleep(0.001)

    def _new_folder(self, name: str) -> Path:
        path = self._folder / name
        path.mkdir()
        return path

    def _start(self, folder: Path, *options: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "veilkey.cli", "protect", *map(str, self._photos), *options]
            + ["-o", str(folder), "-k", str(folder), "-r", str(self._recipient), "--refine", "0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def _modified(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


@click.command()
@click.option("--kills", default=30, show_default=True)
@click.option("--photos", default=20, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(kills: int, photos: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        test = KillTest(Path(folder), photos, seed)
        click.echo(f"a run over {photos} photos takes {test.seconds:.1f} s; {test.whole} protected, all restore")
        done = [test.kill(number)[1] for number in tqdm(range(kills), "killing", unit="run")]
    click.echo(f"{kills} kills, after {', '.join(map(str, done))} photos: {sum(done)} protected files, all restore")


if __name__ == "__main__":
    main()
