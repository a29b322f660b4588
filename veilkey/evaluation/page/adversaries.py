"""Those who work against the protection: trackers that train, and attacks on the secret."""

from veilkey.evaluation.page.cells import cell, words, words_head
from veilkey.evaluation.page.html import Element, Lines, paragraph, section, table
from veilkey.evaluation.page.select import FAR, Report, attacks, judged, main_rows, title

CLASSIFIERS = {"logistic": "logistic regression", "neighbours": "nearest neighbours", "network": "fine-tuned network"}


def trackers(report: Report) -> Element | None:
    """Classifiers that were trained on protected photos."""
    lines: Lines = []
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


def attacks_on_the_secret(report: Report) -> Element | None:
    """What somebody gets back who has the code and the weights, but no key."""
    found = report.get("attacks")
    if not found:
        return None
    lines: Lines = [
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
