"""Worker processes, each with one thread: photos are many, so cores are shared out by photo."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from veilkey.errors import VeilkeyError
from veilkey.evaluation.work import Bench, Plan

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
Item = TypeVar("Item")
Result = TypeVar("Result")

_bench: Bench | None = None


class Workers:
    """Calls methods of `Bench` for many items. `jobs` 1 works in this process."""

    def __init__(self, plan: Plan, pool: ProcessPoolExecutor | None) -> None:
        self._pool = pool
        self._here = None if pool else Bench(plan)

    def map(self, action: Callable[[Bench, Item], Result], items: Sequence[Item]) -> Iterator[Result]:
        """Results in the order of the items, as they come.

        Raises:
            VeilkeyError: a worker process died.
        """
        if self._pool is None:
            assert self._here is not None
            for item in items:
                yield action(self._here, item)
            return
        try:
            yield from self._pool.map(_call, [(action, item) for item in items])
        except BrokenProcessPool:
            raise VeilkeyError(
                "a worker process died, perhaps for lack of memory: run the same command again, with fewer --jobs; "
                "it goes on where it stopped"
            ) from None


@contextmanager
def workers(plan: Plan, jobs: int) -> Iterator[Workers]:
    """`jobs` processes for as long as the context lasts."""
    if jobs == 1:
        yield Workers(plan, None)
        return
    before = {name: os.environ.get(name) for name in THREADS}
    # Libraries read these when they are loaded, and a new process inherits them.
    os.environ.update(dict.fromkeys(THREADS, "1"))
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin, (plan,))
    try:
        yield Workers(plan, pool)
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin(plan: Plan) -> None:
    global _bench
    import cv2

    cv2.setNumThreads(1)
    # Ctrl-C reaches the whole group of processes; the parent ends these.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _bench = Bench(plan)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _call(job: tuple[Callable[[Bench, Any], Any], Any]) -> Any:
    assert _bench is not None
    return job[0](_bench, job[1])
