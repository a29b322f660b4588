"""Protect and restore from Python; what `veilkey.protect` and `veilkey.restore` are."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from keys import envelope, keyring
from keys.recipients import Identity, PassphraseIdentity, PassphraseRecipient, Recipient, load_identity, load_recipient
from veilkey import restorer
from veilkey.carriers import Picture, Pixels, from_pil, open_photo, read_file
from veilkey.errors import KeyFileError, UsageError
from veilkey.files import read_limited
from veilkey.issuing import Issued, complete, seal
from veilkey.pseudonym import read_pseudonym

if TYPE_CHECKING:
    from veilkey.protector import Protector
    from veilkey.report import FaceReport

ImageLike = str | PathLike[str] | bytes | Image.Image | np.ndarray
KeyLike = str | PathLike[str] | bytes


@dataclass(frozen=True)
class Protected:
    """A protected photo: `image` in the kind that was given, `key` the key file's bytes, `report` one entry a face."""

    image: Any
    key: bytes
    report: list["FaceReport"]


def protect(
    image: ImageLike,
    *,
    recipients: Sequence[KeyLike | Recipient] = (),
    passphrase: str | bytes | None = None,
    strength: str = "standard",
    refine: int | None = None,
    target: str | None = None,
    pseudonym: str | None = None,
    study_key: KeyLike | None = None,
) -> Protected:
    """Change every face in a photo so that recognizers no longer match it, and issue the key.

    Args:
        image: a path, the bytes of a file, a PIL image, or a uint8 array (H, W), (H, W, 3) RGB or (H, W, 4) RGBA.
        recipients: public keys (paths of NAME.pub.pem, their bytes, or loaded) of those who may restore.
        passphrase: who knows it may restore, too. One of the two is needed.
        strength: "light", "standard" or "strong".
        refine: gradient steps a face; 0 for the generator alone.
        target: recognizers to attack, names with commas between, if not all that are installed; the others judge.
        pseudonym: a study's code for the one person in the photo, 1 to 128 characters; all photos under it go to one
            synthetic identity, which another study key would draw elsewhere.
        study_key: the study's key (path of NAME.study, or its bytes); needed with `pseudonym`.

    Returns:
        `Protected`; its image is a file's bytes, of the same kind, for a path or bytes, an array for an array, and a
        PIL image for a PIL image.

    Raises:
        veilkey.errors.VeilkeyError: no face, several for one pseudonym, an unreadable picture, or nobody to seal for.
        veilkey.errors.KeyFileError: a public key or a study key that cannot be used.
    """
    from veilkey.protector import Settings

    sealed_for = [load_recipient(r) if isinstance(r, str | bytes | PathLike) else r for r in recipients]
    if passphrase is not None:
        sealed_for.append(PassphraseRecipient(passphrase_bytes(passphrase)))
    issued = [Issued(recipient) for recipient in sealed_for]
    if not issued:
        raise UsageError("nobody could restore this photo: pass recipients or a passphrase")
    settings = Settings(strength=strength, pseudonym=read_pseudonym(pseudonym, study_key))
    if refine is not None:
        settings = replace(settings, refine=refine)
    if isinstance(image, np.ndarray | Image.Image):
        changed, payload, report = protector(target).protect(Pixels(as_picture(image)), settings)
        return Protected(_like(image, changed.picture), seal(changed, payload, issued), report)
    data = image if isinstance(image, bytes) else read_file(Path(image))
    original = open_photo(data if isinstance(image, bytes) else Path(image))
    file, payload, report = protector(target).protect(original, settings)
    name = "" if isinstance(image, bytes) else Path(image).name
    payload = complete(data, original, file, payload, exact=False, name=name, modified=0)
    return Protected(file.encode(), seal(file, payload, issued), report)


def restore(
    image: ImageLike,
    key: KeyLike,
    *,
    identity: KeyLike | Identity | None = None,
    passphrase: str | bytes | None = None,
) -> Any:
    """Give the original back, to the last bit.

    Args:
        image: the protected photo, as for `protect`.
        key: the key file: a path or its bytes.
        identity: a private key (path of NAME.pem, its bytes, or loaded), or
        passphrase: the one that the key was sealed with.

    Returns:
        The original, in the kind that was given, as for `protect`; with just their faces restored for someone whom
        the key lets restore only these.

    Raises:
        veilkey.errors.KeyFileError: a wrong identity or passphrase, or a damaged key.
        veilkey.errors.ForeignKey: the key is another picture's, or this one was edited.
    """
    if (identity is None) == (passphrase is None):
        raise UsageError("pass an identity or a passphrase, and not both")
    opener: Identity
    if identity is None:
        opener = PassphraseIdentity(passphrase_bytes(passphrase or ""))
    else:
        opener = load_identity(identity) if isinstance(identity, str | bytes | PathLike) else identity
    payloads = keyring.unseal(read_key(key), opener)
    if isinstance(image, np.ndarray | Image.Image):
        return _like(image, restorer.restore(Pixels(as_picture(image)), payloads).picture)
    return restorer.restore_file(open_photo(image if isinstance(image, bytes) else Path(image)), payloads).data


@cache
def protector(target: str | None = None) -> "Protector":
    """The one Protector of this process for a target as of `protect`."""
    from veilkey import recognizers
    from veilkey.protector import Protector

    return Protector(recognizers.targets(target or "all"), recognizers.installed())


def read_key(key: KeyLike) -> bytes:
    """A key file's bytes, never more than one over the limit."""
    if isinstance(key, bytes):
        return key
    try:
        return read_limited(Path(key), envelope.MAX_KEY_FILE)
    except OSError as error:
        raise KeyFileError(f"{key}: {error.strerror}: pass the key file with -k") from None


def as_picture(image: np.ndarray | Image.Image) -> Picture:
    """A picture that is in no file. Raises UsageError or UnreadablePhoto for kinds that veilkey does not take."""
    if isinstance(image, Image.Image):
        return from_pil(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (3, 4)):
        raise UsageError(
            "`image` must be uint8 of shape (H, W), (H, W, 3) or (H, W, 4). "
            f"Received: {image.dtype} of shape {image.shape}"
        )
    return from_pil(Image.fromarray(image))


def _like(given: np.ndarray | Image.Image, picture: Picture) -> Any:
    if isinstance(given, np.ndarray):
        return picture.pixels
    image = Image.fromarray(picture.pixels, picture.mode)
    if picture.icc_profile:
        image.info["icc_profile"] = picture.icc_profile
    return image


def passphrase_bytes(passphrase: str | bytes) -> bytes:
    """A passphrase as bytes: text in the one Unicode form (NFC) that does not depend on the keyboard."""
    return passphrase if isinstance(passphrase, bytes) else unicodedata.normalize("NFC", passphrase).encode()
