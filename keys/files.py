"""Small files of keys: written once, for their owner alone where they are secret, and never read when too large."""

import os
from pathlib import Path

from keys.errors import BadIdentity, KeyExists

MAX_PEM = 64 * 1024


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that is not there yet, with the permissions ``mode``.

    Raises KeyExists when it is there, and OSError when it cannot be written; in both cases no new file stays behind.
    """
    try:
        # The mode is given at creation: a chmod afterwards would leave a moment in which others can read it.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise KeyExists(f"{path} exists already; choose another name or move it away") from error
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
    except BaseException:
        path.unlink()
        raise


def read_pem(source: str | os.PathLike[str] | bytes) -> tuple[str, bytes]:
    """What to call the source in a message, and its contents. ``source``: a path, or the contents as bytes.

    Raises BadIdentity when it cannot be read or is larger than any PEM file.
    """
    if isinstance(source, bytes):
        name, pem = "the PEM data", source
    else:
        name = str(Path(source))
        try:
            with open(source, "rb") as file:
                pem = file.read(MAX_PEM + 1)
        except OSError as error:
            raise BadIdentity(f"{name} cannot be read ({error.strerror}); check the path") from error
    if len(pem) > MAX_PEM:
        raise BadIdentity(f"{name} is larger than {MAX_PEM} bytes, so it is no PEM file; check the path")
    return name, pem
