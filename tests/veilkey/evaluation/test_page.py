"""report.html: whole, readable without anything else, true to the report, and safe whatever names say."""

import base64
import copy
import io
import json
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from veilkey.evaluation.page import render
from veilkey.evaluation.page.svg import BOTTOM, HEIGHT, LEFT, PLOT, WIDTH, Axis, even_ticks

from .conftest import write_protocol

FAR = "0.001"
VOID = {"meta", "img"}
HOSTILE = '</style></title><script>alert(1)</script><img src=x onerror=alert(1)> " onload="x\' &lt; {0} %s \udcff'


class Page(HTMLParser):
    """What a browser would make of the page, as far as the tests need it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[str] = []
        self.ids: list[str] = []
        # Of each table the rows, of each row the cells: (element, columns, value, text).
        self.tables: list[list[list[dict[str, Any]]]] = []
        self.heads = 0
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], "elements that are never closed"

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.tags.append((tag, given))
        if "id" in given:
            self.ids.append(given["id"])
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "thead":
            self.heads += 1
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            cell = {"tag": tag, "columns": int(given.get("colspan", 1)), "value": None, "text": "", **given}
            self.tables[-1][-1].append(cell)
        elif tag == "data":
            self.tables[-1][-1][-1]["value"] = float(given["value"])

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if "td" in self._open or "th" in self._open:
            self.tables[-1][-1][-1]["text"] += data

    def table(self, *names: str) -> list[list[dict[str, Any]]]:
        """The first table that has all these in its heads."""
        for rows in self.tables:
            heads = [cell["text"] for row in rows for cell in row if cell.get("scope") in ("col", "colgroup")]
            if all(name in heads for name in names):
                return rows
        raise AssertionError(f"no table with {names}")


def line(table: list[list[dict[str, Any]]], name: str) -> list[dict[str, Any]]:
    """Cells of the row with this head, without the head."""
    return next(row[1:] for row in table if row[0]["text"] == name)


def renamed(report: dict[str, Any], ending: str) -> dict[str, Any]:
    """The report with `ending` after every name that comes from files, people, options and packages."""
    made = copy.deepcopy(report)
    judge = "dlib" + ending
    made["settings"] |= {"faces": "dev" + ending, "protocol": "p" + ending, "judges": [judge], "target": [judge]}
    made["settings"]["detectors"] = ["yunet" + ending]
    made["judges"] = {judge: made["judges"]["dlib"]}
    made["left_out"] = [{"what": "a.jpg" + ending, "why": "broken" + ending}]
    made["notes"] = ["note" + ending]
    made["versions"]["packages"] = {"numpy" + ending: "1" + ending}
    made["versions"]["recognizers"] = {judge: "00" + ending}
    made["plane"]["judge"] = judge
    made["plane"]["people"] = [name + ending for name in made["plane"]["people"]]
    for face in made["grid"]:
        face["photo"] += ending
    for row in made["rows"]:
        row["title"] += ending
        row["detected"] = {name + ending: figure for name, figure in row["detected"].items()}
        judged = row["judges"]["dlib"]
        judged["groups"]["tone"] = {name + ending: figure for name, figure in judged["groups"]["tone"].items()}
        row["judges"] = {judge: judged}
    figure = made["rows"][0]["judges"][judge]["views"]["none"]["rank1"]
    made["attacks"] = [
        {"attack": "x", "title": "again" + ending, "method": "m" + ending, "judge": judge, "before": figure,
         "after": figure, "note": "why" + ending}
    ]  # fmt: skip
    return made


@pytest.fixture(scope="module")
def html(report: dict[str, Any]) -> str:
    return render(report)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_whole_and_alone(html: str, page: Page) -> None:
    assert html.startswith("<!DOCTYPE html>") and len(html.encode()) < 2_000_000
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
    for _, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on") and name != "style"
            if name in ("src", "href", "srcset", "action", "data", "xlink:href"):
                assert value.startswith(("data:image/jpeg;base64,", "#")), value
    assert not re.search(r"https?:|url\(|@import|javascript:", html)
    links = [given["href"][1:] for tag, given in page.tags if tag == "a"]
    assert links and set(links) <= set(page.ids) and len(page.ids) == len(set(page.ids))


def test_tables_are_whole(page: Page) -> None:
    assert page.heads == len(page.tables) > 8
    for table in page.tables:
        assert len({sum(cell["columns"] for cell in row) for row in table}) == 1, table[0]
        assert all(row[0]["tag"] == "th" or row[0]["text"] == "" for row in table)


def test_the_headline_is_the_reports(report: dict[str, Any], page: Page) -> None:
    """Values, intervals and n, of every method and everyday change."""
    table = page.table("FLIP", "found by yunet")
    for row in report["rows"]:
        judged, seen = row["judges"]["dlib"], row["visible"]
        figures = [judged["views"]["none"]["match"][FAR], seen["ssim"], seen["flip"], seen["ssimulacra2"]]
        cells = line(table, row["title"])
        assert [cell["value"] for cell in cells] == [
            *(figure["value"] for figure in figures),
            row["detected"]["yunet"]["value"],
        ]
        first = figures[0]
        assert cells[0]["text"] == f"{first['value']:.3f}[{first['low']:.3f}, {first['high']:.3f}] n {first['n']}"
        assert "attacked" not in cells[0].get("class", "")


def test_other_tables_are_the_reports(report: dict[str, Any], page: Page) -> None:
    for row in report["rows"]:
        judged = row["judges"]["dlib"]
        views, merit = judged["views"], judged["merit"]
        through = line(page.table("as it is", "jpeg75"), row["title"])
        assert [cell["value"] for cell in through] == [
            views[view]["match"][FAR]["value"] for view in ("none", "jpeg75")
        ]
        ways = line(page.table("evasion", "linked"), row["title"])
        assert [cell["value"] for cell in ways[:2]] == [
            views["none"]["match"][FAR]["value"],
            judged["gallery"]["match"][FAR]["value"] if judged["gallery"] else None,
        ]
        assert [cell["value"] for cell in ways[3:6]] == [
            judged[name][FAR]["value"] for name in ("linked", "strangers", "mixed")
        ]
        if judged["tracker"]:
            trained = line(page.table("logistic regression"), row["title"])[1:3]
            assert [cell["value"] for cell in trained] == [
                judged["tracker"][side]["logistic"]["value"] for side in ("clean", "protected")
            ]
        everything = line(page.table("rank-1", "EER"), row["title"])
        assert everything[0]["value"] == views["none"]["match"]["0.01"]["value"]
        if not row["reference"]:
            second = line(page.table("To", "rs"), row["title"])
            assert [cell["value"] for cell in second] == [
                merit[name]["value"] if merit[name] else None for name in ("T_o", "F_c", "T_r", "r_s")
            ]


def test_faces_can_be_seen(report: dict[str, Any], page: Page) -> None:
    pictures = [given for tag, given in page.tags if tag == "img"]
    # Nothing looks like the original.
    assert len(pictures) == len(report["grid"]) * (1 + 2 * (len(report["rows"]) - 1))
    for given in pictures:
        png = base64.b64decode(given["src"].split(",")[1])
        assert Image.open(io.BytesIO(png)).size == (128, 128) and given["alt"]


def test_settings_are_told(report: dict[str, Any], html: str) -> None:
    for name, value in (("faces", "dev"), ("seed", "0"), ("both ways", "yes"), ("superpose", "no"), ("judges", "dlib")):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in html
    assert report["versions"]["recognizers"]["dlib"] in html
    assert all(note in html for note in report["notes"])


def test_charts_stay_inside(page: Page) -> None:
    charts = [given for tag, given in page.tags if tag == "svg" and given.get("class") == "chart"]
    # By one recognizer: strengths, threshold, DET; and the plane.
    assert [given["aria-label"].split(",")[0] for given in charts] == [
        "Match rate against SSIM", "Match rate against the threshold", "Detection error tradeoff",
        "Embeddings before and after protection",
    ]  # fmt: skip
    lines = [given["points"] for tag, given in page.tags if tag == "polyline" and " " in given["points"]]
    assert len(lines) > 10
    for points in lines:
        for point in points.split():
            x, y = map(float, point.split(","))
            assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT


def test_the_curve_is_the_reports(report: dict[str, Any], page: Page) -> None:
    """The line of the clean photos, read back from the drawing."""
    curve = report["rows"][0]["judges"]["dlib"]["views"]["none"]["curve"]
    expected = list(zip(curve["threshold"], curve["match"], strict=True))
    drawn = next(
        given["points"] for tag, given in page.tags if tag == "polyline" and given["class"] == "line ink" and
        len(given["points"].split()) > 3
    )  # fmt: skip
    for point in drawn.split():
        x, y = map(float, point.split(","))
        threshold = (x - LEFT) / PLOT[0] * curve["threshold"][-1]
        match = (HEIGHT - BOTTOM - y) / PLOT[1]
        assert any(abs(threshold - t) < 1e-3 and abs(match - m) < 1e-3 for t, m in expected)
    assert len(drawn.split()) == len(set(expected))


def test_names_cannot_break_out(report: dict[str, Any]) -> None:
    """The elements are those of harmless names, attributes but for the names, too; the names are all there as text."""
    harmless, page = Page(render(renamed(report, "-x"))), Page(render(renamed(report, HOSTILE)))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in harmless.tags]
    assert [sorted(given) for _, given in page.tags] == [sorted(given) for _, given in harmless.tags]
    shown = HOSTILE.replace("\udcff", "?")
    text = "\0".join(page.text)
    for name in ("veilkey: evaluation of dev", "dlib", "yunet", "a.jpg", "broken", "note", "numpy", "black bar", "why",
                 "again", report["plane"]["people"][0], report["grid"][0]["photo"]):  # fmt: skip
        assert name + shown in text, name
    assert any(given.get("alt", "").startswith(report["grid"][0]["photo"] + shown) for _, given in page.tags)


def test_attacked_and_left_out(report: dict[str, Any]) -> None:
    """Rows against both recognizers and against each alone: what was attacked is marked, what was not stands beside."""
    made = copy.deepcopy(report)
    made["settings"] |= {"target": ["dlib", "sface"], "superpose": True}
    made["judges"]["sface"] = made["judges"]["dlib"]
    for row in made["rows"]:
        row["judges"]["sface"] = copy.deepcopy(row["judges"]["dlib"])
    bar = next(row for row in made["rows"] if row["method"] == "bar")
    for attacked, values in ((["dlib", "sface"], (0.125, 0.25)), (["dlib"], (0.5, 0.625)), (["sface"], (0.75, 0.875))):
        row = {**copy.deepcopy(bar), "method": "ours", "title": "ours", "own": True, "attacked": attacked}
        for judge, value in zip(("dlib", "sface"), values, strict=True):
            row["judges"][judge]["views"]["none"]["match"][FAR] |= {"value": value, "low": 0.0, "high": 1.0}
        made["rows"].append(row)
    page = Page(render(made))
    cells = line(page.table("FLIP", "sface"), "ours")
    assert [(cell["value"], cell.get("class")) for cell in cells[:2]] == [(0.125, "attacked"), (0.25, "attacked")]
    assert "◆" in cells[0]["text"] and "◆" not in line(page.table("FLIP", "sface"), "nothing")[0]["text"]
    beside = line(page.table("not attacked", "attacked"), "ours")
    assert [cell["value"] for cell in beside] == [0.75, 0.125, 0.625, 0.25]
    assert [cell.get("class") for cell in beside] == [None, "attacked", None, "attacked"]
    everything = page.table("rank-1", "EER")
    assert line(everything, "ours, against sface")[1]["value"] == 0.75
    third = page.table("attacked", "Fc")
    assert [row[0]["text"] for row in third[2:]] == ["1", "2"]


def test_attacks_on_the_secret(report: dict[str, Any]) -> None:
    figure = {"value": 0.25, "low": 0.125, "high": 0.5, "n": 8, "people": 4, "interval": "bootstrap"}
    attack = {"attack": "purify", "title": "a network that cleans", "method": "veilkey-standard", "judge": "dlib",
              "before": figure, "after": {**figure, "value": 0.375}, "note": None}  # fmt: skip
    page = Page(render({**report, "attacks": [attack]}))
    cells = line(page.table("before", "after"), "a network that cleans")
    assert [cell["value"] for cell in cells] == [None, None, 0.25, 0.375, None]
    assert cells[2]["text"] == "0.250[0.125, 0.500] n 8"


def without_values(value: Any) -> Any:
    """Every figure without a value, every list of rows, points and names kept."""
    if isinstance(value, dict):
        if "interval" in value:
            return {**value, "value": None, "low": None, "high": None, "n": 0, "people": 0, "interval": "none"}
        return {key: without_values(each) for key, each in value.items()}
    return [without_values(each) for each in value] if isinstance(value, list) else value


def test_nothing_to_show(report: dict[str, Any]) -> None:
    """Figures without values, rows of which every photo failed, and a report without rows."""
    failed = {name: value for name, value in report["rows"][5].items() if not isinstance(value, dict)}
    failed |= {"photos": 0, "failed": 6, "restored_pixels": None}
    lists = ("judges", "target", "transforms", "detectors", "budgets")
    empty = {
        **report,
        "settings": report["settings"] | {name: [] for name in lists},
        "versions": {**report["versions"], "packages": {}, "recognizers": {}},
        "data": {"people": 0, "gallery": 0, "probes": 0, "photos": {}},
        "judges": {}, "rows": [], "notes": [], "plane": None, "grid": [],
    }  # fmt: skip
    half = copy.deepcopy(report)
    for row in half["rows"]:
        for judged in row["judges"].values():
            judged |= {"groups": {**judged["groups"], "worst": None}, "gallery": None, "tracker": None}
            judged["views"]["none"] |= {"eer": None, "mean_distance": None, "curve": {}, "det": {}}
    for made in (without_values(report), {**report, "rows": [failed], "plane": None, "grid": []}, empty, half):
        page = Page(render(made))
        text = " ".join(page.text)
        assert "How to read this" in text and "Settings and versions" in text
        assert not re.search(r"\bNone\b|\bnan\b", text)
        for table in page.tables:
            assert len({sum(cell["columns"] for cell in row) for row in table}) == 1
    assert "6 of 6 failed" in " ".join(Page(render({**report, "rows": [failed], "plane": None, "grid": []})).text)


def test_axes() -> None:
    assert Axis("", 2, 4, []).place(3) == 0.5
    assert Axis("", 2, 4, []).place(9) == 1 and Axis("", 2, 4, []).place(-9) == 0
    assert Axis("", 0.01, 1, [], math.log10).place(0.1) == pytest.approx(0.5)
    assert even_ticks(0, 1.2) == [(number * 0.2, f"{number / 5:g}") for number in range(7)]
    assert [text for _, text in even_ticks(-0.31, 0.27)] == ["-0.3", "-0.2", "-0.1", "0", "0.1", "0.2"]


def test_the_command_writes_it(shared_faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from veilkey.cli import main
    from veilkey.evaluation import measured

    monkeypatch.setattr(measured, "SLOW_SAMPLE", 0)
    monkeypatch.setenv("VEILKEY_HOME", str(tmp_path / "home"))
    protocol = write_protocol(shared_faces, tmp_path / "two.json", 2)
    arguments = ["evaluate", shared_faces / "dev", "--protocol", protocol, "--method", "bar", "--against", "dlib",
                 "--transform", "half", "--detector", "yunet", "--jobs", "1", "-o", tmp_path / "out"]  # fmt: skip
    done = CliRunner().invoke(main, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    assert str(tmp_path / "out" / "report.html") in done.output.splitlines()[-1]
    made = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (tmp_path / "out" / "report.html").read_text() == render(made)
