"""What was computed once: pictures, arrays and figures by what they were made of. It makes a run resumable.

One SQLite file in the user's cache folder. Each entry is there whole or not at all, whenever the program is killed, and
several processes write at once. The file may be deleted at any time; the next run computes again.
"""

import hashlib
import io
import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from veilkey.carriers import Picture, encode_png, read_photo
from veilkey.models import cache_folder

Key = tuple[Any, ...]


class Store:
    """A key is a tuple of strings, numbers, None and tuples of them: everything that the value depends on."""

    def __init__(self, folder: Path | None = None) -> None:
        folder = folder or cache_folder() / "evaluation"
        folder.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(folder / "store.sqlite3", timeout=300, isolation_level=None)
        self._write_ahead()
        # What is written need not be on the disk after a power cut.
        self._database.execute("PRAGMA synchronous=NORMAL")
        self._database.execute("CREATE TABLE IF NOT EXISTS entries (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")

    def _write_ahead(self) -> None:
        """Turn the write-ahead log on, which lets processes read while one writes.

        SQLite's timeout does not hold for this: of processes that open a new file at once all but one are refused.
        """
        for wait in (*[0.05] * 200, None):
            try:
                self._database.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError:
                if wait is None:
                    raise
                time.sleep(wait)

    def __contains__(self, key: Key) -> bool:
        return self._get(key) is not None

    def figures(self, key: Key, make: Callable[[], Any]) -> Any:
        """What JSON can say: from the store, else made now and kept."""
        return json.loads(self._once(key, lambda: json.dumps(make()).encode()))

    def array(self, key: Key, make: Callable[[], np.ndarray] | None = None) -> np.ndarray:
        """An array; without `make` it must be there.

        Raises KeyError where it is not.
        """
        data = self._once(key, None if make is None else lambda: _npy(make()))
        return np.load(io.BytesIO(data), allow_pickle=False)

    def keep_picture(self, digest: str, image: np.ndarray) -> None:
        """Keep an image (H, W, 3) uint8 RGB under its own digest."""
        self._once(("picture", digest), lambda: encode_png(Picture(image, "RGB")))

    def picture(self, digest: str) -> np.ndarray:
        """The image (H, W, 3) uint8 RGB that was kept; KeyError where it was not."""
        return read_photo(self._once(("picture", digest), None)).rgb()

    def _once(self, key: Key, make: Callable[[], bytes] | None) -> bytes:
        found = self._get(key)
        if found is None:
            if make is None:
                raise KeyError(key)
            self._database.execute("INSERT OR IGNORE INTO entries VALUES (?, ?)", (_name(key), make()))
            # Whoever was first has made what counts: a method may draw its own secrets.
            found = self._get(key)
            assert found is not None
        return found

    def _get(self, key: Key) -> bytes | None:
        row = self._database.execute("SELECT value FROM entries WHERE key = ?", (_name(key),)).fetchone()
        return row[0] if row else None


def _name(key: Key) -> bytes:
    return hashlib.sha256(json.dumps(key).encode()).digest()


def _npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
