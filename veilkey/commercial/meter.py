"""How many calls may be made, and how fast."""

import threading
import time

from veilkey.errors import CallsSpent


class Meter:
    """Counts the calls of one run, of all services together, and refuses more than `max_calls` (None: no limit).

    Every try counts, since a call that went wrong may be billed. Safe to share between threads.
    """

    def __init__(self, max_calls: int | None = None) -> None:
        self.max_calls = max_calls
        self.calls = 0
        self._lock = threading.Lock()

    def require(self, calls: int) -> None:
        """Make sure that so many calls are left, so that nothing is begun that cannot be finished.

        Raises:
            CallsSpent: they are not.
        """
        if self.max_calls is not None and self.calls + calls > self.max_calls:
            raise CallsSpent(f"{self.calls} of {self.max_calls} calls are used up: allow more with --max-calls")

    def spend(self) -> None:
        """Count one call, before it is sent. Raises CallsSpent as `require` does."""
        with self._lock:
            self.require(1)
            self.calls += 1


class Pace:
    """Spaces calls evenly, `per_second` of them at most. Safe to share between threads."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1 / per_second
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Sleep until the next call may go out."""
        with self._lock:
            start = max(time.monotonic(), self._next)
            self._next = start + self._gap
        time.sleep(max(0.0, start - time.monotonic()))
