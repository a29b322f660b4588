"""The top of the page: what was measured, how to read it, and the headline table."""

from collections.abc import Sequence

from veilkey.evaluation.page.cells import ATTACKED, DIGITS, cell, counted
from veilkey.evaluation.page.html import Child, Element, Lines, bullets, element, section, table
from veilkey.evaluation.page.select import FAR, Report, Row, attacks, match, methods_and_references, title


def opening(report: Report) -> Element:
    """Title, and what was measured on what."""
    data, settings = report["data"], report["settings"]
    facts = [
        f"Photos: {settings['faces']}",
        f"{counted(data['probes'], 'probe')} and {counted(data['gallery'], 'gallery photo')} of "
        f"{counted(data['people'], 'person', 'people')}",
        f"veilkey {report['versions']['veilkey']}",
        f"seed {settings['seed']}",
    ]
    left = len(report["left_out"])
    warning = element("a", f"{counted(left, 'thing was', 'things were')} left out", href="#left-out") if left else None
    return element(
        "header",
        element("h1", "How well are these faces hidden?"),
        element("p", " · ".join(facts), [" · ", warning] if left else None, class_="facts"),
    )


def how_to_read(report: Report) -> Element:
    """What a reader must know of the figures, short."""
    return section(
        "how-to-read",
        "How to read this",
        bullets(
            [
                "A recognizer turns a face into numbers, and says “the same person” when the distance between two "
                "faces is below a threshold. The threshold is set on clean photos alone, so that one pair of different "
                f"people in a thousand matches by mistake (FAR {FAR}).",
                "The match rate is the share of protected photos that still match clean photos of the same person. "
                "Lower is better hidden. The row “nothing” shows what there is to hide.",
                "Under each value: the interval of 95 % and n, the number of photos or pairs. Photos of one person are "
                "alike, so people are drawn, not photos; where all or none count, the interval is Wilson's.",
                [
                    element("span", ATTACKED, class_="mark"),
                    " on a coloured cell: the method worked against this very recognizer. Without it: the recognizer "
                    "was not known to the method. Expect the latter of recognizers that you do not know.",
                ],
                "SSIM (1: the same), FLIP (0: the same) and SSIMULACRA2 (100: the same) say how visible a change is on "
                "the face. Compare them with the everyday changes below the methods.",
                "This page shows photos of faces: treat it as you treat the photos.",
            ]
        ),
    )


def headline(report: Report) -> Element | None:
    """Match rate of every method by every recognizer, and what a person sees."""
    methods, references = methods_and_references(report)
    if not methods and not references:
        return None
    judges = list(report["judges"])
    detectors = report["settings"]["detectors"][:1]
    columns = ["", *judges, "SSIM", "FLIP", "SSIMULACRA2", *(f"found by {name}" for name in detectors)]
    above = [(f"still match at FAR {FAR}", len(judges))] if judges else []
    return section(
        "headline",
        "Who is still recognized",
        table(
            [
                f"Share of protected probes that match the clean gallery of their person at FAR {FAR}; ",
                element("span", ATTACKED, class_="mark"),
                " attacked. The rows at the end are everyday changes, for comparison.",
            ],
            columns,
            _lines(methods, judges, detectors),
            _lines(references, judges, detectors),
            above=[*above, ("face box", 3), *([("", len(detectors))] if detectors else [])] if judges else [],
        ),
    )


def _lines(rows: Sequence[Row], judges: Sequence[str], detectors: Sequence[str]) -> Lines:
    lines: Lines = []
    for row in rows:
        seen, found = row.get("visible") or {}, row.get("detected") or {}
        lines.append(
            [
                _name(row),
                *(cell(match(row, judge), attacked=attacks(row, judge)) for judge in judges),
                *(cell(seen.get(name), DIGITS.get(name, 3)) for name in ("ssim", "flip", "ssimulacra2")),
                *(cell(found.get(name)) for name in detectors),
            ]
        )
    return lines


def _name(row: Row) -> list[Child]:
    failed = element("small", f"{row['failed']} of {row['photos'] + row['failed']} failed") if row["failed"] else None
    return [title(row), failed]
