"""Whom a method protects worst: groups of photos by skin tone and face size."""

from collections.abc import Sequence
from typing import Any

from veilkey.evaluation.groups import GREY, ITA_LIMITS, LEAST, SIZE_LIMITS
from veilkey.evaluation.page.cells import cell
from veilkey.evaluation.page.html import Child, Element, Lines, fold, paragraph, section, table
from veilkey.evaluation.page.select import FAR, Report, Row, attacks, judged, match, methods_and_references, title

GROUPS = [name for _, name in ITA_LIMITS] + [GREY] + [name for _, name in reversed(SIZE_LIMITS)]
KINDS = {"tone": "skin tone", "size": "face size"}


def groups(report: Report) -> Element | None:
    """The worst group beside the mean, and all groups."""
    judges, rows = list(report["judges"]), methods_and_references(report)[0]
    if not any(judged(row, judge, "groups") for row in rows for judge in judges):
        return None
    lines: Lines = []
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
            f"{LEAST} photos."
        ),
        table(
            f"Match rate at FAR {FAR}: of all probes, and of the worst group.",
            ["", *(kind for _ in judges for kind in ("all", "worst group"))],
            lines,
            above=[(judge, 2) for judge in judges],
        ),
        [fold(f"All groups, by {judge}", _all_groups(rows, judge)) for judge in judges],
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
    lines: Lines = [
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
