"""Attacks on the secret: each works where it should, on methods that are weak on purpose, and veilkey's photos stay.

The weak method adds one pattern to every face; whoever knows some pairs knows it.
"""

import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from keys.payload import to_bytes
from veilkey import api, recognizers
from veilkey.carriers import Picture, Pixels
from veilkey.errors import UsageError
from veilkey.evaluation import attacks, measured, methods, tables, transforms
from veilkey.evaluation.attacks import average, purify, subtract
from veilkey.evaluation.attacks.base import Attack, Field
from veilkey.evaluation.attacks.canonical import add, to_canonical
from veilkey.evaluation.attacks.each_photo import PhotoAttack, Victim
from veilkey.evaluation.attacks.others import Others, find_others
from veilkey.evaluation.attacks.run import run_attacks
from veilkey.evaluation.cases import make_case
from veilkey.evaluation.measured import Measured, measure
from veilkey.evaluation.methods import Method, Outcome
from veilkey.evaluation.photos import Photos, read_photos
from veilkey.evaluation.pool import Workers, workers
from veilkey.evaluation.protocol import Photo, Protocol
from veilkey.evaluation.run import Request, evaluate
from veilkey.evaluation.sample import Sample, digest_of, read_image
from veilkey.evaluation.store import Store
from veilkey.evaluation.work import Known, Plan
from veilkey.faces import FaceFinder
from veilkey.protector import Settings

PEOPLE = 10
PAIRS = 12
EPOCHS, STEPS = 3, 4
FAR = "0.001"


class Noise(Method):
    """Adds other noise each time."""

    name = title = "noise"

    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        noise = random.normal(0, 12, sample.image.shape)
        return Outcome(np.clip(np.rint(sample.image + noise), 0, 255).astype(np.uint8))


class OnePattern(Method):
    """Adds the same coarse pattern to every face."""

    name = title = "one-pattern"

    def protect(self, sample: Sample, random: np.random.Generator) -> Outcome:
        signs = np.random.default_rng(7).choice(np.array([-1, 1], np.float32), (5, 5, 1))
        pattern = cv2.resize(np.repeat(signs, 3, 2), (256, 256), interpolation=cv2.INTER_CUBIC)
        return Outcome(add(sample.image, to_canonical(sample.face), 30 * pattern))


@dataclass(frozen=True)
class Ground:
    """Six people of `train`: case 0 is nothing, case 1 the weak method; the rest of `train` are the others."""

    measured: Measured
    others: Others
    pool: Workers

    def field(self, method: str) -> Field:
        row = [case.method for case in self.measured.cases].index(method)
        return Field(self.measured, row, self.measured.protected(row), ("dlib",), self.others, self.pool)

    def attack(self, name: str, method: str = "one-pattern") -> list[dict[str, Any]]:
        found, left_out = run_attacks([name], [method], ("dlib",), self.measured, self.others, self.pool)
        assert left_out == []
        return found


@pytest.fixture(scope="module")
def ground(shared_faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    store = tmp_path_factory.mktemp("store")
    folder = shared_faces / "train"
    people = sorted(path.name for path in folder.iterdir())[:PEOPLE]
    files = [
        [Photo(name, f"{name}/{file.name}", file) for file in sorted((folder / name).iterdir())] for name in people
    ]
    protocol = Protocol(tuple(each[0] for each in files), tuple(each[-1] for each in files))
    module = ModuleType("veilkey.evaluation.methods.one_pattern")
    module.OnePattern = OnePattern  # type: ignore[attr-defined]
    plan = Plan(("dlib",), (), (), 0, store)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, module.__name__, module)
        patch.setitem(methods._METHODS, "one-pattern", "one_pattern:OnePattern")
        patch.setattr(measured, "SLOW_SAMPLE", 0)
        cases = [make_case(name, ("dlib",), 0.97) for name in ("none", "one-pattern")]
        with workers(plan, 1) as pool:
            photos = read_photos(protocol, pool)
            found = measure(cases, photos, ("dlib",), pool, lambda case: False, Store(store))
            yield Ground(found, find_others(folder, None, photos, plan, 1), pool)


def photo_attack(name: str) -> PhotoAttack:
    attack = attacks.get(name)
    assert isinstance(attack, PhotoAttack)
    return attack


