"""The report as text."""

from collections.abc import Iterable, Sequence
from typing import Any

Report = dict[str, Any]
FAR = "0.001"


def text(report: Report) -> str:
    """All tables that the report has something for."""
    parts = [headline(report), seen(report)]
    if report["settings"]["leave_one_out"]:
        parts.append(leave_one_out(report))
    parts += [one_another(report), table_2(report)]
    if report["settings"]["superpose"]:
        parts.append(table_3(report))
    if report["attacks"]:
        parts.append(attacks(report))
    return "\n\n".join(parts)


def headline(report: Report) -> str:
    """Match rate at FAR 1e-3 of every row by every judge; * where the judge was attacked."""
    judges = list(report["judges"])
    rows = [
        [
            title(row),
            *(_starred(row, judge, _judged(row, judge, "views", "none", "match", FAR)) for judge in judges),
            _value(row.get("visible", {}).get("ssim")),
            _value(row.get("detected", {}).get("yunet")),
        ]
        for row in report["rows"]
    ]
    data = report["data"]
    head = (
        f"Protected probes that still match at FAR 1e-3 ({data['probes']} probes, {data['people']} people; * attacked)"
    )
    return _table(head, ["", *judges, "SSIM", "found"], rows)


def seen(report: Report) -> str:
    """What a person sees of the face box."""
    names = (
        "ssim",
        "psnr",
        "flip",
        "ssimulacra2",
        "ciede_mean",
        "ciede_p99",
        "ssim_32",
        "ciede_32",
        "ssim_16",
        "ciede_16",
    )
    rows = [
        [title(row), *(_value(row["visible"].get(name), 3, interval=False) for name in names)]
        for row in report["rows"]
        if "visible" in row
    ]
    return _table("What a person sees of the face box (means)", ["", *names], rows)


def leave_one_out(report: Report) -> str:
    """For every method and judge: match rate when it was not attacked beside that when it was."""
    target = report["settings"]["target"]
    rows = []
    for full in report["rows"]:
        if full["attacked"] != target or "judges" not in full:
            continue
        cells = []
        for judge in target:
            rest = [name for name in target if name != judge]
            unseen = next((row for row in report["rows"] if _same(row, full) and row["attacked"] == rest), None)
            cells += [
                _value(_judged(unseen, judge, "views", "none", "match", FAR)) if unseen else "-",
                _value(_judged(full, judge, "views", "none", "match", FAR)),
            ]
        rows.append([title(full, attacked=False), *cells])
    columns = [f"{judge} {kind}" for judge in target for kind in ("unseen", "attacked")]
    return _table("Match rate at FAR 1e-3 by a recognizer that was left out, and attacked", ["", *columns], rows)


def one_another(report: Report) -> str:
    """Protected photos against each other, of one person and of two, and against people whom targets are mixed of."""
    judges, names = list(report["judges"]), ("linked", "strangers", "mixed")
    rows = [
        [title(row), *(_value(_judged(row, judge, name, FAR)) for judge in judges for name in names)]
        for row in report["rows"]
        if not row["reference"]
    ]
    columns = [f"{judge} {name}" for judge in judges for name in names]
    head = "Protected photos that match at FAR 1e-3: two of one person; of two; anybody whom targets are mixed of"
    return _table(head, ["", *columns], rows)


def table_2(report: Report) -> str:
    """The paper's Table 2: T_o, F_c, T_r, r_s of every method by every recognizer."""
    judges = list(report["judges"])
    rows = [
        [title(row), *(cell for judge in judges for cell in _merit(row, judge))]
        for row in report["rows"]
        if not row["reference"]
    ]
    columns = [f"{judge} {name}" for judge in judges for name in ("T_o", "F_c", "T_r", "r_s")]
    return _table("The paper's Table 2: identified by the nearest gallery", ["", *columns], rows)


def table_3(report: Report) -> str:
    """The paper's Table 3: templates of 1, 2, ... recognizers superposed; F_c and r_s by every judge."""
    target, judges = report["settings"]["target"], list(report["judges"])
    prefixes = [target[:count] for count in range(1, len(target) + 1)]
    rows = [
        [
            str(len(row["attacked"])),
            title(row),
            *(cell for judge in judges for cell in (_merit(row, judge)[1], _merit(row, judge)[3])),
        ]
        for prefix in prefixes
        for row in report["rows"]
        if row["own"] and row["attacked"] == prefix
    ]
    columns = [f"{judge} {name}" for judge in judges for name in ("F_c", "r_s")]
    return _table("The paper's Table 3: recognizers superposed", ["n", "", *columns], rows)


def attacks(report: Report) -> str:
    """Match rate at FAR 1e-3 before and after every attack, and what has to be known of it."""
    judges = list(report["judges"])
    tried: dict[tuple[int, str], dict[str, dict[str, Any]]] = {}
    for each in report["attacks"]:
        tried.setdefault((each["row"], each["title"]), {})[each["judge"]] = each
    rows = [
        [
            f"{title(report['rows'][row])}: {name}",
            *(_value(by[judge][when], interval=when == "after") for judge in judges for when in ("before", "after")),
        ]
        for (row, name), by in tried.items()
    ]
    columns = [f"{judge} {when}" for judge in judges for when in ("before", "after")]
    table = _table("Match rate at FAR 1e-3 before and after attacks on the secret", ["", *columns], rows)
    notes = dict.fromkeys(f"{each['title']}: {each['note']}" for each in report["attacks"] if each["note"])
    return "\n".join([table, *notes])


def title(row: dict[str, Any], attacked: bool = True) -> str:
    """What tables call a row: method, budget, and whom it attacks."""
    parts = [row["title"]]
    if row["budget"] is not None:
        parts.append(f"SSIM {row['budget']:g}")
    if attacked and row["attacked"]:
        parts.append(f"against {'+'.join(row['attacked'])}")
    return ", ".join(parts)


def _same(row: dict[str, Any], other: dict[str, Any]) -> bool:
    return (row["method"], row["budget"]) == (other["method"], other["budget"]) and "judges" in row


def _judged(row: dict[str, Any] | None, judge: str, *path: str) -> dict[str, Any] | None:
    found: Any = (row or {}).get("judges", {}).get(judge)
    for name in path:
        found = found.get(name) if found else None
    return found


def _merit(row: dict[str, Any], judge: str) -> list[str]:
    merit = _judged(row, judge, "merit") or {}
    return [_value(merit.get(name), 3, interval=False) for name in ("T_o", "F_c", "T_r", "r_s")]


def _starred(row: dict[str, Any], judge: str, figure: dict[str, Any] | None) -> str:
    return _value(figure) + ("*" if judge in row["attacked"] else "")


def _value(figure: dict[str, Any] | None, digits: int = 3, interval: bool = True) -> str:
    if figure is None or figure["value"] is None:
        return "-"
    shown = f"{figure['value']:.{digits}f}"
    return f"{shown} [{figure['low']:.{digits}f}, {figure['high']:.{digits}f}]" if interval else shown


def _table(head: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(columns), *map(list, rows)]
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    body = [
        "  ".join(
            [line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True))]
        )
        for line in lines
    ]
    return "\n".join([head, *body])
