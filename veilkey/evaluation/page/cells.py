"""Numbers as a reader sees them."""

from typing import Any

from veilkey.evaluation.page.html import Child, Element, element

NOTHING = "–"
# Drawn where a method worked against the recognizer that judges it; the legend of the headline says so.
ATTACKED = "◆"
# Decimals of measures that are not shares.
DIGITS = {"psnr": 1, "ssimulacra2": 1, "ciede_mean": 2, "ciede_p99": 2, "ciede_32": 2, "ciede_16": 2}

Figure = dict[str, Any]


def number(value: float, digits: int = 3) -> str:
    """A number with so many decimals, never minus zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def cell(figure: Figure | None, digits: int = 3, attacked: bool = False, note: Child = None) -> Element:
    """A table cell: the value, under it the interval and on how many photos or pairs it rests, and a note."""
    if figure is None or figure["value"] is None:
        return element("td", NOTHING, class_="nothing")
    small = [element("span", f"n {figure['n']}")]
    if figure["low"] is not None:
        small.insert(0, element("span", f"[{number(figure['low'], digits)}, {number(figure['high'], digits)}]"))
    value = element("data", number(figure["value"], digits), value=repr(figure["value"]))
    mark = element("span", ATTACKED, title="attacked", class_="mark") if attacked else None
    content = [element("div", value, mark), element("small", small[0], [" ", small[1]] if small[1:] else None)]
    if note is not None:
        content.append(element("small", note))
    return element("td", content, **({"class_": "attacked"} if attacked else {}))


def words(text: str) -> Element:
    """A table cell of text."""
    return element("td", text, class_="words")


def words_head(text: str) -> Element:
    """The head of a column of text."""
    return element("th", text, scope="col", class_="words")


def counted(count: int, one: str, many: str = "") -> str:
    """`1 photo`, `2 photos`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
