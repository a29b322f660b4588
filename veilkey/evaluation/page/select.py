"""Which rows of the report belong together."""

from collections.abc import Iterator
from typing import Any

from veilkey.evaluation import tables
from veilkey.evaluation.tables import FAR

Report = dict[str, Any]
Row = dict[str, Any]

CLEAN = "none"


def main_rows(report: Report) -> list[Row]:
    """Rows that attack all targets or nobody: each method once a budget."""
    return [row for row in report["rows"] if _is_main(report, row)]


def methods_and_references(report: Report) -> tuple[list[Row], list[Row]]:
    """Main rows, everyday changes apart."""
    rows = main_rows(report)
    return [row for row in rows if not row["reference"]], [row for row in rows if row["reference"]]


def shown_rows(report: Report) -> list[tuple[int, Row]]:
    """Main rows with the first budget or none, for pictures and curves; with their numbers in the report."""
    first = [None, *report["settings"]["budgets"][:1]]
    return [
        (place, row) for place, row in enumerate(report["rows"]) if _is_main(report, row) and row["budget"] in first
    ]


def _is_main(report: Report, row: Row) -> bool:
    return row["attacked"] in ([], report["settings"]["target"])


def judged(row: Row | None, judge: str, *path: str) -> Any:
    """What a judge says of a row, or None where it says nothing."""
    found: Any = ((row or {}).get("judges") or {}).get(judge)
    for name in path:
        found = found.get(name) if found else None
    return found


def match(row: Row | None, judge: str, view: str = "none") -> dict[str, Any] | None:
    """The headline's figure: match rate at FAR 1e-3."""
    return judged(row, judge, "views", view, "match", FAR)


def attacks(row: Row, judge: str) -> bool:
    """Whether the row's method worked against this judge."""
    return judge in row["attacked"]


def left_out_pairs(report: Report) -> Iterator[tuple[Row, dict[str, Row | None]]]:
    """Rows that attack all targets, each with, for every target, the row of the same method that spared it."""
    target = report["settings"]["target"]
    for full in main_rows(report):
        if full["attacked"] and len(target) > 1:
            same = [row for row in report["rows"] if (row["method"], row["budget"]) == (full["method"], full["budget"])]
            rest = {judge: [name for name in target if name != judge] for judge in target}
            spared = {
                judge: next((row for row in same if row["attacked"] == names), None) for judge, names in rest.items()
            }
            yield full, spared


def superposed_rows(report: Report) -> list[Row]:
    """Veilkey against the first 1, 2, ... targets."""
    target = report["settings"]["target"]
    prefixes = [target[:count] for count in range(1, len(target) + 1)]
    return [row for prefix in prefixes for row in report["rows"] if row["own"] and row["attacked"] == prefix]


def title(row: Row) -> str:
    """What tables call a main row."""
    return tables.title(row, attacked=False)


def full_title(row: Row) -> str:
    """What tables call any row: with whom it attacks."""
    return tables.title(row)
