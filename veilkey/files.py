"""Writing files so that each is there whole or not at all, and reading none that is too large."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from veilkey.errors import OutputExists


def write_new(path: Path, data: bytes, force: bool = False) -> None:
    """Write `data` to a file that is not there yet; with `force`, in place of one that is.

    The data goes to a file without a name, where the system has such, is flushed to the disk, and only then linked to
    its name: a kill at any moment leaves the whole file or nothing.

    Raises:
        OutputExists: `path` exists and `force` is false.
        OSError: the folder is missing, full or not writable.
    """
    if force:
        write_over(path, data)
        return
    try:
        handle = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o644)
    except (AttributeError, OSError):
        _link_through_temporary(path, data)
        return
    with os.fdopen(handle, "wb") as file:
        _fill(file, data)
        _refuse_to_replace(path, f"/proc/self/fd/{file.fileno()}", file.fileno())


def write_over(path: Path, data: bytes) -> None:
    """Write `data` to `path`, in place of what may be there, in one step."""
    handle, temporary = tempfile.mkstemp(prefix=".veilkey-", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            _fill(file, data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _link_through_temporary(path: Path, data: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=".veilkey-", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            _fill(file, data)
        os.chmod(temporary, 0o644)
        _refuse_to_replace(path, temporary)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)


def _refuse_to_replace(path: Path, source: str, handle: int | None = None) -> None:
    try:
        # Only with a descriptor does Python call linkat, which can follow the link in /proc to a file without a name;
        # `source` is absolute then, so the descriptor itself is not looked at.
        os.link(source, path, src_dir_fd=handle, follow_symlinks=True)
    except FileExistsError:
        raise OutputExists(f"{path} exists: give another name with -o, or --force to replace it") from None
    except (PermissionError, NotImplementedError):
        # No hard links here (FAT): a file that comes into being between the look and the rename is replaced.
        if path.exists():
            raise OutputExists(f"{path} exists: give another name with -o, or --force to replace it") from None
        os.replace(source, path)


def _fill(file: BinaryIO, data: bytes) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def read_limited(path: Path, limit: int) -> bytes:
    """The file's bytes, at most one more than `limit`, so that the caller can see that it is too large."""
    with path.open("rb") as file:
        return file.read(limit + 1)
