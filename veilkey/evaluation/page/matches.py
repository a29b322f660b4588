"""More on who is recognized: left-out recognizers, transforms, both directions, trackers, groups, and all figures."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from veilkey.evaluation.groups import GREY, ITA_LIMITS, SIZE_LIMITS
from veilkey.evaluation.page.cells import NOTHING, cell, counted, number, words, words_head
from veilkey.evaluation.page.html import Child, Element, element, paragraph, section, table
from veilkey.evaluation.page.select import (
    FAR,
    Report,
    Row,
    attacks,
    full_title,
    judged,
    left_out_pairs,
    main_rows,
    match,
    methods_and_references,
    title,
)

GROUPS = [name for _, name in ITA_LIMITS] + [GREY] + [name for _, name in reversed(SIZE_LIMITS)]
KINDS = {"tone": "skin tone", "size": "face size"}
CLASSIFIERS = {"logistic": "logistic regression", "neighbours": "nearest neighbours", "network": "fine-tuned network"}


def leave_one_out(report: Report) -> Element | None:
    """Match rate when a recognizer was not attacked beside that when it was."""
    target = report["settings"]["target"]
    pairs = [(full, spared) for full, spared in left_out_pairs(report) if any(spared.values())]
    if not pairs:
        return None
    lines: list[list[Child]] = []
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
    """Protected photos as probes, as gallery, and on both sides; and restored ones."""

    def lines(row: Row, judge: str) -> list[Child]:
        restored = judged(row, judge, "restored")
        exact = None if restored is None else ("exactly as clean" if restored["exact"] else "not as clean")
        hit = attacks(row, judge)
        return [
            cell(match(row, judge), attacked=hit),
            cell(judged(row, judge, "gallery", "match", FAR), attacked=hit),
            cell(judged(row, judge, "gallery", "rank1"), attacked=hit),
            cell(judged(row, judge, "linked", FAR), attacked=hit),
            cell(judged(row, judge, "restored", "match", FAR), note=exact),
        ]

    return _by_judge(
        report,
        "directions",
        "Both directions",
        "Evasion: a protected probe against the clean gallery. Cloaking: a clean probe against a gallery of protected "
        "photos, as when a tracker collected those. Linked: two protected photos of one person against each other, at "
        "the threshold for pairs of photos. Restored: what comes back with the key, which must match as clean photos "
        "do.",
        f"Match rates at FAR {FAR} by {{}}; rank-1: the own gallery is the nearest. A dash: not measured.",
        ["match", "match", "rank-1", "match", "match"],
        lines,
        above=[("evasion", 1), ("cloaking", 2), ("linked", 1), ("restored", 1)],
    )


def trackers(report: Report) -> Element | None:
    """Classifiers that were trained on protected photos."""
    lines: list[list[Child]] = []
    for judge in report["judges"]:
        for row in main_rows(report):
            trained, hit = judged(row, judge, "tracker"), attacks(row, judge)
            if trained:
                cells = (
                    [cell(trained["clean"].get(name)), cell(trained["protected"].get(name), attacked=hit)]
                    for name in CLASSIFIERS
                )
                lines.append([title(row), words(judge), *(each for pair in cells for each in pair)])
    if not lines:
        return None
    return section(
        "trackers",
        "A tracker that trains",
        paragraph(
            "Classifiers are fitted on protected photos of some people among clean photos of the others, and then "
            "shown clean photos of these people. “Clean” is what they identify when nobody is protected: the "
            "difference is what protection takes from a tracker."
        ),
        table(
            "Share of clean probes that are given to the right person.",
            ["", words_head("recognizer"), *(side for _ in CLASSIFIERS for side in ("clean", "protected"))],
            lines,
            above=[("", 1), *((name, 2) for name in CLASSIFIERS.values())],
        ),
    )


def groups(report: Report) -> Element | None:
    """The worst group beside the mean, and all groups."""
    judges, rows = list(report["judges"]), methods_and_references(report)[0]
    if not any(judged(row, judge, "groups") for row in rows for judge in judges):
        return None
    lines: list[list[Child]] = []
    for row in rows:
        cells: list[Child] = [title(row)]
        for judge in judges:
            worst, hit = judged(row, judge, "groups", "worst"), attacks(row, judge)
            cells += [cell(match(row, judge), attacked=hit), cell(worst, attacked=hit, note=_group(worst))]
        lines.append(cells)
    return section(
        "groups",
        "Who is protected worst",
        paragraph(
            "A mean can hide whom a method fails. Photos are grouped by an estimate of skin tone (the typology angle, "
            "which sees light and camera, too) and by the size of the face; the worst is of the groups with at least "
            "10 photos."
        ),
        table(
            f"Match rate at FAR {FAR}: of all probes, and of the worst group.",
            ["", *(kind for _ in judges for kind in ("all", "worst group"))],
            lines,
            above=[(judge, 2) for judge in judges],
        ),
        [_fold(f"All groups, by {judge}", _all_groups(rows, judge)) for judge in judges],
    )


def _group(worst: dict[str, Any] | None) -> str | None:
    return f"{KINDS[worst['kind']]}: {worst['group']}" if worst else None


def _all_groups(rows: Sequence[Row], judge: str) -> Element | None:
    found = [(row, judged(row, judge, "groups")) for row in rows]
    found = [(row, groups) for row, groups in found if groups]
    columns = [
        (kind, name)
        for kind in KINDS
        for name in sorted({name for _, groups in found for name in groups.get(kind) or {}}, key=_order)
    ]
    if not columns:
        return None
    lines: list[list[Child]] = [
        [
            title(row),
            *(cell((groups.get(kind) or {}).get(name), attacked=attacks(row, judge)) for kind, name in columns),
        ]
        for row, groups in found
    ]
    above = [(label, sum(kind == each for each, _ in columns)) for kind, label in KINDS.items()]
    return table(
        f"Match rate at FAR {FAR} by {judge}.",
        ["", *(name for _, name in columns)],
        lines,
        above=[(label, count) for label, count in above if count],
    )


def _order(group: str) -> int:
    return GROUPS.index(group) if group in GROUPS else len(GROUPS)


def attacks_on_the_secret(report: Report) -> Element | None:
    """What somebody gets back who has the code and the weights, but no key."""
    found = report.get("attacks")
    if not found:
        return None
    lines = [
        [
            each["title"],
            words(each["method"]),
            words(each["judge"]),
            cell(each["before"]),
            cell(each["after"]),
            words(each["note"] or ""),
        ]
        for each in found
    ]
    return section(
        "attacks",
        "Attacks on the secret",
        paragraph(
            "Everybody has the program and its weights; only the key is secret. Each attack works on protected photos "
            "without it. An attack succeeds as far as the match rate rises."
        ),
        table(
            f"Match rate at FAR {FAR} before and after each attack.",
            ["", words_head("method"), words_head("recognizer"), "before", "after", words_head("note")],
            lines,
        ),
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
        [_fold(judge, _all_of(report, rows, judge)) for judge in report["judges"]],
    )


def _all_of(report: Report, rows: Sequence[Row], judge: str) -> Element:
    fars = list(report["judges"][judge]["thresholds"])
    lines: list[list[Child]] = []
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
    columns: Iterable[str],
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
        made.append(_fold(judge, shown, opened=place == 0))
    return section(name, heading, paragraph(intro), made)


def _fold(summary: str, content: Element | None, opened: bool = False) -> Element | None:
    """Something that a reader opens."""
    if content is None:
        return None
    return element("details", element("summary", summary), content, **({"open": ""} if opened else {}))
