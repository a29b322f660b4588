"""A person's pseudonym in a study: all photos of the person go to one synthetic identity.

Which one follows from the study's key and the person's code alone, and only it does: what else changes in a photo still
follows from the photo's own secret, so no two photos share an XOR plane.
"""

import unicodedata
from os import PathLike

from keys.study import load_study_key
from mask_template.randomness import derive
from veilkey.errors import UsageError

MAX_CODE = 128


def read_pseudonym(code: str | None, study_key: str | PathLike[str] | bytes | None) -> bytes | None:
    """What `pseudonym_of` makes of a code and a study key's file, or None where neither is given.

    study_key: the path of NAME.study, or its contents as bytes.

    Raises:
        UsageError: only one of the two is given, or the code is none.
        BadIdentity: the study key cannot be read, is cut short or altered, or is something else.
    """
    if code is None and study_key is None:
        return None
    if code is None or study_key is None:
        raise UsageError("a pseudonym is drawn by a study's key: pass both, --pseudonym NAME --study-key NAME.study")
    return pseudonym_of(code, load_study_key(study_key))


def pseudonym_of(code: str, study_key: bytes) -> bytes:
    """The secret (32 bytes) that draws the identity of a person's photos in a study.

    Args:
        code: what the study calls the person, 1 to 128 printable characters. Blanks around it and the Unicode form in
            which it was typed do not count; capitals do.
        study_key: 32 bytes.

    Raises:
        UsageError: the code is none.
    """
    plain = unicodedata.normalize("NFC", code).strip()
    if not 1 <= len(plain) <= MAX_CODE or not plain.isprintable():
        raise UsageError(f"a pseudonym is 1 to {MAX_CODE} printable characters: pass the person's code as --pseudonym")
    return derive(study_key, f"pseudonym {plain}")
