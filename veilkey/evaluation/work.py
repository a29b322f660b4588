"""What a worker does for one photo: read it, protect it, find and embed the face again, measure what is seen.

Every step is kept in the store by all that it depends on, so whatever was done once is not done again.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from veilkey import recognizers
from veilkey.errors import CheckFailed, VeilkeyError
from veilkey.evaluation import detectors, transforms, visible
from veilkey.evaluation.cases import Case
from veilkey.evaluation.groups import skin_tone
from veilkey.evaluation.methods.base import Method
from veilkey.evaluation.protocol import Photo
from veilkey.evaluation.sample import Sample, digest_of, read_image
from veilkey.evaluation.store import Key, Store
from veilkey.faces import Face, FaceFinder
from veilkey.recognizers import Recognizer
from veilkey.recognizers.store import SOURCES

# Raised whenever faces are found or embedded in another way, so that old entries in the store are not used.
FINDING = 1
EMBEDDING = 1
TONE = 1

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Plan:
    """What every photo is put through. `store`: folder of the store, None for the user's cache."""

    judges: tuple[str, ...]
    transforms: tuple[str, ...]
    detectors: tuple[str, ...]
    seed: int
    store: Path | None = None


@dataclass(frozen=True)
class Known:
    """A photo that was read. `digest` of its pixels, `box` of its largest face, `tone` in degrees (see groups.py)."""

    photo: Photo
    digest: str
    box: Box
    tone: float | None


@dataclass(frozen=True)
class Task:
    """Protect a photo and look at it. `full`: under every transform, by every detector, as a person; else as it is.
    `slow`: with the measures that take long."""

    case: Case
    known: Known
    full: bool
    slow: bool


@dataclass(frozen=True)
class Examined:
    """What became of a task. `digest` of the protected photo, `restored` of what its owner gets back; `failure` says
    why the method did not protect it, and then all else is empty."""

    photo: str
    digest: str = ""
    restored: str | None = None
    queries: int = 0
    seconds: float = 0.0
    visible: dict[str, float | None] | None = None
    slow: dict[str, float | None] | None = None
    detected: dict[str, bool] | None = None
    failure: str | None = None


def fingerprint(judge: str) -> str:
    """What names a recognizer's weights: the SHA-256 of its files."""
    if judge in SOURCES:
        return SOURCES[judge].sha256
    path = Path(judge.removeprefix("onnx:")).expanduser()
    data = b"".join(file.read_bytes() for file in (path, path.with_suffix(".toml")))
    return hashlib.sha256(data).hexdigest()


def embedding_key(judge_fingerprint: str, digest: str, view: str | None, box: Box) -> Key:
    """Where the embedding of a picture's face is kept: (D,) float32, or (0,) where no face was found at `box`.

    view: name of a transform that the picture went through, None for the picture as it is.
    """
    return "embedding", EMBEDDING, judge_fingerprint, *_faces_key(digest, view), tuple(box)


def _faces_key(digest: str, view: str | None) -> Key:
    return "faces", FINDING, digest, (view, transforms.VERSION) if view else None