def test_registry() -> None:
    """Every attack has a name in the table, and says whose idea it is."""
    package = importlib.import_module("veilkey.evaluation.attacks")
    for module in pkgutil.iter_modules(package.__path__):
        if module.name != "purifier":
            importlib.import_module(f"{package.__name__}.{module.name}")
    kinds = {kind for base in (Attack, PhotoAttack) for kind in base.__subclasses__()} - {PhotoAttack}
    assert {kind.name for kind in kinds} == set(attacks.names())
    for name in attacks.names():
        attack = attacks.get(name)
        assert attack.name == name
        text = type(attack).__doc__ or ""
        assert len(text) > 150 and (re.search(r"\b(1[89]|20)\d\d\b", text) or name == "regenerate")
    with pytest.raises(UsageError, match="no attack is called 'magic'; there are regenerate, "):
        attacks.get("magic")


def test_subtract_brings_back_one_pattern(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subtract, "PAIRS", PAIRS)
    (entry,) = ground.attack("subtract")
    (clean,) = ground.attack("re-enrol", "none")
    rates = [figure["value"] for figure in (entry["before"], entry["after"], clean["before"])]
    assert rates[0] + 0.2 < rates[1] and rates[2] - 0.15 < rates[1], rates
    assert entry["before"]["n"] == PEOPLE and entry["before"]["interval"] in ("bootstrap", "wilson")
    assert entry["note"] == f"from {PAIRS} photos of {PAIRS} other people"
    assert (entry["method"], entry["judge"], entry["attacked"], entry["row"]) == ("one-pattern", "dlib", False, 1)
    # Galleries that gain what they have stay what they are.
    assert clean["before"] == clean["after"]


def test_transform_equals_the_transform(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transforms, "_TRANSFORMS", {name: transforms.get(name) for name in ("half", "grey")})
    found = {entry["title"]: entry["after"]["value"] for entry in ground.attack("transform")}
    assert list(found) == [f"transform: {name}" for name in transforms.names()]
    (base,), finder, judge = ground.measured.grounds, FaceFinder(), recognizers.get("dlib")
    for name in transforms.names():
        hits = []
        for number, each in enumerate(ground.measured.probes[1]):
            image = transforms.get(name)(ground.measured.store.picture(each.digest))
            seen = judge.embed_face(image, finder.find(image)[0].landmarks)
            template = base.templates[base.owners[number]]
            hits.append(judge.distance(seen, template) < base.thresholds[FAR])
        assert found[f"transform: {name}"] == pytest.approx(np.mean(hits))


def test_what_cannot_be_tried_is_left_out(ground: Ground) -> None:
    found, left_out = run_attacks(
        ["other-key"], ["one-pattern", "none"], ("dlib",), ground.measured, ground.others, ground.pool
    )
    assert found == []
    assert [(each.what, each.why) for each in left_out] == [
        (f"attack other-key on {name}", "the method issues no keys") for name in ("nothing", "one-pattern")
    ]
    few = replace(ground.others, held_out=frozenset(ground.measured.photos.names[:4]))
    found, left_out = run_attacks(["re-enrol"], ["none"], ("dlib",), ground.measured, few, ground.pool)
    assert found[0]["before"]["n"] == PEOPLE - 4 and left_out[0].what == "attacks on 4 people"
    with pytest.raises(UsageError, match="no attack is called 'magic'"):
        evaluate(Request(Path(), attacks=("magic",), methods=("bar",), judges=("dlib",)))


