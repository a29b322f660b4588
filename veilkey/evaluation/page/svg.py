"""Charts as inline SVG: axes, lines and marks in the page's own colours, so that they follow light and dark."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from veilkey.evaluation.page.html import Element, element

# Units of the drawing. Small, so that letters stay readable where a phone scales it down.
WIDTH, HEIGHT = 420, 330
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 22, 44
PLOT = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM)
MARK = 4.5
# Of lines: solid, dashed, dotted, dashed and dotted.
DASHES = ("", "7 4", "2 3", "9 3 2 3")
SHAPES = ("circle", "square", "triangle", "diamond", "cross")


@dataclass(frozen=True)
class Style:
    """How one thing is drawn everywhere. colour: a class that style.py gives a colour; dash, shape: numbers."""

    colour: str
    dash: int = 0
    shape: int = 0
    hollow: bool = False

    def line(self, points: str, width: float = 1.8) -> Element:
        """A line through `points`, "x,y x,y ..."."""
        return element(
            "polyline", points=points, class_=f"line {self.colour}", stroke_width=width,
            stroke_dasharray=DASHES[self.dash % len(DASHES)] or "none",
        )  # fmt: skip

    def mark(self, x: float, y: float) -> Element:
        """A mark at a place."""
        filled = "hollow" if self.hollow else "filled"
        return element("path", d=_outline(SHAPES[self.shape % len(SHAPES)], x, y), class_=f"{filled} {self.colour}")

    def sample(self, line: bool, mark: bool) -> Element:
        """What stands for it in a legend."""
        parts = [self.line("1,6 27,6") if line else None, self.mark(14, 6) if mark else None]
        return element("svg", parts, class_="sample", width=28, height=12, viewBox="0 0 28 12", aria_hidden="true")


def _outline(shape: str, x: float, y: float) -> str:
    r = MARK
    if shape == "circle":
        return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"
    corners = {
        "square": [(-0.85, -0.85), (0.85, -0.85), (0.85, 0.85), (-0.85, 0.85)],
        "triangle": [(0, -1.1), (1.05, 0.8), (-1.05, 0.8)],
        "diamond": [(0, -1.2), (1.2, 0), (0, 1.2), (-1.2, 0)],
        "cross": [
            (-1, -0.4), (-0.4, -0.4), (-0.4, -1), (0.4, -1), (0.4, -0.4), (1, -0.4),
            (1, 0.4), (0.4, 0.4), (0.4, 1), (-0.4, 1), (-0.4, 0.4), (-1, 0.4),
        ],
    }[shape]  # fmt: skip
    return "M" + "L".join(f"{x + r * dx:.1f} {y + r * dy:.1f}" for dx, dy in corners) + "z"


@dataclass(frozen=True)
class Axis:
    """One axis from `low` to `high`. ticks: (value, text). scale: brings values to where they are evenly spaced."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    scale: Callable[[float], float] = float

    def place(self, value: float) -> float:
        """0..1 along the axis; what is beyond an end is at the end."""
        low, high = self.scale(self.low), self.scale(self.high)
        inside = min(max(value, min(self.low, self.high)), max(self.low, self.high))
        return (self.scale(inside) - low) / (high - low)


class Chart:
    """A plot of one thing against another; `name` is what a screen reader says of it."""

    def __init__(self, name: str, x: Axis, y: Axis) -> None:
        self.x, self.y = x, y
        self._svg = element("svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=name, class_="chart")
        self._frame()

    def across(self, value: float) -> float:
        """Where a value of x is drawn."""
        return LEFT + self.x.place(value) * PLOT[0]

    def up(self, value: float) -> float:
        """Where a value of y is drawn."""
        return HEIGHT - BOTTOM - self.y.place(value) * PLOT[1]

    def line(self, xs: Sequence[float], ys: Sequence[float], style: Style, width: float = 1.8) -> None:
        """A line through points; equal neighbours are drawn once."""
        points = [f"{self.across(x):.1f},{self.up(y):.1f}" for x, y in zip(xs, ys, strict=True)]
        self._svg.append(style.line(" ".join(dict.fromkeys(points)), width))

    def mark(self, x: float, y: float, style: Style, low: float | None = None, high: float | None = None) -> None:
        """A mark, and its interval along y."""
        if low is not None and high is not None:
            place = self.across(x)
            self._stroke(place, self.up(low), place, self.up(high), f"interval {style.colour}")
        self._svg.append(style.mark(self.across(x), self.up(y)))

    def rule(self, x: float, text: str) -> None:
        """A thin upright line at a value of x, and above it what it is."""
        place = self.across(x)
        self._stroke(place, TOP, place, HEIGHT - BOTTOM, "rule")
        self._write(place, TOP - 6, text, "middle")

    def drawing(self) -> Element:
        """The SVG."""
        return self._svg

    def _frame(self) -> None:
        floor = HEIGHT - BOTTOM
        for value, text in self.x.ticks:
            place = self.across(value)
            self._stroke(place, TOP, place, floor, "grid")
            self._write(place, floor + 16, text, "middle")
        for value, text in self.y.ticks:
            place = self.up(value)
            self._stroke(LEFT, place, WIDTH - RIGHT, place, "grid")
            self._write(LEFT - 6, place + 4, text, "end")
        self._write((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, self.x.label, "middle", class_="label")
        middle = (TOP + floor) / 2
        self._write(14, middle, self.y.label, "middle", class_="label", transform=f"rotate(-90 14 {middle:g})")

    def _stroke(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        x1, y1, x2, y2 = (round(each, 1) for each in (x1, y1, x2, y2))
        self._svg.append(element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind))

    def _write(self, x: float, y: float, text: str, anchor: str, **more: str) -> None:
        self._svg.append(element("text", text, x=round(x, 1), y=round(y, 1), text_anchor=anchor, **more))


def even_ticks(low: float, high: float, most: int = 8) -> list[tuple[float, str]]:
    """Round values, evenly spaced, inside low..high."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(number * step, f"{number * step:g}") for number in range(first, last + 1)]
