"""What every benchmark needs: figures with goals, medians of several runs, one JSON line a figure.

A benchmark measures the peer and Incumbent in the same run, because machines differ and are shared:
a ratio of two figures from one run says more than either of them.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """One measured number.

    Attributes:
        metric: What was measured.
        value: The median of the runs.
        unit: Its unit.
        goal: The most (or the least) that it should be; None when it is only for comparison.
        holds: Whether it is; True without a goal.
        at_least: Whether the goal is the least.
        interval: Its 95 % interval, where it was estimated from draws.
    """

    metric: str
    value: float
    unit: str
    goal: float | None
    holds: bool
    at_least: bool = False
    interval: tuple[float, float] | None = None

    @property
    def wanted(self) -> str:
        """The goal with its direction, for a line."""
        return f"{'≥' if self.at_least else '≤'} {self.goal}"


def figure(
    metric: str,
    values: float | Sequence[float],
    unit: str,
    goal: float | None = None,
    interval: tuple[float, float] | None = None,
) -> Figure:
    """Return the figure of one or several measurements.

    >>> figure("gap", [0.2, 0.4, 0.3], "s", goal=0.4).holds
    True
    """
    value = values if isinstance(values, int | float) else statistics.median(values)
    bounds = None if interval is None else (round(float(interval[0]), 4), round(float(interval[1]), 4))
    return Figure(metric, round(float(value), 4), unit, goal, goal is None or value <= goal, interval=bounds)


def at_least(
    metric: str, values: float | Sequence[float], unit: str, goal: float, interval: tuple[float, float] | None = None
) -> Figure:
    """Return a figure whose goal is the least that it should be.

    >>> at_least("found", 0.98, "share", goal=0.99).holds
    False
    """
    found = figure(metric, values, unit, interval=interval)
    value = values if isinstance(values, int | float) else statistics.median(values)
    return replace(found, goal=goal, holds=value >= goal, at_least=True)


def run(name: str, measure: Callable[[], Iterable[Figure]], folder: Path) -> list[Figure]:
    """Measure, write `<folder>/<name>.jsonl`, and return the figures that miss their goal."""
    folder.mkdir(parents=True, exist_ok=True)
    missed = []
    with (folder / f"{name}.jsonl").open("w") as lines:
        for found in measure():
            print(json.dumps(asdict(found)), file=lines, flush=True)
            goal = "" if found.goal is None else f"goal {found.wanted} {'holds' if found.holds else 'MISSED'}"
            between = "" if found.interval is None else "({:g} to {:g}) ".format(*found.interval)
            said = f"{name:<16} {found.metric:<40} {found.value:>10} {found.unit:<6} {between}{goal}"
            print(said.rstrip(), flush=True)
            missed += [] if found.holds else [found]
    return missed
