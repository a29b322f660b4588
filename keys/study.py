"""NAME.study: the key of a study, 32 random bytes that decide where its pseudonyms lie. It opens nothing.

PEM with a label of its own; behind the key stand four bytes of its SHA-256, because a key with one wrong letter would
lead the photos of a person to two places, and nobody would notice.
"""

import base64
import hashlib
import os
import re
import secrets
from pathlib import Path

from keys.errors import BadIdentity
from keys.files import read_pem, write_new

KEY_BYTES = 32
_CHECK_BYTES = 4
_BEGIN, _END = b"-----BEGIN VEILKEY STUDY KEY-----", b"-----END VEILKEY STUDY KEY-----"
_PEM = re.compile(_BEGIN + rb"\s+([A-Za-z0-9+/]{48})\s+" + _END)


def generate(name: str | Path) -> Path:
    """Writes a new study key and returns the path of NAME.study (mode 0600).

    Never overwrites: raises KeyExists when it is there, and OSError when it cannot be written; in both cases no new
    file stays behind.
    """
    path = Path(f"{name}.study")
    write_new(path, _to_pem(secrets.token_bytes(KEY_BYTES)), 0o600)
    return path


def load_study_key(source: str | os.PathLike[str] | bytes) -> bytes:
    """The 32 bytes of a study key. ``source``: the file's path, or its contents as bytes.

    Raises BadIdentity when it cannot be read, is cut short or altered, or is something else, such as a private key.
    """
    name, pem = read_pem(source)
    if _BEGIN not in pem:
        what = "a private key" if b"PRIVATE KEY-----" in pem else "not a study key"
        raise BadIdentity(f"{name} is {what}; give NAME.study as study-key wrote it")
    whole = _PEM.fullmatch(pem.strip())
    data = base64.b64decode(whole[1]) if whole else b""
    key, check = data[:KEY_BYTES], data[KEY_BYTES:]
    if not whole or check != _check(key):
        raise BadIdentity(f"{name} is cut short or altered; get the study key again")
    return key


def _to_pem(key: bytes) -> bytes:
    return b"\n".join([_BEGIN, base64.b64encode(key + _check(key)), _END, b""])


def _check(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()[:_CHECK_BYTES]