class Bench:
    """A worker's tools, each loaded when it is first needed."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.store = Store(plan.store)
        self._judges: dict[str, Recognizer] = {}
        self._detectors: dict[str, detectors.Judge] = {}
        self._method: tuple[Case, Method] | None = None
        self._fingerprints = {name: fingerprint(name) for name in plan.judges}

    @cached_property
    def _finder(self) -> FaceFinder:
        return FaceFinder()

    def read(self, photo: Photo) -> Known | str:
        """What is known of a photo with its clean embeddings in the store, or why it cannot be used."""
        try:
            image = read_image(photo.path)
        except (VeilkeyError, OSError) as error:
            return " ".join(str(error).split())
        digest = digest_of(image)
        faces = self._faces(digest, None, lambda: image)
        if not faces:
            return f"{photo.name}: no face found"
        face = faces[0]
        self.embed(digest, None, face.box, lambda: image)
        tone = self.store.figures(("tone", TONE, FINDING, digest), lambda: skin_tone(image, face))
        return Known(photo, digest, face.box, tone)

    def examine(self, task: Task) -> Examined:
        """Protect, look, measure."""
        known, case = task.known, task.case
        sample = cache(lambda: self.sample(known))
        try:
            made = self.store.figures(
                ("protected", case.key, self.plan.seed, known.digest), lambda: self._protect(case, sample())
            )
        except VeilkeyError as error:
            return Examined(known.photo.name, failure=" ".join(str(error).split()))
        digest, restored = made["digest"], made["restored"]
        protected = cache(lambda: sample().image if digest == known.digest else self.store.picture(digest))
        for view in (None, *self.plan.transforms) if task.full else (None,):
            self.embed(digest, view, known.box, cache(lambda view=view: _through(view, protected())))
        if restored is not None and restored != known.digest:
            self.embed(restored, None, known.box, lambda: self.store.picture(restored))
        seen = slow = detected = None
        if task.full:
            pair = (known.digest, digest, known.box)
            seen = self.store.figures(
                ("visible", visible.VERSION, pair),
                lambda: visible.face_measures(sample().image, protected(), known.box),
            )
            detected = {name: self._detect(name, digest, known.box, protected) for name in self.plan.detectors}
        if task.slow:
            slow = self.store.figures(
                ("slow", visible.VERSION, pair),
                lambda: visible.slow_measures(sample().image, protected(), known.box),
            )
        return Examined(
            known.photo.name, digest, restored, made["queries"], made["seconds"], seen, slow, detected
        )  # fmt: skip

    def embed(self, digest: str, view: str | None, box: Box, image: Callable[[], np.ndarray]) -> None:
        """Put every judge's embedding of a picture into the store: of the largest face at `box`, the clean face's.

        digest: names the picture. view: name of a transform that it then went through, or None. image: gives what the
        judges see, (H, W, 3) uint8 RGB; asked for only where something is missing.
        """
        for name in self.plan.judges:

            def make(name: str = name) -> np.ndarray:
                face = self._face_at(box, self._faces(digest, view, image))
                if face is None:
                    return np.zeros(0, np.float32)
                return self._judge(name).embed_face(image(), face.landmarks)

            self.store.array(embedding_key(self._fingerprints[name], digest, view, box), make)

    def embedding(self, judge: str, known: Known, digest: str) -> np.ndarray:
        """A judge's embedding, from the store, of a picture made of a photo: (D,), or (0,) without a face."""
        return self.store.array(embedding_key(self._fingerprints[judge], digest, None, known.box))

    def crop(self, judge: str, known: Known, digest: str) -> np.ndarray:
        """What the judge looked at for that embedding: its aligned crop (S, S, 3) uint8 RGB."""
        found = self.look(known, digest)
        assert found is not None
        return self._judge(judge).align(found.image, found.face.landmarks)

    def sample(self, known: Known) -> Sample:
        """The photo itself."""
        image = read_image(known.photo.path)
        face = self._faces(known.digest, None, lambda: image)[0]
        return Sample(known.photo.person, known.photo.name, known.digest, image, face)

    def look(self, known: Known, digest: str) -> Sample | None:
        """The picture `digest` that was made of a photo, and the face in it; None where no face is found any more."""
        if digest == known.digest:
            return self.sample(known)
        image = self.store.picture(digest)
        face = self._face_at(known.box, self._faces(digest, None, lambda: image))
        return None if face is None else Sample(known.photo.person, known.photo.name, digest, image, face)

    def _protect(self, case: Case, sample: Sample) -> dict[str, Any]:
        if self._method is None or self._method[0] != case:
            # One method at a time: some hold hundreds of megabytes.
            self._method = case, case.load()
        words = f"{self.plan.seed} {case.key} {sample.digest}"
        random = np.random.default_rng(list(hashlib.sha256(words.encode()).digest()))
        start = time.perf_counter()
        outcome = self._method[1].protect(sample, random)
        seconds = time.perf_counter() - start
        for image in (outcome.image, outcome.restored):
            if image is not None and (image.shape != sample.image.shape or image.dtype != np.uint8):
                raise CheckFailed(f"{case.title} gave a picture of another kind: {image.shape} {image.dtype}")
        digest = digest_of(outcome.image)
        self.store.keep_picture(digest, outcome.image)
        restored = None
        if outcome.restored is not None:
            restored = digest_of(outcome.restored)
            if restored != sample.digest:
                self.store.keep_picture(restored, outcome.restored)
        return {"digest": digest, "restored": restored, "queries": outcome.queries, "seconds": round(seconds, 3)}

    def _faces(self, digest: str, view: str | None, image: Callable[[], np.ndarray]) -> list[Face]:
        """All faces, the largest first."""

        def find() -> np.ndarray:
            rows = [np.concatenate([face.box, face.landmarks.ravel()]) for face in self._finder.find(image())]
            return np.array(rows).reshape(-1, 4 + 136)

        rows = self.store.array(_faces_key(digest, view), find)
        boxes = rows[:, :4].astype(int).tolist()
        return [Face((x, y, w, h), row[4:].reshape(68, 2)) for (x, y, w, h), row in zip(boxes, rows, strict=True)]

    @staticmethod
    def _face_at(box: Box, faces: list[Face]) -> Face | None:
        return next((face for face in faces if detectors.overlaps(face.box, box)[0]), None)

    def _judge(self, name: str) -> Recognizer:
        if name not in self._judges:
            self._judges[name] = recognizers.get(name)
        return self._judges[name]

    def _detect(self, name: str, digest: str, box: Box, image: Callable[[], np.ndarray]) -> bool:
        def boxes() -> np.ndarray:
            if name not in self._detectors:
                self._detectors[name] = detectors.get(name)
            return self._detectors[name].boxes(image())

        found = self.store.array(("boxes", name, detectors.kind(name).version, digest), boxes)
        return bool(detectors.overlaps(found, box).any())


def _through(view: str | None, image: np.ndarray) -> np.ndarray:
    return transforms.get(view)(image) if view else image
