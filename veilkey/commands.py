"""What the commands do for one photo: read, change, write."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keys import envelope
from keys.recipients import Identity, Recipient
from mask_template.grid import GROUPS
from veilkey import api
from veilkey.carriers import encode_png, read_photo
from veilkey.errors import OutputExists, UsageError
from veilkey.files import write_new
from veilkey.restorer import restore_picture


@dataclass(frozen=True)
class Files:
    """The files of one photo: the picture and the key that are written or read, and what shows the template."""

    picture: Path
    key: Path
    show: Path | None = None


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
        """photo.jpg -> photo.veiled.png and photo.veiled.png.veilkey, beside it or where -o and -k say."""
        files, written = {}, []
        for photo in photos:
            picture = _place(output, photo.with_name(photo.stem + ".veiled.png"), len(photos), "-o")
            key_file = _place(key, picture.with_name(picture.name + ".veilkey"), len(photos), "-k")
            shown = picture.with_name(picture.stem + ".template.png") if show else None
            files[photo] = Files(picture, key_file, shown)
            written += [picture, key_file, *([shown] if shown else [])]
        return cls(files, list(photos), written)

    @classmethod
    def restoring(cls, photos: Sequence[Path], output: Path | None, key: Path | None) -> "Names":
        """photo.veiled.png -> photo.restored.png; its key is photo.veiled.png.veilkey, or where -k says."""
        files, written = {}, []
        for photo in photos:
            stem = photo.stem.removesuffix(".veiled")
            picture = _place(output, photo.with_name(stem + ".restored.png"), len(photos), "-o")
            key_file = _place(key, photo.with_name(photo.name + ".veilkey"), len(photos), "-k")
            files[photo] = Files(picture, key_file)
            written.append(picture)
        return cls(files, [*photos, *(one.key for one in files.values())], written)

    def check(self, force: bool) -> None:
        """Before any work is done.

        Raises:
            UsageError: two photos lead to one file, an output is an input, or a folder is missing.
            OutputExists: a file is there already and `force` is false.
        """
        taken: set[Path] = set()
        for path in self._written:
            if path.resolve() in taken:
                raise UsageError(f"two photos would both be written to {path}: protect them into different folders")
            taken.add(path.resolve())
            if not path.parent.is_dir():
                raise UsageError(f"{path.parent} is no folder: make it first")
            if not force and path.exists():
                raise OutputExists(f"{path} exists: give another name with -o, or --force to replace it")
        for path in self._read:
            if path.resolve() in taken:
                raise UsageError(f"{path} would be overwritten: give another name with -o")


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
    sealed_for: Sequence[Recipient],
    target: str | None,
    settings: Mapping[str, Any],
    force: bool,
) -> dict[str, Any]:
    """Protect one file; what --json says of it."""
    from veilkey.protector import Settings

    protected, payload, faces = api.protector(target).protect(read_photo(photo), Settings(**settings))
    key = api.seal(payload, sealed_for)
    outputs = [(files.key, key), (files.picture, encode_png(protected))]
    if files.show:
        from veilkey.pictures import show_templates

        outputs.append((files.show, encode_png(show_templates(protected, payload))))
    write_new(outputs, force)
    return {
        "photo": str(photo),
        "protected": str(files.picture),
        "key": str(files.key),
        "key_bytes": len(key),
        "faces": [face.to_json() for face in faces],
    }


def restore_photo(protected: Path, files: Files, opener: Identity, force: bool) -> dict[str, Any]:
    """Restore one file; what --json says of it."""
    payload = api.unseal(api.read_key(files.key), opener)
    original = restore_picture(read_photo(protected), payload)
    write_new([(files.picture, encode_png(original))], force)
    return {"photo": str(protected), "key": str(files.key), "restored": str(files.picture), "identical": True}


def inspect_key(key_file: Path, opener: Identity | None) -> dict[str, Any]:
    """What a key file tells: everything but the secret with an identity, and the envelope without."""
    data = api.read_key(key_file)
    outside = envelope.describe(data)
    facts: dict[str, Any] = {
        "key": str(key_file),
        "format": outside.version,
        "encryption": outside.enc,
        "bytes": outside.file_bytes,
        "recipients": [
            {name: value for name, value in vars(entry).items() if value is not None} for entry in outside.recipients
        ],
    }
    if opener is None:
        return facts
    payload = api.unseal(data, opener)
    facts["picture"] = {
        "width": payload.width,
        "height": payload.height,
        "mode": payload.mode,
        "original_sha256": payload.original_digest.hex(),
        "protected_sha256": payload.protected_digest.hex(),
    }
    facts["faces"] = [
        {
            "box": list(face.box),
            "lattice": list(face.lattice.shape),
            "blocks": {
                name: {group: int(((face.recognizer == i) & (face.group == g)).sum()) for g, group in enumerate(GROUPS)}
                for i, name in enumerate(payload.recognizers)
            },
        }
        for face in payload.faces
    ]
    return facts
