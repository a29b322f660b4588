"""The way there: find the faces, change them, make sure that it worked and can be undone, write the key's payload."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import cv2
import numpy as np

from keys.payload import FaceKey, Payload
from mask_template.grid import block_groups
from mask_template.network import load_tau, predict
from mask_template.randomness import SECRET_BYTES, derive, stream
from mask_template.template import Template, choose, fixed_point, mask_in_photo, superpose
from perturbation_gen import generator
from perturbation_gen.budget import STRENGTHS, grey
from perturbation_gen.conditions import gate_of, saliency
from perturbation_gen.lattice import expand, headroom, lattice_shape
from perturbation_gen.noise import draw_noise
from perturbation_gen.purifier import Purifier
from perturbation_gen.refine import Attacked, mute, refine
from perturbation_gen.scene import Scene, make_gate
from perturbation_gen.target import TARGET_WEIGHT, draw_mixture, load_space
from veilkey import recognizers
from veilkey.carriers import Carrier, Picture
from veilkey.carriers.noise import window
from veilkey.errors import CheckFailed, NoFace, UsageError
from veilkey.faces import CROP_SIZE, Face, FaceFinder, compose, crop, invert
from veilkey.faces.geometry import map_points, source_box
from veilkey.recognizers import Recognizer
from veilkey.recognizers.dlib_resnet import DlibByPort
from veilkey.recognizers.gradient import load_gradient, load_purifiers
from veilkey.report import FaceReport, report_face
from veilkey.restorer import take_off_all
from veilkey.thumbnail import make_thumbnail

# Faces up to so many photo pixels are refined as the file will show them, where the file's format quantizes. The
# residual of larger ones is so smooth that quantization takes little of it.
SETTLED = 600 * 600
# Steps end early when changed copies of the face are this much farther than the recognizer's usual threshold from the
# clean face, and this near (cosine) to the secret's identity.
LEAVE = 1.3
ARRIVE = 0.3
# Faces that are to match each other under a pseudonym come nearer to their identity, whose pull counts for more. It
# mixes more people than others do, so that it leans less on each of them.
MEET = 0.8
MEET_WEIGHT = 2.0
MEET_MIXED = 8
# How much of the generator's colour refinement starts from: tinted eyes and brows are what people notice first.
COLOUR = 0.25


AnyCarrier = TypeVar("AnyCarrier", bound=Carrier)


@dataclass(frozen=True)
class Settings:
    """How to protect.

    strength: a name in STRENGTHS. refine: gradient steps a face, 0 for the generator alone. noise: a name in
    `perturbation_gen.noise.KINDS`. faces: only these, counted from 1 by size. only, spared: photos of a
    person whose faces alone are protected, or are the only ones that are not. min_size: only faces at least this
    wide or high, in pixels. allow_no_face: a photo without a face passes unchanged. pseudonym: the secret (32 bytes)
    that draws the identity of the one face, as for all photos of that person; None for each face's own.
    """

    strength: str = "standard"
    refine: int = 20
    noise: str = "gaussian"
    faces: tuple[int, ...] | None = None
    only: Picture | None = None
    spared: Picture | None = None
    min_size: int = 0
    allow_no_face: bool = False
    pseudonym: bytes | None = None


class Protector:
    """Everything that protecting needs, loaded once: detector, networks, gradients, and the recognizers that judge."""

    def __init__(self, attacked: Sequence[str] | None = None, judges: Sequence[str] = ()) -> None:
        """`attacked`: names of the recognizers whose gradients are followed, None for all that are installed; they
        judge, and so do `judges`."""
        self._attacked = recognizers.targets("all") if attacked is None else tuple(attacked)
        self._finder = FaceFinder()
        self._gradients = {name: load_gradient(name) for name in self._attacked}
        self._judges = {name: self._judge(name) for name in dict.fromkeys((*self._attacked, *judges))}
        self._purifiers = load_purifiers()
        self._spaces = {name: load_space(name) for name in self._attacked}

    def _judge(self, name: str) -> Recognizer:
        # dlib's own network takes longer than all else that one pass does.
        return DlibByPort(self._gradients[name]) if name == "dlib" and name in self._attacked else recognizers.get(name)

    def protect(self, photo: AnyCarrier, settings: Settings) -> tuple[AnyCarrier, Payload, list[FaceReport]]:
        """The protected photo, what its key has to say, and a report for each face.

        Raises:
            NoFace: no face was found, or none that `settings` ask for.
            UsageError: there is no such strength, or several faces would get one pseudonym.
            CheckFailed: the protected photo does not restore exactly.
        """
        secret = secrets.token_bytes(SECRET_BYTES)
        wanted = self._wanted(photo.picture.rgb(), settings)
        if settings.pseudonym and len(wanted) > 1:
            raise UsageError(
                f"{len(wanted)} faces, and a pseudonym is one person's: choose one by --faces N, as `veilkey faces` "
                "numbers them, or by --only-matching PHOTO"
            )
        protected, keys, reports = photo, [], []
        for number, face in wanted:
            own = derive(secret, f"face {number}")
            protected, key, report = self._protect_face(photo.picture, protected, number, face, own, settings)
            keys.append(key)
            reports.append(report)
        shown = protected.picture.rgb()
        keys = [replace(key, thumbnail=make_thumbnail(shown[window(key.region)])) for key in keys]
        payload = Payload(
            width=photo.picture.width,
            height=photo.picture.height,
            mode=photo.picture.mode,
            kind=photo.kind,
            name="",
            modified=0,
            original_digest=photo.digest(),
            protected_digest=protected.digest(),
            secret=secret,
            recognizers=self._attacked,
            faces=tuple(keys),
            saved=b"",
            whole=True,
        )
        if take_off_all(protected, keys).picture.digest() != photo.picture.digest():
            raise CheckFailed("the protected photo does not restore exactly; nothing was written: please report this")
        return protected, payload, reports

    def _wanted(self, image: np.ndarray, settings: Settings) -> list[tuple[int, Face]]:
        """The faces to protect, each with its number."""
        faces = self._finder.find(image)
        if settings.strength not in STRENGTHS:
            raise UsageError(f"no strength is called {settings.strength!r}; there are {', '.join(STRENGTHS)}")
        if not faces:
            if settings.allow_no_face:
                return []
            raise NoFace("no face found: crop or enlarge the photo, or pass --allow-no-face to let it through")
        numbered = list(enumerate(faces, 1))
        if settings.faces is not None:
            for number in settings.faces:
                if not 1 <= number <= len(faces):
                    raise NoFace(f"there is no face {number}: {len(faces)} found, counted from 1 by size")
            return [numbered[number - 1] for number in sorted(set(settings.faces))]
        large = [(number, face) for number, face in numbered if max(face.box[2:]) >= settings.min_size]
        if not large and not settings.allow_no_face:
            raise NoFace(f"{len(faces)} face(s) found, none of {settings.min_size} pixels or more: lower --min-size")
        if settings.only is not None:
            chosen = [(number, face) for number, face in large if self._is_in(settings.only, image, face)]
            if not chosen:
                raise NoFace(f"none of {len(large)} face(s) matches the reference: name it by --faces")
            return chosen
        if settings.spared is not None:
            large = [(number, face) for number, face in large if not self._is_in(settings.spared, image, face)]
            if not large and not settings.allow_no_face:
                raise NoFace("every face matches the reference, so none is to be protected")
        return large

    def _is_in(self, reference: Picture, image: np.ndarray, face: Face) -> bool:
        """Whether the first recognizer takes a face for the largest one of a reference photo."""
        judge, shown = self._judges[self._attacked[0]], reference.rgb()
        known = self._finder.find(shown)
        if not known:
            raise NoFace("no face found in the reference photo: pass one that shows the person's face")
        pair = [judge.embed_face(shown, known[0].landmarks), judge.embed_face(image, face.landmarks)]
        return bool(judge.distance(*pair) < judge.threshold)

    def _protect_face(
        self, original: Picture, photo: AnyCarrier, number: int, face: Face, secret: bytes, settings: Settings
    ) -> tuple[AnyCarrier, FaceKey, FaceReport]:
        picture, budget = photo.picture, STRENGTHS[settings.strength]
        rgb = picture.rgb()
        clean = crop(rgb, face.transform)
        landmarks = map_points(face.transform, face.landmarks)
        template = self._template(clean, landmarks, secret)
        transform = fixed_point(face.transform)
        x0, y0, x1, y1 = source_box(face.transform, CROP_SIZE, picture.width, picture.height)
        region = (x0, y0, x1 - x0, y1 - y0)
        mask = mask_in_photo(template.blocks, transform, region)
        to_lattice = _to_lattice(region)
        scene = self._scene(original, photo, face, region, mask, to_lattice)
        attacked = self._attack(scene, face, to_lattice, secret, settings.pseudonym)
        residual = self._generate(clean, landmarks, template, face, attacked, scene, to_lattice, secret, settings)
        purifiers = [Purifier(gradient, _to_canvas(face, to_lattice)) for gradient in self._purifiers]
        taken, random = 0, stream(secret, "refine")
        while True:
            room = min(settings.refine, 2 * settings.refine - taken)
            residual, steps = refine(scene, residual, attacked, purifiers, budget, room, random)
            lattice, taken = scene.fit(residual, budget), taken + steps
            key = photo.admit(
                FaceKey(
                    number=number,
                    box=face.box,
                    region=region,
                    transform=transform,
                    blocks=template.blocks,
                    recognizer=template.recognizer,
                    group=template.group,
                    tau=template.tau,
                    lattice=lattice,
                    held=np.empty(0, np.uint32),
                )
            )
            protected = photo.put_on(key)
            report = report_face(rgb, protected.picture.rgb(), face, self._judges, self._attacked, taken)
            if taken >= 2 * settings.refine or not report.matched():
                return protected, key, report

    def _template(self, clean: np.ndarray, landmarks: np.ndarray, secret: bytes) -> Template:
        groups, looks = block_groups(landmarks), predict(clean)
        return superpose(
            [choose(looks[name], groups, load_tau(name), i, secret) for i, name in enumerate(self._attacked)]
        )

    def _scene(
        self,
        original: Picture,
        photo: Carrier,
        face: Face,
        region: tuple[int, int, int, int],
        mask: np.ndarray,
        to_lattice: np.ndarray,
    ) -> Scene:
        pixels = photo.picture.colour()[window(region)]
        rows, columns = lattice_shape(region[2], region[3])
        small = _shrink(pixels, (rows, columns))
        low, high = headroom(pixels, mask, (rows, columns))
        if original is not photo.picture:
            # Where noise of another face lies already, this one's must fit without it, too: they come off in any order.
            clean_low, clean_high = headroom(original.colour()[window(region)], mask, (rows, columns))
            low, high = np.maximum(low, clean_low), np.minimum(high, clean_high)
        x, y, width, height = face.box
        corners = map_points(to_lattice, np.array([[x - 0.5, y - 0.5], [x + width - 0.5, y + height - 0.5]]))
        (left, top), (right, bottom) = np.clip(np.rint(corners + 0.5), 0, [columns, rows]).astype(int)

        def settle(lattice: np.ndarray) -> np.ndarray:
            residual = expand(lattice.astype(np.int8), region[2], region[3]) * mask[..., None]
            return _shrink(photo.seen(region, residual).astype(np.float32), (rows, columns))

        return Scene(
            image=np.ascontiguousarray(np.broadcast_to(small, (rows, columns, 3)), np.float32),
            gate=make_gate(mask, (rows, columns)),
            low=low.astype(np.float32),
            high=high.astype(np.float32),
            box=(slice(top, bottom), slice(left, right)),
            settle=settle if photo.quantizes and mask.size <= SETTLED else None,
        )

    def _attack(
        self, scene: Scene, face: Face, to_lattice: np.ndarray, secret: bytes, pseudonym: bytes | None
    ) -> list[Attacked]:
        spaces = list(self._spaces.values())
        inputs, embeddings = [], []
        for name in self._attacked:
            judge = self._judges[name]
            inputs.append(compose(judge.transform(face.landmarks), invert(to_lattice)))
            seen = cv2.warpAffine(scene.image, inputs[-1], (judge.input_size, judge.input_size))
            embeddings.append(self._gradients[name].forward(seen))
        people = len(spaces[0].identities)
        mixture = draw_mixture(pseudonym, people, MEET_MIXED) if pseudonym else draw_mixture(secret, people)
        return [
            Attacked(
                gradient=self._gradients[name],
                space=space,
                to_input=to_input,
                size=self._judges[name].input_size,
                own_embedding=embedding,
                target=space.target(mixture),
                distance=self._judges[name].distance,
                leave=LEAVE * self._judges[name].threshold,
                arrive=MEET if pseudonym else ARRIVE,
                target_weight=MEET_WEIGHT if pseudonym else TARGET_WEIGHT,
                meets=bool(pseudonym),
            )
            for name, space, to_input, embedding in zip(self._attacked, spaces, inputs, embeddings, strict=True)
        ]

    def _generate(
        self,
        clean: np.ndarray,
        landmarks: np.ndarray,
        template: Template,
        face: Face,
        attacked: list[Attacked],
        scene: Scene,
        to_lattice: np.ndarray,
        secret: bytes,
        settings: Settings,
    ) -> np.ndarray:
        """Where to start from, on the lattice (h, w, C) float32."""
        to_photo = invert(face.transform)
        from_crop = [replace(one, to_input=compose(compose(one.to_input, to_lattice), to_photo)) for one in attacked]
        noise = draw_noise(secret, settings.noise, clean, landmarks)
        gate = gate_of(template.to_mask())
        total = generator.generate(clean, noise, saliency(clean, gate, from_crop), gate, self._attacked)
        height, width = scene.gate.shape[:2]
        to_canvas = _to_canvas(face, to_lattice)
        placed = cv2.warpAffine(total, to_canvas, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        if scene.low.shape[2] == 1:
            placed = grey(placed)
        return (mute(placed, COLOUR) if settings.refine else placed) * scene.gate


def _to_lattice(region: tuple[int, int, int, int]) -> np.ndarray:
    """Photo -> lattice, (2, 3)."""
    x, y, width, height = region
    rows, columns = lattice_shape(width, height)
    sx, sy = columns / width, rows / height
    return np.array([[sx, 0, (0.5 - x) * sx - 0.5], [0, sy, (0.5 - y) * sy - 0.5]])


def _to_canvas(face: Face, to_lattice: np.ndarray) -> np.ndarray:
    """Lattice -> the canonical crop at half its size, where generators and purifiers work, (2, 3)."""
    halve = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25]])
    return compose(halve, compose(face.transform, invert(to_lattice)))


def _shrink(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(H, W, C) at a lattice's resolution (h, w, C)."""
    return cv2.resize(pixels, shape[::-1], interpolation=cv2.INTER_AREA).reshape(*shape, -1)
