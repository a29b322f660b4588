"""Worker processes: in order, the same as this process, and a clear sentence where one dies."""

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from veilkey.errors import VeilkeyError
from veilkey.evaluation.pool import THREADS, workers
from veilkey.evaluation.protocol import Photo
from veilkey.evaluation.work import Bench, Known, Plan


def test_in_order_and_what_happens_when_one_dies(tmp_path: Path, portrait: np.ndarray) -> None:
    photos = []
    for number in range(3):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.roll(portrait, number, axis=1)).save(path)
        photos.append(Photo("eileen", path.name, path))
    (tmp_path / "1.png").write_bytes(b"no picture")
    before = {name: os.environ.get(name) for name in THREADS}
    found = []
    for jobs in (1, 2):
        plan = Plan(judges=("dlib",), transforms=(), detectors=(), seed=0, store=tmp_path / str(jobs))
        with workers(plan, jobs) as pool:
            found.append(list(pool.map(Bench.read, photos)))
            if jobs == 2:
                for child in multiprocessing.active_children():
                    child.kill()
                with pytest.raises(VeilkeyError, match="worker process died.*goes on where it stopped"):
                    list(pool.map(Bench.read, photos))
    assert found[0] == found[1]
    first, second, third = found[0]
    assert isinstance(first, Known) and isinstance(third, Known) and first.digest != third.digest
    assert isinstance(second, str) and second.startswith("1.png: not a picture")
    assert {name: os.environ.get(name) for name in THREADS} == before
