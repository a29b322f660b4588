"""Writing files so that each is there whole or not at all, and reading none that is too large."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from veilkey.errors import OutputExists


def write_new(
    files: Sequence[tuple[Path, bytes]], force: bool = False, times: Mapping[Path, int] | None = None
) -> None:
    """Write files that are not there yet, in order; with `force`, in place of what is.

    `times`: when a file is to say that it was last modified, in nanoseconds since the epoch; now without.

    All data goes to files without a name first, where the system has such, and is flushed to the disk; only then are
    they linked to their names, one after the other. A full disk changes nothing; a kill at any moment leaves each file
    whole or not there, and a later one never without the earlier ones. With `force`, what was there goes just before,
    the last first, for the same reason.

    Raises:
        OutputExists: a file exists and `force` is false; nothing stays written.
        OSError: a folder is missing, full or not writable.
    """
    with ExitStack() as stack:
        staged = [stack.enter_context(_staged(path.parent, data)) for path, data in files]
        if force:
            for path, _ in files:
                if path.exists() and not path.is_file():
                    raise OutputExists(f"{path} is no file, so it cannot be replaced: give another name with -o")
            for path, _ in reversed(files):
                path.unlink(missing_ok=True)
        done: list[Path] = []
        try:
            for (path, _), source in zip(files, staged, strict=True):
                _link(source, path)
                done.append(path)
                if times and path in times:
                    os.utime(path, ns=(times[path], times[path]))
        except BaseException:
            for path in reversed(done):
                path.unlink(missing_ok=True)
            raise


@contextmanager
def _staged(folder: Path, data: bytes) -> Iterator[int | str]:
    """The data in a file of `folder`: a descriptor of one without a name, or the name of a temporary one."""
    try:
        handle = os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o644)
    except (AttributeError, OSError):
        handle, name = tempfile.mkstemp(prefix=".veilkey-", suffix=".part", dir=folder)
        try:
            _fill(handle, data)
            os.chmod(name, 0o644)
            yield name
        finally:
            os.close(handle)
            with suppress(FileNotFoundError):
                os.unlink(name)
        return
    try:
        _fill(handle, data)
        yield handle
    finally:
        os.close(handle)


def _link(source: int | str, path: Path) -> None:
    try:
        if isinstance(source, int):
            # Only with a descriptor does Python call linkat, which can follow the link in /proc to a file without a
            # name; the path is absolute, so the descriptor itself is not looked at.
            os.link(f"/proc/self/fd/{source}", path, src_dir_fd=source, follow_symlinks=True)
        else:
            os.link(source, path)
    except FileExistsError:
        raise OutputExists(f"{path} exists: give another name with -o, or --force to replace it") from None
    except PermissionError:
        # No hard links here (FAT). A file that appears between the look and the rename is replaced.
        if isinstance(source, int) or path.exists():
            raise
        os.rename(source, path)


def _fill(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
    os.fsync(handle)


def read_limited(path: Path, limit: int) -> bytes:
    """The file's bytes, at most one more than `limit`, so that the caller can see that it is too large."""
    with path.open("rb") as file:
        return file.read(limit + 1)
