"""Plot match rate against SSIM, from the report of `veilkey evaluate` on veilkey's strengths, for README.

    veilkey evaluate FACES --method veilkey-light --method veilkey-standard --method veilkey-strong -o runs/strengths
    python scripts/plot_frontier.py runs/strengths/report.json -o frontier.svg

A line for each recognizer: the share of probes that still match at FAR 1e-3, with its interval, at each strength and
where nothing is changed. Hollow marks, dashed: what an attacker's purifier makes of the same photos, where the report
has that attack, else the photos at half the size. At most five recognizers, the report's first, as more lines could not
be told apart.
"""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import click

from veilkey.evaluation.page.charts import BEST_SSIM, SHARE
from veilkey.evaluation.page.html import Element, element
from veilkey.evaluation.page.select import CLEAN, FAR, main_rows, match
from veilkey.evaluation.page.svg import HEIGHT, LEFT, WIDTH, Axis, Chart, Style

LEAST_SSIM = 0.955
TICKS = [(0.96, "0.96"), (0.98, "0.98"), (0.99, "0.99"), (BEST_SSIM, "clean")]
ROW = 18
# The page's own, for one background: a picture in a README does not follow light and dark.
COLOURS = {"vermillion": "#d55e00", "blue": "#0072b2", "green": "#009e73", "purple": "#cc79a7", "sky": "#56b4e9"}
STYLE = """
text { font: 11.5px system-ui, sans-serif; fill: #1b1e23; } .label { font-size: 12px; fill: #5a6270; }
.grid { stroke: #d8dce2; } .line { fill: none; } .interval { opacity: .7; } .hollow { fill: #fff; stroke-width: 1.5; }
"""


def plot(report: dict[str, Any]) -> Element:
    """The drawing, with a legend under it."""
    rows = [row for row in main_rows(report) if row["own"] or row["method"] == CLEAN]
    rows.sort(key=lambda row: row["visible"]["ssim"]["value"])
    chart = Chart(
        f"Share that matches at FAR {FAR} against SSIM, by recognizer",
        Axis("SSIM of the face box", LEAST_SSIM, BEST_SSIM, TICKS, lambda ssim: -math.log(1 - ssim)),
        Axis(f"share that matches at FAR {FAR}", 0, 1, SHARE),
    )
    styles = {
        judge: Style(colour, shape=n) for n, (judge, colour) in enumerate(zip(report["judges"], COLOURS, strict=False))
    }
    purified = any(one["attack"] == "purify" for one in report["attacks"])
    for judge, style in styles.items():
        afterwards = [_purified(report, row, judge) if purified else match(row, judge, "half") for row in rows]
        plain = [match(row, judge) for row in rows]
        for figures, look in ((afterwards, replace(style, dash=1, hollow=True)), (plain, style)):
            shown = [
                (min(row["visible"]["ssim"]["value"], BEST_SSIM), figure)
                for row, figure in zip(rows, figures, strict=True)
                if figure
            ]
            chart.line([ssim for ssim, _ in shown], [figure["value"] for _, figure in shown], look, 1.2)
            for ssim, figure in shown:
                chart.mark(ssim, figure["value"], look, *(() if look.hollow else (figure["low"], figure["high"])))
    drawing, height = chart.drawing(), HEIGHT + ROW * len(styles) + 10
    for number, (judge, style) in enumerate(styles.items()):
        y = HEIGHT + ROW * number + 10
        drawing.extend([style.line(f"{LEFT},{y} {LEFT + 30},{y}"), style.mark(LEFT + 15, y)])
        drawing.append(element("text", judge, x=LEFT + 40, y=y + 4))
    colours = "".join(
        f".{name} {{ stroke: {colour}; }} .filled.{name} {{ fill: {colour}; stroke: none; }}\n"
        for name, colour in COLOURS.items()
    )
    drawing.insert(0, element("style", STYLE + colours))
    drawing.insert(1, element("rect", width="100%", height="100%", fill="#fff"))
    drawing.set("viewBox", f"0 0 {WIDTH} {height}")
    drawing.set("width", f"{1.5 * WIDTH:g}")
    drawing.set("height", f"{1.5 * height:g}")
    drawing.set("xmlns", "http://www.w3.org/2000/svg")
    return drawing


def _purified(report: dict[str, Any], row: dict[str, Any], judge: str) -> dict[str, Any] | None:
    """The match rate of a row's photos after the attack `purify`, where it was tried on them."""
    for one in report["attacks"]:
        if one["attack"] == "purify" and one["judge"] == judge and report["rows"][one["row"]] is row:
            return one["after"]
    return None


@click.command()
@click.argument("report", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True)
def main(report: Path, output: Path) -> None:
    ElementTree.ElementTree(plot(json.loads(report.read_text()))).write(output, encoding="utf-8")


if __name__ == "__main__":
    main()
