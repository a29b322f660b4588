"""What the figures stand on: recognizers and thresholds, what was left out, notes, settings and versions."""

from typing import Any

from veilkey.evaluation.page.cells import NOTHING, counted, words, words_head
from veilkey.evaluation.page.html import Element, Lines, bullets, element, paragraph, section, table
from veilkey.evaluation.page.select import Report


def thresholds(report: Report) -> Element | None:
    """Of each recognizer."""
    judges = report["judges"]
    if not judges:
        return None
    fars = list(dict.fromkeys(far for facts in judges.values() for far in facts["thresholds"]))
    lines: Lines = [
        [
            name,
            f"{facts['usual_threshold']:g}",
            f"{facts['impostor_pairs']:,}",
            *(_distance(facts["thresholds"].get(far)) for far in fars),
            f"{facts['stranger_pairs']:,}",
            *(_distance(facts["pair_thresholds"].get(far)) for far in fars),
        ]
        for name, facts in judges.items()
    ]
    columns = ["pairs", *(f"FAR {far}" for far in fars)]
    return section(
        "thresholds",
        "Recognizers and their thresholds",
        table(
            "Distances below which two faces match, from clean pairs of different people: a probe and the mean of a "
            "gallery, and two single photos.",
            ["", "usual threshold", *columns, *columns],
            lines,
            above=[("", 1), ("probe and gallery", len(columns)), ("two photos", len(columns))],
        ),
    )


def left_out(report: Report) -> Element:
    """Everything that was not measured, and notes."""
    missing = report["left_out"]
    listed = table(
        f"{counted(len(missing), 'thing was', 'things were')} not measured.",
        ["what", words_head("why")],
        [[each["what"], words(each["why"])] for each in missing],
    )
    return section(
        "left-out",
        "What was left out, and notes",
        listed if missing else paragraph("Nothing was left out."),
        bullets(report["notes"]) if report["notes"] else None,
    )


def made_with(report: Report) -> Element:
    """Settings, versions, digests."""
    versions, run = report["versions"], report["run"]
    settings = {name.replace("_", " "): _plain(value) for name, value in report["settings"].items()}
    facts = {
        **settings,
        "seconds": f"{run['seconds']:g} with {counted(run['jobs'], 'process', 'processes')}",
        "Python": versions["python"],
        "packages": ", ".join(f"{name} {version}" for name, version in versions["packages"].items()) or NOTHING,
        **{f"weights of {name}": digest for name, digest in versions["recognizers"].items()},
    }
    terms = [[element("dt", name), element("dd", value)] for name, value in facts.items()]
    return section(
        "made-with",
        "Settings and versions",
        element("dl", terms),
        paragraph("Digests of all photos are in report.json."),
    )


def _distance(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.4f}"


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return NOTHING if value is None else str(value)
