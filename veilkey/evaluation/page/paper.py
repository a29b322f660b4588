"""Tables 2 and 3 of Wang, Bai, Sun, Liu, "Privacy protection based on mask template", with our figures."""

import re

from veilkey.evaluation.page.cells import cell, words, words_head
from veilkey.evaluation.page.html import Child, Element, Lines, element, paragraph, section, table
from veilkey.evaluation.page.select import (
    Report,
    attacks,
    full_title,
    judged,
    methods_and_references,
    superposed_rows,
    title,
)

MERIT = ("T_o", "F_c", "T_r", "r_s")


def merit(report: Report) -> Element | None:
    """Table 2: methods by recognizers; Table 3: recognizers superposed."""
    judges = list(report["judges"])
    rows = [row for row in methods_and_references(report)[0] if row.get("judges")]
    if not rows or not judges:
        return None
    second: Lines = [
        [
            title(row),
            *(
                cell(judged(row, judge, "merit", name), attacked=attacks(row, judge))
                for judge in judges
                for name in MERIT
            ),
        ]
        for row in rows
    ]
    third: Lines = [
        [
            f"{len(row['attacked'])}",
            words(full_title(row)),
            *(
                cell(judged(row, judge, "merit", name), attacked=attacks(row, judge))
                for judge in judges
                for name in ("F_c", "r_s")
            ),
        ]
        for row in superposed_rows(report)
    ]
    superposed = report["settings"]["superpose"] and third
    return section(
        "paper",
        "The paper's tables 2 and 3",
        paragraph(
            _symbols(
                "T_o: share of original probes identified; F_c: share of protected probes misidentified; T_r: share "
                "identified after restoring; r_s = F_c / (1 + T_o − F_c), which can exceed 1. Identified means that "
                "the own gallery is the nearest: no threshold is involved."
            )
        ),
        table(
            "Table 2: methods compared.",
            ["", *(_symbols(name) for _ in judges for name in MERIT)],
            second,
            above=[(judge, len(MERIT)) for judge in judges],
        ),
        table(
            "Table 3: templates of 1, 2, … recognizers superposed.",
            ["attacked", words_head(""), *(_symbols(name) for _ in judges for name in ("F_c", "r_s"))],
            third,
            above=[("", 1), *((judge, 2) for judge in judges)],
        )
        if superposed
        else None,
    )


def _symbols(text: str) -> list[Child]:
    """Text in which T_o and its like are set as in the paper."""
    return [_symbol(part) if part in MERIT else part for part in re.split(r"\b([TFr]_[ocrs])\b", text)]


def _symbol(name: str) -> Element:
    letter, below = name.split("_")
    return element("i", letter, element("sub", below))
