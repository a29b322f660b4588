"""Which photos show whom: a gallery that the tracker has, and probes that are looked up in it."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from veilkey.errors import UsageError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp"}


@dataclass(frozen=True)
class Photo:
    """One file. `name` is its path inside the folder of faces and names the photo in the report."""

    person: str
    name: str
    path: Path


@dataclass(frozen=True)
class LeftOut:
    """Something that a run did not measure, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Protocol:
    """Gallery and probes, sorted by person; everyone has at least one photo in each."""

    gallery: tuple[Photo, ...]
    probes: tuple[Photo, ...]
    left_out: tuple[LeftOut, ...] = ()


def read_protocol(folder: Path, file: Path | None = None) -> Protocol:
    """The protocol in a JSON file, or one made from a folder that holds a folder a person.

    The file says {"gallery": {person: [name, ...]}, "probes": {person: [name, ...]}} with names relative to `folder`.
    Without it the first half of a person's photos, by name, is the gallery and the rest are probes. People without a
    gallery or without a probe are left out.

    Raises:
        UsageError: the file or the folder is not like that, photos are missing or named twice, or fewer than two people
            are left.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder: name the folder that holds a folder of photos for each person")
    gallery, probes = _from_file(folder, file) if file else _from_folders(folder)
    people = sorted(set(gallery) | set(probes))
    kept = [person for person in people if gallery.get(person) and probes.get(person)]
    if len(kept) < 2:
        raise UsageError(
            f"{file or folder}: {len(kept)} people have a gallery photo and a probe, at least 2 are needed: "
            "give everyone two photos or more"
        )
    left_out = [
        LeftOut(person, _why(gallery.get(person), probes.get(person))) for person in people if person not in kept
    ]
    return Protocol(
        tuple(photo for person in kept for photo in gallery[person]),
        tuple(photo for person in kept for photo in probes[person]),
        tuple(left_out),
    )


def _why(gallery: list[Photo] | None, probes: list[Photo] | None) -> str:
    count = len(gallery or []) + len(probes or [])
    if count < 2:
        return f"has {count} photo{'' if count == 1 else 's'}, a gallery photo and a probe are needed"
    return "has no probe" if gallery else "has no gallery photo"


def _from_folders(folder: Path) -> tuple[dict[str, list[Photo]], dict[str, list[Photo]]]:
    gallery, probes = {}, {}
    for person in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(path for path in person.iterdir() if path.suffix.lower() in SUFFIXES)
        _refuse_twins([f"{person.name}/{file.stem}" for file in files], folder)
        photos = [Photo(person.name, f"{person.name}/{file.name}", file) for file in files]
        half = max(1, len(photos) // 2)
        gallery[person.name], probes[person.name] = photos[:half], photos[half:]
    if not gallery:
        raise UsageError(f"{folder} holds no folders: make one for each person, or name a protocol with --protocol")
    return gallery, probes


def _from_file(folder: Path, file: Path) -> tuple[dict[str, list[Photo]], dict[str, list[Photo]]]:
    try:
        data = json.loads(file.read_text())
        parts = [
            {str(person): [str(name) for name in data[part][person]] for person in sorted(data[part])}
            for part in ("gallery", "probes")
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f'{file}: not a protocol: it must say {{"gallery": {{person: [photo, ...]}}, "probes": {{...}}}}'
        ) from None
    names = [name for part in parts for listed in part.values() for name in listed]
    _refuse_twins(names, file)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise UsageError(f"{file} names {len(missing)} photos that are not in {folder}: {shown}")
    gallery, probes = (
        {person: [Photo(person, name, folder / name) for name in listed] for person, listed in part.items()}
        for part in parts
    )
    return gallery, probes


def _refuse_twins(names: list[str], where: Path) -> None:
    twins = [name for name, count in Counter(names).items() if count > 1]
    if twins:
        raise UsageError(f"{where}: there are two pictures of one name, {twins[0]}: rename or remove one of them")
