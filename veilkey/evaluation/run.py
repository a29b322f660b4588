"""The whole evaluation: photos in, one plain dictionary out, which is report.json and all that report.html draws.

The dictionary (a *figure* is {value, low, high, n, people, interval}: an interval of 95 %, the number of photos or
pairs and of people, and "bootstrap" or "wilson"; value is None where there is nothing to measure):

    run          seconds, jobs: this and the rows' seconds are all that differs between two runs of the same
    settings     what was asked for: faces, protocol (file names), methods, target, judges, transforms, detectors,
                 budgets, seed, leave_one_out, superpose, both_ways, attacks, attack_photos (folder name)
    versions     program, Python and packages; recognizers: name -> SHA-256 of the weights
    data         people, gallery, probes (counts), photos: name -> SHA-256 of the pixels
    left_out     [{what, why}], everything that was not measured
    notes        sentences that a reader of the figures needs
    judges       name -> usual_threshold, resolution (of thresholds), impostor_pairs, thresholds: FAR as text ->
                 distance, stranger_pairs, pair_thresholds (the same for two single photos)
    rows         a list, nothing and the references first; see below
    attacks      [{attack, title, row, method, judge, attacked, before, after, note}]: row is an index; attacked says
                 whether the row's method worked against the judge; before and after are figures, the match rate at FAR
                 1e-3 of the row's protected probes and of what the attack made of them; after is None where the attack
                 proves nothing, and note says why
    plane        {row, judge, people, explained, points: [{person, before: [x, y], after: [x, y]}]} or None
    grid         [{photo, original, rows: [{row, protected, difference}]}]: a few faces, PNG in base64; row is an index

A row:

    method, title, version, attacked (list), budget (least SSIM, or None), reference, own (booleans), photos, failed
    queries, seconds     figures, a photo
    visible              figures: ssim, psnr, ciede_mean, ciede_p99, flip, ssim_32, ciede_32, ssim_16, ciede_16 of the
                         face box; on a sample whole_ssim, whole_psnr, ... of the photo, and ssimulacra2 of the face box
    detected             detector -> figure: share of faces found
    restored_pixels      figure: share of photos that came back to the last bit, or None without a way back
    judges               name -> {
        attacked         whether the method worked against it
        views            "none" (as it is) and transforms -> {found, match: FAR -> figure, rank1, eer, mean_distance};
                         "none" also has curve: {threshold, match, far} and det: {far, fnmr}, lists
        merit            T_o, F_c, T_r, r_s: figures; T_r None without a way back
        restored         {match: FAR -> figure, exact: whether all distances are the clean ones} or None
        gallery          clean probes against protected galleries {match, rank1}, or None where not measured
        linked           FAR -> figure: pairs of protected photos of one person that match
        strangers        FAR -> figure: pairs of protected photos of two people that match
        mixed            FAR -> figure: protected probes that match any of the 200 real people of whom veilkey mixes
                         its targets; None for a judge of the user's own
        groups           far, tone: group -> figure, size: group -> figure, worst: {kind, group, ...figure} or None
        tracker          {clean: {...}, protected: {...}}, figures logistic, neighbours, network (for judges with a
                         port), share of clean probes identified; or None
    }
"""

import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from veilkey import recognizers
from veilkey._version import __version__
from veilkey.errors import MissingModel
from veilkey.evaluation import attacks, detectors, methods, transforms
from veilkey.evaluation.attacks.others import find_others
from veilkey.evaluation.attacks.run import DEFAULT_METHOD, run_attacks
from veilkey.evaluation.cases import Case, make_cases
from veilkey.evaluation.figures import LET_IN
from veilkey.evaluation.measured import Measured, measure
from veilkey.evaluation.methods import DEFAULT_SSIM
from veilkey.evaluation.photos import read_photos
from veilkey.evaluation.pool import workers
from veilkey.evaluation.protocol import LeftOut, read_protocol
from veilkey.evaluation.rows import make_rows
from veilkey.evaluation.show import grid, plane
from veilkey.evaluation.store import Store
from veilkey.evaluation.tracker import train_trackers
from veilkey.evaluation.work import Plan, fingerprint

PACKAGES = (
    "numpy", "opencv-python-headless", "onnxruntime", "dlib-bin", "scikit-image", "scikit-learn", "Pillow",
    "flip-evaluator", "ssimulacra2", "mtcnn", "tensorflow",
)  # fmt: skip
DEFAULT_TRANSFORMS = ("jpeg75", "half")
# MTCNN takes longer than the other three together and everything else that is done to a photo.
DEFAULT_DETECTORS = ("yunet", "hog", "centerface")


@dataclass(frozen=True)
class Request:
    """What to evaluate. Empty tuples mean: all methods, all recognizers that are installed, the default target.

    faces: folder of photos. budgets: least SSIM of the face box, for methods that keep to a budget. both_ways: protect
    the galleries for every row, else only for veilkey against all targets. attacks: names, or "all"; they are tried on
    `methods`, or on veilkey at standard strength where that is empty. attack_photos: folder of other people's photos,
    from which attackers learn; None for the folder `train` beside `faces`. store: folder of what was computed before,
    None for the user's cache.
    """

    faces: Path
    protocol: Path | None = None
    methods: tuple[str, ...] = ()
    judges: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    transforms: tuple[str, ...] = DEFAULT_TRANSFORMS
    detectors: tuple[str, ...] = DEFAULT_DETECTORS
    budgets: tuple[float, ...] = (DEFAULT_SSIM,)
    leave_one_out: bool = False
    superpose: bool = False
    both_ways: bool = False
    attacks: tuple[str, ...] = ()
    attack_photos: Path | None = None
    jobs: int = 1
    seed: int = 0
    store: Path | None = None


