"""The store: what is there is not made again, by whoever made it first."""

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from veilkey.evaluation.sample import digest_of
from veilkey.evaluation.store import Store


def test_made_once(tmp_path: Path) -> None:
    calls = []

    def make() -> dict[str, int]:
        calls.append(1)
        return {"calls": len(calls)}

    assert Store(tmp_path).figures(("a", 1, None, ("x", 0.5)), make) == {"calls": 1}
    # Another process opens the same file later.
    store = Store(tmp_path)
    assert store.figures(("a", 1, None, ("x", 0.5)), make) == {"calls": 1}
    assert store.figures(("a", 1, None, ("x", 0.25)), make) == {"calls": 2}


def test_arrays_and_pictures_come_back(tmp_path: Path, close_up: np.ndarray) -> None:
    store, values = Store(tmp_path), np.arange(6, dtype=np.float32).reshape(2, 3)
    for _ in range(2):
        found = store.array(("v",), lambda: values)
        assert np.array_equal(found, values) and found.dtype == values.dtype
    assert store.array(("none",), lambda: np.zeros(0, np.float32)).shape == (0,)
    digest = digest_of(close_up)
    store.keep_picture(digest, close_up)
    assert digest_of(Store(tmp_path).picture(digest)) == digest


def test_what_is_not_there(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(KeyError):
        store.array(("missing",))
    with pytest.raises(KeyError):
        store.picture("missing")


def test_a_maker_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(ZeroDivisionError):
        store.figures(("a",), lambda: 1 // 0)
    assert store.figures(("a",), lambda: 2) == 2


def _write(folder: Path, number: int, start: Any, out: "multiprocessing.Queue[list[int]]") -> None:
    start.wait()  # so that all open the new file at once
    store = Store(folder)
    out.put([store.figures(("shared", n), lambda: number) for n in range(200)])


def test_processes_agree(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    queue, start = context.Queue(), context.Barrier(4)
    writers = [context.Process(target=_write, args=(tmp_path, number, start, queue)) for number in range(4)]
    for writer in writers:
        writer.start()
    seen = [queue.get(timeout=60) for _ in writers]
    for writer in writers:
        writer.join()
    assert all(each == seen[0] for each in seen) and set(seen[0]) <= set(range(4))
