"""The curves: match rate against threshold, DET, match rate against SSIM, and the plane of embeddings."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

from veilkey.evaluation.page.cells import counted
from veilkey.evaluation.page.html import Element, element, paragraph, section
from veilkey.evaluation.page.select import CLEAN, FAR, Report, Row, judged, main_rows, match, shown_rows, title
from veilkey.evaluation.page.svg import PLOT, SHAPES, Axis, Chart, Style, even_ticks

# Classes of style.py. Veilkey has a colour of its own; everyday changes are grey, nothing is as dark as letters.
OWN = "vermillion"
OTHERS = ("blue", "green", "purple", "sky", "orange")
PEOPLE = (OWN, *OTHERS)
INK, GREY = "ink", "grey"
FALSE_MATCH_TICKS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.5)
MISSED_TICKS = (0.005, 0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98, 0.995)
SSIM_TICKS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
# A change that nobody sees is infinitely far on the axis of SSIM: it is drawn here.
BEST_SSIM = 0.997
SHARE = [(share / 5, f"{share / 5:g}") for share in range(6)]


def styles(report: Report) -> dict[str, Style]:
    """For every method, how it is drawn in all charts."""
    rows = {row["method"]: row for row in main_rows(report)}
    own = [name for name, row in rows.items() if row["own"]]
    references = [name for name, row in rows.items() if row["reference"]]
    others = [name for name in rows if name not in (*own, *references, CLEAN)]
    return {
        CLEAN: Style(INK, shape=3),
        **{name: Style(OWN, place, place) for place, name in enumerate(own)},
        **{name: Style(GREY, place, place, hollow=True) for place, name in enumerate(references)},
        **{
            name: Style(OTHERS[place % len(OTHERS)], place // len(OTHERS), place // len(OTHERS))
            for place, name in enumerate(others)
        },
    }


def curves(report: Report) -> Element | None:
    """Match rate against threshold, and DET, by every judge."""
    rows = [row for _, row in shown_rows(report) if not row["reference"] and row.get("judges")]
    if not rows or not report["judges"]:
        return None
    look, data = styles(report), report["data"]
    photos = f"{counted(data['probes'], 'probe')} of {counted(data['people'], 'person', 'people')}"
    return section(
        "curves",
        "The choice of the threshold",
        paragraph(
            "First: the share of probes whose distance to their own gallery is below each threshold; the upright line "
            "is the headline's threshold, the thin grey line the share of clean pairs of different people that match "
            "by mistake. Second: the share of probes that do not match, for each share of mistakes (a DET curve, both "
            "axes stretched as for normal distributions); higher is better hidden, and at the upper edge nothing "
            f"matches. {photos}."
        ),
        _legend([(look[row["method"]], title(row)) for row in rows], line=True, mark=False),
        [
            _pair(judge, _threshold_chart(report, judge, rows, look), _det_chart(judge, rows, look))
            for judge in report["judges"]
        ],
    )


def _pair(judge: str, *charts: Element) -> list[Element]:
    return [element("h3", judge), element("div", charts, class_="charts")]


def _threshold_chart(report: Report, judge: str, rows: Sequence[Row], look: dict[str, Style]) -> Element:
    drawn = [(row, judged(row, judge, "views", "none", "curve")) for row in rows]
    drawn = [(row, curve) for row, curve in drawn if curve]
    last = max((curve["threshold"][-1] for _, curve in drawn), default=1.0)
    chart = Chart(
        f"Match rate against the threshold, by {judge}",
        Axis("threshold (distance)", 0, last, even_ticks(0, last)),
        Axis("share that matches", 0, 1, SHARE),
    )
    threshold = report["judges"][judge]["thresholds"].get(FAR)
    if threshold is not None:
        chart.rule(threshold, f"FAR {FAR}")
    for _, curve in drawn[:1]:
        chart.line(curve["threshold"], curve["far"], Style(GREY), 1)
    for row, curve in drawn:
        chart.line(curve["threshold"], curve["match"], look[row["method"]])
    return chart.drawing()


def _det_chart(judge: str, rows: Sequence[Row], look: dict[str, Style]) -> Element:
    drawn = [(row, judged(row, judge, "views", "none", "det")) for row in rows]
    drawn = [(row, det) for row, det in drawn if det]
    first = min((det["far"][0] for _, det in drawn), default=FALSE_MATCH_TICKS[2])
    low = max([tick for tick in FALSE_MATCH_TICKS[:-2] if tick <= first * 1.001], default=FALSE_MATCH_TICKS[0])
    high = FALSE_MATCH_TICKS[-1]
    probit = NormalDist().inv_cdf
    chart = Chart(
        f"Detection error tradeoff, by {judge}",
        Axis("clean pairs of strangers that match (FAR)", low, high, _ticks(FALSE_MATCH_TICKS, low, high), probit),
        Axis("probes that do not match", MISSED_TICKS[0], MISSED_TICKS[-1], _ticks(MISSED_TICKS), probit),
    )
    for row, det in drawn:
        inside = [(far, missed) for far, missed in zip(det["far"], det["fnmr"], strict=True) if low <= far <= high]
        chart.line([far for far, _ in inside], [missed for _, missed in inside], look[row["method"]])
    return chart.drawing()


def strengths(report: Report) -> Element | None:
    """Match rate against SSIM: every main row a mark, those of one method with several budgets joined, ours joined."""
    rows = [row for row in main_rows(report) if row.get("visible", {}).get("ssim") and row.get("judges")]
    if not rows or not report["judges"]:
        return None
    look = styles(report)
    names = {row["method"]: row["title"] for row in rows}
    return section(
        "strengths",
        "Match rate against what a person sees",
        paragraph(
            "Each mark is a method at one strength: how alike the face box still is (mean SSIM, further right is less "
            f"visible) and the share of probes that match at FAR {FAR}, with its interval. Down and to the right is "
            "best. Everyday changes are hollow and grey. Strengths of one method are joined."
        ),
        _legend([(look[method], name) for method, name in names.items()], line=False, mark=True),
        element("div", [_strength_figure(judge, rows, look) for judge in report["judges"]], class_="charts"),
    )


def _strength_figure(judge: str, rows: Sequence[Row], look: dict[str, Style]) -> Element:
    points = [
        (row, row["visible"]["ssim"]["value"], figure)
        for row in rows
        if (figure := match(row, judge)) and None not in (row["visible"]["ssim"]["value"], figure["value"])
    ]
    least = min([ssim for _, ssim, _ in points], default=0.9)
    low = max([tick for tick in SSIM_TICKS[:5] if tick <= least], default=SSIM_TICKS[0])
    chart = Chart(
        f"Match rate against SSIM, by {judge}",
        # Even steps of the logarithm of what is missing to 1.
        Axis("SSIM of the face box", low, BEST_SSIM, _ticks(SSIM_TICKS, low), lambda ssim: -math.log(1 - ssim)),
        Axis(f"share that matches at FAR {FAR}", 0, 1, SHARE),
    )
    for family in dict.fromkeys(_family(row) for row, _, _ in points):
        joined = sorted((ssim, figure["value"]) for row, ssim, figure in points if _family(row) == family)
        if len(joined) > 1:
            colour = next(look[row["method"]].colour for row, _, _ in points if _family(row) == family)
            chart.line([ssim for ssim, _ in joined], [value for _, value in joined], Style(colour), 1.2)
    for row, ssim, figure in points:
        chart.mark(ssim, figure["value"], look[row["method"]], figure["low"], figure["high"])
    return element("div", element("h3", judge), chart.drawing())


def _family(row: Row) -> str:
    return OWN if row["own"] else row["method"]


def embedding_plane(report: Report) -> Element | None:
    """Embeddings before and after on their principal plane, as in the paper's Fig. 15."""
    plane = report["plane"]
    if not plane or not plane["points"]:
        return None
    points, row = plane["points"], report["rows"][plane["row"]]
    look = [
        (Style(PEOPLE[place % len(PEOPLE)], shape=place // len(PEOPLE) % len(SHAPES)), name)
        for place, name in enumerate(plane["people"])
    ]
    shares = [f"{100 * share:.0f} %" for share in plane["explained"]]
    return section(
        "plane",
        "Where protection moves the photos of a person",
        paragraph(
            f"Embeddings by {plane['judge']} of {counted(len(points), 'probe')} of "
            f"{counted(len(plane['people']), 'person', 'people')} on the plane in which the clean ones differ most "
            f"(principal components, {shares[0]} and {shares[1]} of their variance). Filled: before; hollow: after "
            f"{title(row)}; joined: the same photo. Before, a person's photos lie together; after, they should lie "
            "neither there nor together. Drawn as in the paper's Fig. 15."
        ),
        _legend(look, line=False, mark=True),
        element("div", _plane_chart(points, [style for style, _ in look]), class_="charts wide"),
    )


def _plane_chart(points: Sequence[dict[str, Any]], look: Sequence[Style]) -> Element:
    ends = []
    for which in (0, 1):
        values = [point[side][which] for point in points for side in ("before", "after")]
        ends.append((min(values), max(values)))
    # One unit is as long across as up: distances in the drawing mean something.
    unit = max((high - low) / length for (low, high), length in zip(ends, PLOT, strict=True)) * 1.1 or 0.01
    axes = []
    for (low, high), length, name in zip(ends, PLOT, ("first", "second"), strict=True):
        middle, half = (low + high) / 2, unit * length / 2
        ticks = even_ticks(middle - half, middle + half)
        axes.append(Axis(f"{name} principal component", middle - half, middle + half, ticks))
    chart = Chart("Embeddings before and after protection", *axes)
    for point in points:
        (x1, y1), (x2, y2) = point["before"], point["after"]
        chart.line([x1, x2], [y1, y2], look[point["person"]], 0.6)
    for point in points:
        style = look[point["person"]]
        for side, drawn in (("after", Style(style.colour, shape=style.shape, hollow=True)), ("before", style)):
            x, y = point[side]
            chart.mark(x, y, drawn)
    return chart.drawing()


def _legend(entries: Sequence[tuple[Style, str]], line: bool, mark: bool) -> Element:
    items = [element("li", style.sample(line, mark), element("span", name)) for style, name in entries]
    return element("ul", items, class_="legend")


def _ticks(values: Sequence[float], low: float = 0.0, high: float = 1.0) -> list[tuple[float, str]]:
    return [(value, f"{value:g}") for value in values if low <= value <= high]
