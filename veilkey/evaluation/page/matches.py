"""More on who is recognized: left-out recognizers, transforms, both directions, and all figures."""

from collections.abc import Callable, Sequence

from veilkey.evaluation.page.cells import NOTHING, cell, counted, number
from veilkey.evaluation.page.html import Child, Element, Lines, fold, paragraph, section, table
from veilkey.evaluation.page.select import (
    FAR,
    Report,
    Row,
    attacks,
    full_title,
    judged,
    left_out_pairs,
    match,
    methods_and_references,
    title,
)


def leave_one_out(report: Report) -> Element | None:
    """Match rate when a recognizer was not attacked beside that when it was."""
    target = report["settings"]["target"]
    pairs = [(full, spared) for full, spared in left_out_pairs(report) if any(spared.values())]
    if not pairs:
        return None
    lines: Lines = []
    for full, spared in pairs:
        cells = ([cell(match(spared[judge], judge)), cell(match(full, judge), attacked=True)] for judge in target)
        lines.append([title(full), *(each for pair in cells for each in pair)])
    return section(
        "left-out-recognizers",
        "Recognizers that were not attacked",
        paragraph(
            "Each method was run again for every recognizer, against all targets but that one. “Not attacked” is what "
            "a recognizer still matches that the method has never seen; “attacked” is the headline's figure."
        ),
        table(
            f"Match rate at FAR {FAR} by a recognizer that was left out, beside that when all targets were attacked.",
            ["", *(kind for _ in target for kind in ("not attacked", "attacked"))],
            lines,
            above=[(judge, 2) for judge in target],
        ),
    )


def transforms(report: Report) -> Element | None:
    """Match rate after everyday changes to the protected photo, by each recognizer."""
    views = ["none", *report["settings"]["transforms"]]
    if len(views) == 1:
        return None

    def lines(row: Row, judge: str) -> list[Child]:
        return [cell(match(row, judge, view), attacked=attacks(row, judge)) for view in views]

    return _by_judge(
        report,
        "transforms",
        "After everyday changes to the protected photo",
        "Photos are compressed and resized on their way. A protection that a change takes off is none.",
        f"Match rate at FAR {FAR} by {{}}, of protected probes that went through a change.",
        ["as it is", *views[1:]],
        lines,
    )


def directions(report: Report) -> Element | None:
    """Protected photos as probes, as gallery, and on both sides; against those they were moved to; and restored."""

    def lines(row: Row, judge: str) -> list[Child]:
        restored = judged(row, judge, "restored")
        exact = None if restored is None else ("exactly as clean" if restored["exact"] else "not as clean")
        hit = attacks(row, judge)
        return [
            cell(match(row, judge), attacked=hit),
            cell(judged(row, judge, "gallery", "match", FAR), attacked=hit),
            cell(judged(row, judge, "gallery", "rank1"), attacked=hit),
            *(cell(judged(row, judge, name, FAR), attacked=hit) for name in ("linked", "strangers", "mixed")),
            cell(judged(row, judge, "restored", "match", FAR), note=exact),
        ]

    return _by_judge(
        report,
        "directions",
        "Both directions",
        "Evasion: a protected probe against the clean gallery. Cloaking: a clean probe against a gallery of protected "
        "photos, as when a tracker collected those. Linked: two protected photos of one person against each other, at "
        "the threshold for pairs of photos; strangers: two of different people. Mixed: a protected photo matches any "
        "of the real people of whom veilkey mixes the identities that it moves faces to; compare it with the row "
        "“nothing”, which shows how often a face resembles one of so many. Restored: what comes back with the key, "
        "which must match as clean photos do.",
        f"Match rates at FAR {FAR} by {{}}; rank-1: the own gallery is the nearest. A dash: not measured.",
        ["match", "match", "rank-1", "match", "match", "match", "match"],
        lines,
        above=[("evasion", 1), ("cloaking", 2), ("linked", 1), ("strangers", 1), ("mixed", 1), ("restored", 1)],
    )


def all_figures(report: Report) -> Element | None:
    """Every row by every recognizer: all FARs, rank-1, EER, distance, found."""
    rows = [row for row in report["rows"] if row.get("judges")]
    if not rows or not report["judges"]:
        return None
    return section(
        "all-figures",
        "All figures, by recognizer",
        paragraph(
            "Every run, those against fewer recognizers, too. Rank-1: the own gallery is the nearest. EER: equal error "
            "rate, of protected genuine pairs and clean impostors. Found: share in which a face was found to compare. "
            "Figures after each change of the photo are in report.json."
        ),
        [fold(judge, _all_of(report, rows, judge)) for judge in report["judges"]],
    )


def _all_of(report: Report, rows: Sequence[Row], judge: str) -> Element:
    fars = list(report["judges"][judge]["thresholds"])
    lines: Lines = []
    for row in rows:
        view, hit = judged(row, judge, "views", "none") or {}, attacks(row, judge)
        shares = [*((view.get("match") or {}).get(far) for far in fars), view.get("rank1"), view.get("eer")]
        distance = view.get("mean_distance")
        lines.append(
            [
                full_title(row),
                *(cell(figure, attacked=hit) for figure in shares),
                NOTHING if distance is None else number(distance),
                cell(view.get("found")),
            ]
        )
    return table(
        f"By {judge}; {counted(len(rows), 'run')}.",
        ["", *(f"match at FAR {far}" for far in fars), "rank-1", "EER", "mean distance", "found"],
        lines,
    )


def _by_judge(
    report: Report,
    name: str,
    heading: str,
    intro: str,
    caption: str,
    columns: Sequence[str],
    line: Callable[[Row, str], list[Child]],
    above: Sequence[tuple[str, int]] = (),
) -> Element | None:
    """A section with a table for each recognizer, of all main rows; the first is open."""
    groups = [[row for row in rows if row.get("judges")] for rows in methods_and_references(report)]
    if not any(groups):
        return None
    made = []
    for place, judge in enumerate(report["judges"]):
        bodies = [[[title(row), *line(row, judge)] for row in rows] for rows in groups]
        shown = table(caption.format(judge), ["", *columns], *bodies, above=above)
        made.append(fold(judge, shown, opened=place == 0))
    return section(name, heading, paragraph(intro), made)
