"""scripts/plot_frontier.py: every figure of the report is drawn, where the axes say."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "plot_frontier.py"
SVG = "{http://www.w3.org/2000/svg}"
# By SSIM of the face box: what matches as the photo is, and at half the size.
STRENGTHS = {"clean": (1.0, 0.9, 0.8), "light": (0.99, 0.5, 0.7), "strong": (0.96, 0.0, 0.1)}


def row(name: str, ssim: float, whole: float, half: float) -> dict[str, Any]:
    def figure(value: float) -> dict[str, float]:
        return {"value": value, "low": max(0.0, value - 0.1), "high": min(1.0, value + 0.1)}

    views = {view: {"match": {"0.001": figure(value)}} for view, value in (("none", whole), ("half", half))}
    clean = name == "clean"
    return {
        "method": "none" if clean else f"veilkey-{name}",
        "own": not clean,
        "attacked": [] if clean else ["dlib", "sface"],
        "visible": {"ssim": figure(ssim)},
        "judges": {judge: {"views": views} for judge in ("dlib", "sface")},
    }


def draw(attacks: list[dict[str, Any]], folder: Path) -> ElementTree.Element:
    other = {**row("light", 0.97, 0.2, 0.2), "method": "bar", "own": False}
    rows = [other, *(row(name, *figures) for name, figures in STRENGTHS.items())]
    target = ["dlib", "sface"]
    report = {"judges": target, "settings": {"target": target}, "rows": rows, "attacks": attacks}
    (folder / "report.json").write_text(json.dumps(report))
    subprocess.run([sys.executable, SCRIPT, folder / "report.json", "-o", folder / "frontier.svg"], check=True)
    return ElementTree.parse(folder / "frontier.svg").getroot()


@pytest.fixture(scope="module")
def drawing(tmp_path_factory: pytest.TempPathFactory) -> ElementTree.Element:
    return draw([], tmp_path_factory.mktemp("frontier"))


def heights(drawing: ElementTree.Element, judge: int, dashed: bool) -> list[float]:
    """Of a recognizer's line, from its left end to its right one, as shares of the way from 0 to 1."""
    ticks = {text.text: float(text.attrib["y"]) for text in drawing.iter(f"{SVG}text")}
    lines = [line for line in drawing.iter(f"{SVG}polyline") if (line.attrib["stroke-dasharray"] != "none") == dashed]
    points = [point.split(",") for point in lines[judge].attrib["points"].split()]
    bottom, top = ticks["0"] - 4, ticks["1"] - 4
    assert [float(x) for x, _ in points] == sorted(float(x) for x, _ in points)
    return [(bottom - float(y)) / (bottom - top) for _, y in points]


@pytest.mark.parametrize("judge", [0, 1])
def test_lines_go_through_the_figures(drawing: ElementTree.Element, judge: int) -> None:
    """And through no other method's."""
    assert heights(drawing, judge, dashed=False) == pytest.approx([0.0, 0.5, 0.9], abs=0.01)
    assert heights(drawing, judge, dashed=True) == pytest.approx([0.1, 0.7, 0.8], abs=0.01)


def test_after_a_purifier_where_one_was_trained(tmp_path: Path) -> None:
    def attack(name: str, row: int, judge: str, value: float | None) -> dict[str, Any]:
        return {"attack": name, "row": row, "judge": judge, "after": value if value is None else {"value": value}}

    attacks = [
        attack("purify", 2, "dlib", 0.6),
        attack("purify", 3, "dlib", 0.3),
        attack("purify", 2, "sface", 0.4),
        attack("purify", 3, "sface", None),
        attack("subtract", 3, "dlib", 0.9),
    ]
    drawing = draw(attacks, tmp_path)
    assert heights(drawing, 0, dashed=False) == pytest.approx([0.0, 0.5, 0.9], abs=0.01)
    assert heights(drawing, 0, dashed=True) == pytest.approx([0.3, 0.6], abs=0.01)
    assert heights(drawing, 1, dashed=True) == pytest.approx([0.4], abs=0.01)


def test_it_says_which_line_is_whose(drawing: ElementTree.Element) -> None:
    said = [text.text for text in drawing.iter(f"{SVG}text")]
    assert "dlib" in said and "sface" in said and "clean" in said
