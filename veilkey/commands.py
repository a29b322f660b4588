"""What the commands do for one photo: read, change, write."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keys import keyring
from keys.payload import Payload
from keys.recipients import Identity
from mask_template.grid import GROUPS
from veilkey import api
from veilkey.carriers import PhotoFile, Picture, encode_png, format_of, open_photo, read_file
from veilkey.carriers.sealed import SealedCarrier
from veilkey.errors import ForeignKey, OutputExists, UnreadablePhoto, UsageError
from veilkey.files import write_new
from veilkey.issuing import Issued, complete, seal
from veilkey.restorer import restore_file

SEALED = (".webp", ".heic", ".heif", ".avif")
"""Endings of files that a key holds whole."""


@dataclass(frozen=True)
class Files:
    """The files of one photo: the picture and the key that are written or read, and what shows the template.

    renamed: nobody chose the picture's name, so its ending may be another one.
    """

    picture: Path
    key: Path
    show: Path | None = None
    renamed: bool = False


class Names(Mapping[Path, Files]):
    """Which files belong to which photo; no two photos share one."""

    def __init__(self, files: dict[Path, Files], read: list[Path], written: list[Path]) -> None:
        self._files = files
        self._read = read
        self._written = written

    def __getitem__(self, photo: Path) -> Files:
        return self._files[photo]

    def __iter__(self) -> Iterator[Path]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    @classmethod
    def protecting(cls, photos: Sequence[Path], output: Path | None, key: Path | None, show: bool) -> "Names":
        """photo.jpg -> photo.veiled.jpg and photo.veiled.jpg.veilkey, beside it or where -o and -k say."""
        files, written = {}, []
        for photo in photos:
            picture = _place(output, photo.with_name(photo.stem + ".veiled" + _ending(photo)), len(photos), "-o")
            key_file = _place(key, picture.with_name(picture.name + ".veilkey"), len(photos), "-k")
            shown = picture.with_name(picture.stem + ".template.png") if show else None
            files[photo] = Files(picture, key_file, shown)
            written += [picture, key_file, *([shown] if shown else [])]
        return cls(files, list(photos), written)

    @classmethod
    def restoring(cls, photos: Sequence[Path], output: Path | None, key: Path | None, approximately: bool) -> "Names":
        """photo.veiled.jpg -> photo.restored.jpg, or photo.approximate.png where only that is possible; its key is
        photo.veiled.jpg.veilkey, or where -k says."""
        files, written = {}, []
        for photo in photos:
            stem = photo.stem.removesuffix(".veiled")
            picture = _place(output, photo.with_name(stem + ".restored" + photo.suffix), len(photos), "-o")
            key_file = _place(key, photo.with_name(photo.name + ".veilkey"), len(photos), "-k")
            files[photo] = Files(picture, key_file, renamed=output is None or output.is_dir())
            written.append(picture)
            if approximately and approximate_name(picture) != picture:
                written.append(approximate_name(picture))
        return cls(files, [*photos, *(one.key for one in files.values())], written)

    def check(self, force: bool) -> None:
        """Before any work is done.

        Raises:
            UsageError: two photos lead to one file, an output is an input, or a folder is missing.
            OutputExists: a file is there already and `force` is false.
        """
        taken: set[str] = set()  # a link to itself is nowhere, and no error here
        for path in self._written:
            if os.path.realpath(path) in taken:
                raise UsageError(f"two photos would both be written to {path}: protect them into different folders")
            taken.add(os.path.realpath(path))
            if not path.parent.is_dir():
                raise UsageError(f"{path.parent} is no folder: make it first")
            if path.exists() and not path.is_file():
                raise UsageError(f"{path} is no file, so it cannot be replaced: give another name with -o")
            if not force and path.exists():
                raise OutputExists(f"{path} exists: give another name with -o, or --force to replace it")
        for path in self._read:
            if os.path.realpath(path) in taken:
                raise UsageError(f"{path} would be overwritten: give another name with -o")


def _ending(photo: Path) -> str:
    """The ending of the protected file: the photo's own where its format is written under that."""
    try:
        suffixes = format_of(photo).suffixes
    except UnreadablePhoto:
        return photo.suffix  # what is wrong with it will be said when its turn comes
    return photo.suffix if photo.suffix.lower() in suffixes else suffixes[0]


def approximate_name(picture: Path) -> Path:
    """Where an approximate restore goes in place of `picture`: its name says what it is."""
    stem = picture.stem.removesuffix(".restored").removesuffix(".approximate")
    return picture.with_name(stem + ".approximate.png")


def _place(wanted: Path | None, default: Path, photos: int, option: str) -> Path:
    if wanted is None:
        return default
    if wanted.is_dir():
        return wanted / default.name
    if photos > 1:
        raise UsageError(f"{option} must be a folder that exists when there are several photos: {wanted}")
    return wanted


