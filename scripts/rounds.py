"""Figures from rounds in which what is compared takes turns, and the rows of a table in which they end up."""

import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

Measured = dict[str, float]
"""What one run gave: "seconds", and what else belongs to it."""


@dataclass(frozen=True)
class Row:
    """One line of the table: figures of `what`, beside those of `against` from the same rounds."""

    what: str
    against: str
    values: Sequence[float]
    base: Sequence[float]
    unit: str
    aim: float | None = None
    most: float | None = None
    """The aim where that is a ratio."""

    @property
    def ratios(self) -> list[float]:
        return [value / base for value, base in zip(self.values, self.base, strict=True)]

    @property
    def reached(self) -> bool | None:
        if self.most is not None:
            return statistics.median(self.ratios) <= self.most
        return None if self.aim is None else statistics.median(self.values) <= self.aim

    def markdown(self) -> str:
        verdict = {None: "", True: "reached", False: "**not reached**"}[self.reached]
        aim = "" if self.aim is None else f"{self.aim:g} {self.unit}"
        aim = aim if self.most is None else f"{self.most:g} times"
        figures = f"{spread(self.ratios)} | {spread(self.values)} {self.unit} | {spread(self.base)} {self.unit}"
        return f"| {self.what} | {self.against} | {figures} | {aim} | {verdict} |"

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "ratios": self.ratios, "reached": self.reached}


def take_turns(tasks: Mapping[str, Callable[[], Measured]], repeats: int, title: str) -> dict[str, dict[str, list]]:
    """What the tasks gave, by task and figure, one value a round; the round before the first is not counted."""
    runs: dict[str, list[Measured]] = {name: [] for name in tasks}
    with tqdm(total=(repeats + 1) * len(tasks), desc=title, unit="run") as bar:
        for number in range(repeats + 1):
            for name in [*tasks] if number % 2 == 0 else [*reversed(tasks)]:
                measured = tasks[name]()
                if number:
                    runs[name].append(measured)
                bar.update()
    return {name: {key: [run[key] for run in found] for key in found[0]} for name, found in runs.items()}


def spread(values: Sequence[float]) -> str:
    """Minimum / median / maximum, to three digits that count."""
    figures = (min(values), statistics.median(values), max(values))
    return " / ".join(f"{x:.0f}" if x >= 100 else f"{x:.3g}" for x in figures)


def machine() -> dict[str, Any]:
    """Where and when this was measured."""
    return {
        "cores": os.cpu_count(),
        "processor": processor(),
        "python": platform.python_version(),
        "load before": round(os.getloadavg()[0], 2),
    }


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