def evaluate(request: Request) -> dict[str, Any]:
    """Run everything; what an earlier run did is taken from the store.

    Raises:
        UsageError: a name is unknown, or the photos are too few.
        MissingModel: no recognizer is installed, or one that was asked for is not.
    """
    start = time.perf_counter()
    left_out: list[LeftOut] = []
    judges = _judges(request.judges, left_out)
    target = _target(request.target)
    names = request.methods or tuple(name for name in methods.names() if name != "none")
    cases = make_cases(names, target, request.budgets, request.leave_one_out, request.superpose)
    for name in request.transforms:
        transforms.get(name)
    tried = attacks.names() if "all" in request.attacks else tuple(dict.fromkeys(request.attacks))
    for name in tried:
        attacks.get(name)
    found = _detectors(request.detectors, left_out)
    protocol = read_protocol(request.faces, request.protocol)

    plan = Plan(judges, request.transforms, found, request.seed, request.store)
    with workers(plan, request.jobs) as pool:
        photos = read_photos(protocol, pool)

        def enrol(case: Case) -> bool:
            return not case.is_reference and (request.both_ways or (case.is_own and case.attacked == target))

        measured = measure(cases, photos, judges, pool, enrol, Store(request.store))
        rows = make_rows(measured, request.transforms)
        train_trackers(measured, rows, pool)
        brought_back: list[dict[str, Any]] = []
        if tried:
            others = find_others(request.faces, request.attack_photos, photos, plan, request.jobs)
            brought_back, not_tried = run_attacks(
                tried, request.methods or (DEFAULT_METHOD,), target, measured, others, pool
            )
            left_out += not_tried
    left_out += [*photos.left_out, *measured.failures()]
    return {
        "run": {"seconds": round(time.perf_counter() - start, 1), "jobs": request.jobs},
        "settings": {
            "faces": request.faces.name,
            "protocol": request.protocol.name if request.protocol else None,
            "methods": list(names),
            "target": list(target),
            "judges": list(judges),
            "transforms": list(request.transforms),
            "detectors": list(found),
            "budgets": list(request.budgets),
            "seed": request.seed,
            "leave_one_out": request.leave_one_out,
            "superpose": request.superpose,
            "both_ways": request.both_ways,
            "attacks": list(tried),
            "attack_photos": request.attack_photos.name if request.attack_photos else None,
        },
        "versions": _versions(judges),
        "data": {
            "people": len(photos.names),
            "gallery": len(photos.gallery),
            "probes": len(photos.probes),
            "photos": {known.photo.name: known.digest for known in (*photos.gallery, *photos.probes)},
        },
        "left_out": [{"what": each.what, "why": each.why} for each in left_out],
        "notes": _notes(measured, request.both_ways),
        "judges": {base.judge: base.facts() for base in measured.grounds},
        "rows": rows,
        "attacks": brought_back,
        "plane": plane(measured),
        "grid": grid(measured),
    }


def _judges(wanted: Sequence[str], left_out: list[LeftOut]) -> tuple[str, ...]:
    if wanted:
        # Asked for by name: missing ones end the run, with what to type.
        for name in wanted:
            recognizers.get(name)
        return tuple(dict.fromkeys(wanted))
    installed = tuple(name for name in recognizers.names() if recognizers.kind(name).is_available())
    for name in recognizers.names():
        if name not in installed:
            left_out.append(LeftOut(f"recognizer {name}", f"not installed: veilkey recognizers install {name}"))
    if not installed:
        raise MissingModel(
            "no recognizer is installed: veilkey recognizers install NAME; veilkey recognizers list names them"
        )
    return installed


def _target(wanted: Sequence[str]) -> tuple[str, ...]:
    target = tuple(dict.fromkeys(wanted or recognizers.targets("all")))
    for name in target:
        if not recognizers.kind(name).is_available():
            raise MissingModel(f"the recognizer {name} is not installed: veilkey recognizers install {name}")
    return target


def _detectors(wanted: Sequence[str], left_out: list[LeftOut]) -> tuple[str, ...]:
    kinds = {name: detectors.kind(name) for name in wanted}
    for name, kind in kinds.items():
        if not kind.is_available():
            left_out.append(LeftOut(f"detector {name}", f"not installed: {kind.install}"))
    return tuple(name for name, kind in kinds.items() if kind.is_available())


def _notes(measured: Measured, both_ways: bool) -> list[str]:
    notes = [
        "Thresholds come from pairs of clean photos of different people only.",
        "A face that is not found counts as not matching; `found` counts these.",
        "The EER holds protected genuine pairs against clean impostors.",
        "LPIPS is not measured: no package carries the weights of its backbone.",
        f"Whole-photo measures and SSIMULACRA2 are of {len(measured.slow_sample)} probes, spread evenly.",
    ]
    if not both_ways:
        notes.append(
            "Galleries were protected and trackers trained only for veilkey against all targets; --both-ways does it "
            "for every row."
        )
    for base in measured.grounds:
        for far in base.thresholds:
            if base.impostors.pairs * float(far) < LET_IN:
                notes.append(
                    f"{base.judge}: FAR {far} rests on {base.impostors.pairs} impostor pairs, fewer than {LET_IN} of "
                    "which are let in: read it as an estimate."
                )
    return notes


def _versions(judges: Sequence[str]) -> dict[str, Any]:
    packages = {}
    for name in PACKAGES:
        try:
            packages[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "veilkey": __version__,
        "python": platform.python_version(),
        "packages": packages,
        "recognizers": {name: fingerprint(name) for name in judges},
    }
