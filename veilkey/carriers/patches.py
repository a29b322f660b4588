"""Where one byte string differs from another of the same length."""

import numpy as np

from veilkey.carriers.parts import not_fitting

_WINDOW = 2**24
_NEAR = 16  # runs that are nearer than this are one: each takes 12 bytes to say where it is


def differences(old: bytes, new: bytes | bytearray) -> tuple[bytes, bytes]:
    """What `patch` needs to turn `new` into `old`: where runs are (<u8 start, <u4 length), and their bytes."""
    starts, lengths, bodies = [], [], []
    for window in range(0, len(old), _WINDOW):
        ours = np.frombuffer(old, np.uint8, min(_WINDOW, len(old) - window), window)
        theirs = np.frombuffer(new, np.uint8, len(ours), window)
        differ = np.flatnonzero(ours != theirs)
        if not len(differ):
            continue
        breaks = np.flatnonzero(np.diff(differ) > _NEAR)
        first, last = (differ[np.r_[0, breaks + 1]], differ[np.r_[breaks, len(differ) - 1]] + 1)
        starts.append(first + window)
        lengths.append(last - first)
        bodies += [ours[start:end].tobytes() for start, end in zip(first, last, strict=True)]
    if not starts:
        return b"", b""
    where = np.zeros(sum(map(len, starts)), _RUN)
    where["start"], where["length"] = np.concatenate(starts), np.concatenate(lengths)
    return where.tobytes(), b"".join(bodies)


def patch(new: bytearray, where: bytes, body: bytes) -> None:
    """Make `new` what `differences` was given as `old`, in place.

    Raises:
        ForeignKey: the runs are not within `new`, or not as long as `body`.
    """
    if len(where) % _RUN.itemsize:
        raise not_fitting()
    done = 0
    for start, length in np.frombuffer(where, _RUN).tolist():
        if start + length > len(new) or done + length > len(body):
            raise not_fitting()
        new[start : start + length] = body[done : done + length]
        done += length
    if done != len(body):
        raise not_fitting()


_RUN = np.dtype([("start", "<u8"), ("length", "<u4")])
