"""Elements and tables. Text is escaped when the tree is written, so names of files can hold anything."""

from collections.abc import Sequence
from typing import TypeAlias
from xml.etree import ElementTree

Element = ElementTree.Element
Child: TypeAlias = "Element | str | Sequence[Child] | None"
# Of a table: each line begins with its head.
Lines: TypeAlias = list[list[Child]]


def element(tag: str, *children: Child, **attributes: str | float) -> Element:
    """An element of HTML or SVG. Children are elements, text, None (nothing), or sequences of these.

    In names of attributes `_` stands for `-`, and one at the end is dropped: class_, stroke_width.
    """
    made = Element(tag)
    for name, value in attributes.items():
        made.set(name.rstrip("_").replace("_", "-"), value if isinstance(value, str) else f"{value:g}")
    _append(made, children)
    return made


def _append(parent: Element, child: Child) -> None:
    if child is None:
        return
    if isinstance(child, Element):
        parent.append(child)
    elif not isinstance(child, str):
        for each in child:
            _append(parent, each)
    elif len(parent):
        parent[-1].tail = (parent[-1].tail or "") + child
    else:
        parent.text = (parent.text or "") + child


def write(root: Element) -> str:
    """The tree as text. Half surrogates, which stand in file names for bytes that are no UTF-8, become `?`."""
    text = ElementTree.tostring(root, encoding="unicode", method="html")
    return "<!DOCTYPE html>\n" + text.encode("utf-8", "replace").decode()


def section(name: str, heading: str, *children: Child) -> Element:
    """A part of the page with a heading; `name` is what links go to."""
    return element("section", element("h2", heading), *children, id=name)


def paragraph(*children: Child) -> Element:
    """A paragraph."""
    return element("p", *children)


def bullets(items: Sequence[Child]) -> Element:
    """A list."""
    return element("ul", [element("li", item) for item in items])


def fold(summary: str, content: Element | None, opened: bool = False) -> Element | None:
    """Something that a reader opens; nothing where there is no content."""
    if content is None:
        return None
    return element("details", element("summary", summary), content, **({"open": ""} if opened else {}))


def table(
    caption: Child, columns: Sequence[Child], *bodies: Sequence[Sequence[Child]], above: Sequence[tuple[str, int]] = ()
) -> Element:
    """A table that scrolls in a box of its own, with what it shows above it.

    columns: one head each, th elements or anything that goes into one. bodies: groups of rows, each row as long as
    `columns`; cells are td elements or anything that goes into one, the first is the row's head. above: heads over
    several columns each, from the second on.
    """
    head = [element("tr", [_whole("th", column, scope="col") for column in columns])]
    if above:
        wide = [element("th", text, scope="colgroup", colspan=count) for text, count in above]
        head.insert(0, element("tr", element("td"), wide))
    body = [element("tbody", [_row(row) for row in rows]) for rows in bodies if rows]
    whole = element("table", element("thead", head), body)
    # A box that scrolls must be reachable with the keyboard.
    return element("figure", element("figcaption", caption), element("div", whole, class_="scroll", tabindex="0"))


def _row(cells: Sequence[Child]) -> Element:
    first, *others = cells
    return element("tr", element("th", first, scope="row"), [_whole("td", each) for each in others])


def _whole(tag: str, content: Child, **attributes: str) -> Element:
    """The content, if it is such an element, or else in one."""
    return content if isinstance(content, Element) and content.tag == tag else element(tag, content, **attributes)
