"""False alarms against delay: tools compared at the same rate of false alarms, and not only at their defaults."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.decisions import ours
from benchmarks.decisions.labelled import GATE_BATCHES, QUIET, Change, Chunks, Drop, Watch, draw
from benchmarks.decisions.report import NOTHING, Table
from benchmarks.decisions.seeds import Draws
from benchmarks.decisions.sizes import scaled, spread
from benchmarks.decisions.world import Floats

ROWS, LENGTH, STREAMS = 1000, 40, 60
CHANGES = (
    Change("AUC -0.025", drop=0.025),
    Change("AUC -0.06", drop=0.06),
    Change("base rate +0.5 logit", shift=0.5),
)
LEVELS: Mapping[str, Sequence[float]] = {
    "ours": (2.0, 2.6, 3.1, 3.6, 4.2, 5.0),
    "AUC drop": (0.01, 0.02, 0.03, 0.05, 0.07, 0.1),
    "mean ± k sd of 10 chunks*": (1.0, 2.0, 3.0, 4.0, 5.0, 6.0),
}
Point = dict[str, float | str]


def curve(commit: str) -> list[Point]:
    """Return, for each rule, threshold and change, false alarms per 1,000 batches and the median delay."""
    tasks = [(rule, at) for rule in LEVELS for at in range(len(LEVELS[rule]))]
    return [point for found in spread(partial(_points, commit), tasks) for point in found]


def _points(commit: str, task: tuple[str, int]) -> list[Point]:
    rule, at = task
    level = LEVELS[rule][at]
    quiet = _first_alarms(commit, rule, level, QUIET)
    batches = sum(first or LENGTH for first in quiet)
    false = 1000 * sum(first is not None for first in quiet) / batches
    found: list[Point] = []
    for change in CHANGES:
        firsts = _first_alarms(commit, rule, level, change)
        delay = float(np.median([first or 2 * LENGTH for first in firsts]))
        found.append({"rule": rule, "threshold": level, "change": change.name, "false_per_1000": false, "delay": delay})
    return found


def _first_alarms(commit: str, rule: str, level: float, change: Change) -> list[int | None]:
    """Return the first alarm of each stream; the same streams for every rule and threshold."""
    rng = Draws(commit, f"curve {change.name}").rng(0)
    firsts: list[int | None] = []
    for _ in range(scaled(STREAMS)):
        gate, past = draw(rng, GATE_BATCHES * ROWS, QUIET), draw(rng, 10 * ROWS, QUIET)
        batches = [draw(rng, ROWS, change) for _ in range(LENGTH)]
        watch = _watch(rule, level, gate, past)
        firsts.append(next((at for at, batch in enumerate(batches, 1) if watch(*batch)), None))
    return firsts


def _watch(rule: str, level: float, gate: tuple[Floats, Floats], past: tuple[Floats, Floats]) -> Watch:
    if rule == "AUC drop":
        return Drop(*gate, level)
    if rule != "ours":
        return Chunks(*past, level)
    limits = ours.MODEL.monitor.model_copy(update={"alarm_z": level})
    return ours.LabelledMonitor(*gate, ours.MODEL.model_copy(update={"monitor": limits})).alarm


def curve_table(points: Sequence[Point]) -> Table:
    """Return the curve as text."""
    rows = [
        [f"{p['rule']} {p['threshold']}", str(p["change"]), f"{p['false_per_1000']:.1f}", _delay(p)] for p in points
    ]
    says = (
        f"The same streams of batches of {ROWS:,} labelled rows for all; delay is the median batch of the first alarm."
    )
    return Table("False alarms against delay", says, ["rule and threshold", "change", "false / 1000", "delay"], rows)


def keep(points: Sequence[Point], folder: Path) -> Iterator[Path]:
    """Write the curve as JSON lines, and as a picture where matplotlib is installed; yield the files."""
    lines = folder / "decisions_curves.jsonl"
    lines.write_text("".join(json.dumps(point) + "\n" for point in points))
    yield lines
    try:
        from matplotlib.figure import Figure as Picture
    except ImportError:
        return
    picture = Picture(figsize=(13, 4))
    for at, change in enumerate(CHANGES):
        axes = picture.add_subplot(1, len(CHANGES), at + 1)
        for rule in LEVELS:
            mine = [p for p in points if p["rule"] == rule and p["change"] == change.name]
            axes.plot([p["false_per_1000"] for p in mine], [p["delay"] for p in mine], marker="o", label=rule)
        axes.set_xscale("symlog", linthresh=1)
        axes.set_title(change.name)
        axes.set_xlabel("false alarms per 1,000 batches")
        axes.set_ylabel("median delay, batches")
        axes.legend()
    picture.tight_layout()
    picture.savefig(folder / "decisions_curves.svg")
    yield folder / "decisions_curves.svg"


def _delay(point: Point) -> str:
    return NOTHING if float(point["delay"]) > LENGTH else f"{point['delay']:.0f}"