def protect_photo(
    photo: Path,
    files: Files,
    issued: Sequence[Issued],
    target: str | None,
    settings: Mapping[str, Any],
    exact: bool,
    keep_times: bool,
    force: bool,
) -> dict[str, Any]:
    """Protect one file; what --json says of it."""
    from veilkey.protector import Settings

    data, modified = read_file(photo), photo.stat().st_mtime_ns
    original = open_photo(photo)
    protected, payload, faces = api.protector(target).protect(original, Settings(**settings))
    payload = complete(data, original, protected, payload, exact, photo.name, max(0, modified))
    key = seal(protected, payload, issued)
    outputs = [(files.key, key), (files.picture, protected.encode())]
    if files.show:
        from veilkey.pictures import show_templates

        outputs.append((files.show, encode_png(show_templates(protected.picture, payload))))
    write_new(outputs, force, {files.picture: modified} if keep_times else {})
    return {
        "photo": str(photo),
        "protected": str(files.picture),
        "protected_bytes": len(protected.encode()),
        "key": str(files.key),
        "key_bytes": len(key),
        "restores": "file" if payload.saved else "pixels",
        "faces": [{"number": key.number, **face.to_json()} for key, face in zip(payload.faces, faces, strict=True)],
    }


def references(only: Path | None, spared: Path | None) -> dict[str, Picture]:
    """What `Settings` want of photos of a person whose faces alone, or alone not, are to be protected."""
    if only and spared:
        raise UsageError("pass --only-matching or --except-matching, and not both")
    return {name: open_photo(path).picture for name, path in (("only", only), ("spared", spared)) if path}


def find_faces(photo: Path, show: Path | None, force: bool) -> dict[str, Any]:
    """The faces of a photo, numbered; what --json says of them. `show`: where to draw them."""
    from veilkey.faces import FaceFinder

    if show and os.path.realpath(show) == os.path.realpath(photo):
        raise UsageError(f"{photo} would be overwritten: give another name with --show")
    picture = open_photo(photo).picture
    boxes = [face.box for face in FaceFinder().find(picture.rgb())]
    if show:
        from veilkey.pictures import show_boxes

        write_new([(show, encode_png(show_boxes(picture, boxes)))], force)
    return {"photo": str(photo), "faces": [{"number": n, "box": list(box)} for n, box in enumerate(boxes, 1)]}


def restore_photo(
    protected: Path, files: Files, opener: Identity, approximately: bool, keep_times: bool, force: bool
) -> dict[str, Any]:
    """Restore one file; what --json says of it. `approximately`: where it was changed, as well as can be."""
    payloads = keyring.unseal(api.read_key(files.key), opener)
    photo = open_photo(protected)
    try:
        restored = restore_file(photo, payloads)
    except ForeignKey as error:
        from veilkey.approximate import is_copy

        if approximately:
            return _approximate_photo(protected, photo, files, payloads, force)
        if is_copy(photo, payloads):
            raise ForeignKey(f"{error}, or pass --approximate for an estimate of the original") from None
        raise
    first = payloads[0]
    picture = files.picture
    if files.renamed and first.kind == SealedCarrier.kind and Path(first.name).suffix.lower() in SEALED:
        # The protected file is of another kind than the original: what comes back is named by what it is.
        picture = picture.with_suffix(Path(first.name).suffix)
    times = {picture: first.modified} if keep_times and first.modified else {}
    write_new([(picture, restored.data)], force, times)
    return {
        "photo": str(protected),
        "key": str(files.key),
        "restored": str(picture),
        "original_name": first.name,
        "faces": "all" if first.whole else sorted(number for payload in payloads for number in payload.numbers),
        "identical": ("file" if restored.exact else "pixels") if first.whole else False,
        "approximate": False,
    }


def _approximate_photo(
    copy: Path, photo: PhotoFile, files: Files, payloads: Sequence[Payload], force: bool
) -> dict[str, Any]:
    from veilkey.approximate import approximate

    found = approximate(photo, payloads)
    picture = approximate_name(files.picture)
    write_new([(picture, found.encode())], force)
    return {
        "photo": str(copy),
        "key": str(files.key),
        "restored": str(picture),
        "original_name": payloads[0].name,
        "faces": list(found.faces),
        "identical": False,
        "approximate": True,
        "estimated_error": round(found.error, 2),
        "scale": round(found.scale, 4),
    }


def inspect_key(key_file: Path, opener: Identity | None) -> dict[str, Any]:
    """What a key file tells: everything but the secret with an identity, and the envelope without."""
    data = api.read_key(key_file)
    outside = keyring.describe(data)
    facts: dict[str, Any] = {
        "key": str(key_file),
        "format": outside.version,
        "encryption": outside.enc,
        "bytes": outside.file_bytes,
        "locks": [
            {
                "faces": "all" if lock.faces is None else list(lock.faces),
                "recipients": [
                    {name: value for name, value in vars(entry).items() if value is not None}
                    for entry in lock.recipients
                ],
            }
            for lock in outside.locks
        ],
    }
    if opener is not None:
        facts["opened"] = [_inside(payload) for payload in keyring.unseal(data, opener)]
    return facts


def _inside(payload: Payload) -> dict[str, Any]:
    return {
        "original": {"name": payload.name, "modified_ns": payload.modified, "sha256": payload.original_digest.hex()},
        "protected_sha256": payload.protected_digest.hex(),
        "kind": payload.kind,
        "width": payload.width,
        "height": payload.height,
        "mode": payload.mode,
        "restores": "all" if payload.whole else list(payload.numbers),
        "saved_bytes": len(payload.saved),
        "faces": [
            {
                "number": face.number,
                "box": list(face.box),
                "lattice": list(face.lattice.shape),
                "blocks": {
                    name: {
                        group: int(((face.recognizer == i) & (face.group == g)).sum()) for g, group in enumerate(GROUPS)
                    }
                    for i, name in enumerate(payload.recognizers)
                },
            }
            for face in payload.faces
        ],
    }