@pytest.fixture(scope="module")
def victim(protected: SimpleNamespace, close_up: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Victim:
    """The portrait, protected by veilkey; known is a protected close-up of the same person."""
    finder = FaceFinder()

    def sample(image: np.ndarray) -> Sample:
        return Sample("Eileen Collins", "portrait", digest_of(image), image, finder.find(image)[0])

    bright = cv2.convertScaleAbs(close_up, alpha=1.1)
    changed, _, _ = api.protector("dlib").protect(Pixels(Picture(bright, "RGB")), Settings())
    return Victim(
        case=make_case("veilkey-standard", ("dlib",), 0.973),
        protected=sample(protected.image),
        original=lambda: sample(protected.original),
        attacked=("dlib",),
        known=(sample(bright), sample(changed.picture.rgb())),
        learned=None,
        store=Store(tmp_path_factory.mktemp("keys")),
    )


def apart(victim: Victim, image: np.ndarray) -> float:
    """Mean grey levels, over the face box, between a picture and the original."""
    x, y, width, height = victim.protected.face.box
    area = slice(y, y + height), slice(x, x + width)
    return float(np.abs(image[area].astype(float) - victim.original().image[area]).mean())


@pytest.mark.parametrize("name", ["regenerate", "known-pair", "reattack"])
def test_veilkey_is_not_undone(name: str, victim: Victim) -> None:
    """Not one of them gets nearer to the photo than what everybody sees already."""
    made = photo_attack(name).attack(victim, np.random.default_rng(0))
    assert set(made) == set(photo_attack(name).titles)
    for image in made.values():
        assert image.shape == victim.protected.image.shape and image.dtype == np.uint8
        assert not np.array_equal(image, victim.protected.image)
        assert apart(victim, image) > 0.95 * apart(victim, victim.protected.image) > 0


def test_known_pair_opens_a_reused_pad(victim: Victim) -> None:
    """Where the photo's own pair is known, both its change and its XOR plane lead back."""
    own = replace(victim, known=(replace(victim.original(), face=victim.protected.face), victim.protected))
    made = photo_attack("known-pair").attack(own, np.random.default_rng(0))
    assert apart(own, made["residual"]) < 0.25 * apart(own, own.protected.image)
    assert apart(own, made["xor"]) < 0.01


def test_another_key_is_refused_and_its_lattice_useless(victim: Victim, protected: SimpleNamespace) -> None:
    attack = photo_attack("other-key")
    made = attack.attack(victim, np.random.default_rng(0))
    assert np.array_equal(made["restore"], victim.protected.image)
    assert apart(victim, made["force"]) > 0.95 * apart(victim, victim.protected.image)
    assert attack.note("restore", ["a", "b"], ["a", "c"]) == "refused 1 of 2 times"
    # The right key opens it, and so does its lattice where the face is found in the same place.
    assert victim.known is not None
    key = ("issued key 2", victim.case.key, "the right one")
    victim.store.array(key, lambda: np.frombuffer(to_bytes(protected.payload), np.uint8))
    own = replace(
        victim,
        protected=replace(victim.protected, face=victim.original().face),
        known=(replace(victim.known[0], digest="the right one"), victim.known[1]),
    )
    made = attack.attack(own, np.random.default_rng(0))
    assert np.array_equal(made["restore"], protected.original)
    assert np.array_equal(made["force"], protected.original)


def test_average_cancels_what_differs(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a method does to a photo anew each time is gone from the mean of its versions."""
    monkeypatch.setattr(average, "MANY", 16)
    known = ground.measured.photos.probes[0]
    image = read_image(known.photo.path)
    sample = Sample("", "", known.digest, image, FaceFinder().find(image)[0])
    monkeypatch.setattr(average, "load", lambda case: Noise((), 1.0))
    random = np.random.default_rng(0)
    one = Noise((), 1.0).protect(sample, random).image
    victim = Victim(
        ground.measured.cases[1], replace(sample, image=one), lambda: sample, ("dlib",), None, None,
        ground.measured.store,
    )  # fmt: skip
    made = photo_attack("average").attack(victim, random)
    error = {name: np.abs(each.astype(float) - image).mean() for name, each in {**made, "one": one}.items()}
    assert error["published"] < 0.4 * error["one"]
    assert error["averaged"] == pytest.approx(error["one"], rel=0.15)
    assert error["once"] > 1.2 * error["one"]


class TestPurifier:
    """A network that learns takes the pattern off; one that does not is not held for resistance."""

    @pytest.fixture(autouse=True)
    def few_pairs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from veilkey.evaluation.attacks import purifier

        monkeypatch.setattr(purify, "PAIRS", PAIRS)
        monkeypatch.setattr(purifier, "BATCH", 8)
        monkeypatch.setattr(purifier, "EPOCHS", EPOCHS)
        monkeypatch.setattr(purifier, "STEPS", STEPS)
        monkeypatch.setattr(purifier, "RATE", 4e-3)

    def test_one_that_learned_nothing_proves_nothing(self, ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
        from veilkey.evaluation.attacks import purifier

        monkeypatch.setattr(purify, "PAIRS", PAIRS - 1)
        monkeypatch.setattr(purifier, "RATE", 0.0)
        monkeypatch.setattr(purifier, "EPOCHS", 1)
        (entry,) = ground.attack("purify")
        assert entry["after"] is None and entry["before"]["n"] == PEOPLE
        assert entry["note"].startswith("proves nothing, the network did not learn: trained on 11 photos of 11 other")
        row = {"title": "x", "budget": None, "attacked": []}
        shown = tables.attacks({"judges": {"dlib": {}}, "attacks": [entry], "rows": [{}, row]})
        assert "proves nothing" in shown and shown.splitlines()[2].endswith("-")

    def test_one_that_learns(self, ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from veilkey.evaluation.attacks import purifier

        pairs = ground.others.pairs(ground.measured.cases[1], PAIRS, purify.SIDE)
        assert {pair.person for pair in pairs}.isdisjoint(ground.measured.photos.names)
        assert {each.shape for pair in pairs for each in (pair.original, pair.protected)} == {(128, 128, 3)}
        looks = [purifier.build_look("dlib")]
        photos, originals = purifier.inputs_of(pairs, ("dlib",), looks)
        for seen, originally in ((photos, originals), purifier.with_mirrored(photos, originals)):
            assert purifier.cosines(originally.astype(np.float32), seen, looks).min() > 0.999
        network = purifier.build_purifier()
        assert 0.9e6 < network.count_params() < 1.1e6
        before = photos["protected"].astype(np.float32)
        assert np.array_equal(network(before), before)
        losses = purifier.fit(purifier.Training(network, looks), photos, originals, tmp_path)
        assert len(losses) == EPOCHS and losses[-1] < 0.8 * losses[0]
        after = np.asarray(network(before))
        assert after.shape == before.shape and np.abs(after - before).mean() > 0.5
        # Started again, it has nothing left to do.
        again = purifier.build_purifier()
        assert purifier.fit(purifier.Training(again, looks), photos, originals, tmp_path) == []
        assert np.allclose(again(before), after, atol=1e-2)

        # What was learned is used as it is: the exported network makes what Keras makes.
        cosines = [purifier.cosines(images, photos, looks) for images in (before, after)]
        trained = purifier.Trained(network, *cosines, [pair.person for pair in pairs])
        monkeypatch.setattr(purifier, "train", lambda *_: trained)
        field = ground.field("one-pattern")
        learned = purify.Purify().learn(field)
        assert learned.works and re.search(r"rose from -?0\.\d\d \[.*\] to 0\.\d\d \[", learned.note), learned.note
        (result,) = purify.Purify().run(field)
        assert result.after is not None and len(result.after["dlib"]) == PEOPLE


def test_whose_photos_attackers_have(tmp_path: Path) -> None:
    """Of other people; never of those who are judged."""

    def write(folder: str, *people: str) -> None:
        for name in people:
            (tmp_path / folder / name).mkdir(parents=True)
            for number in range(3):
                (tmp_path / folder / name / f"{number}.jpg").touch()

    def photos(*people: str) -> Photos:
        known = [
            Known(Photo(name, f"{name}/{n}.jpg", tmp_path / "mine" / name / f"{n}.jpg"), "", (0, 0, 1, 1), None)
            for name in people
            for n in range(2)
        ]
        return Photos(people, tuple(known[::2]), tuple(known[1::2]), ())

    def people(others: Others) -> list[str]:
        return [photo.person for photo in others.photos]

    plan, mine = Plan((), (), (), 0), tmp_path / "mine"
    few, many = ("ann", "bob", "cyd"), tuple(f"p{number:02}" for number in range(12))
    write("mine", *few)
    alone = find_others(mine, None, photos(*few), plan, 1)
    assert alone.held_out == {"bob"} and people(alone) == ["bob", "bob"]
    write("mine", *many)
    assert people(find_others(mine, None, photos(*few), plan, 1)) == [*many] * 3
    write("train", "ann", *(f"t{name}" for name in many))
    beside = find_others(mine, None, photos(*few), plan, 1)
    assert beside.held_out == frozenset() and people(beside) == [f"t{name}" for name in many] * 3
    assert len(set(beside.photos)) == 36
    write("theirs", "bob", "zoe")
    assert set(people(find_others(mine, tmp_path / "theirs", photos(*few), plan, 1))) == {"zoe"}
    with pytest.raises(UsageError, match="holds no folders with photos of people who are not in the protocol"):
        find_others(mine, tmp_path / "nowhere", photos(*few), plan, 1)
