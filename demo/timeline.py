"""The live timeline: one line per partition, as it happens."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

COLUMNS = (
    ("partition", 10), ("rows", 7), ("quar.", 6), ("drift", 10), ("retrain", 12),
    ("gate", 22), ("gen", 4), ("AUC", 6),
)  # fmt: skip
WIDTH = 150


LEGEND = (
    "quar.: rows set aside, of all sources · retrain: why a training was asked for · gate: its verdict ·\n"
    "gen: generation that scored the month · AUC: of its predictions, once outcomes are in; below a line, why"
)


def header() -> str:
    """Return the timeline's legend and head."""
    return f"{LEGEND}\n\n" + " ".join(name.ljust(width) for name, width in COLUMNS).rstrip()


def line(entry: dict[str, Any]) -> str:
    """Return one partition's line.

    >>> line({"partition": "2013-02", "rows": 24951, "quarantined": 1, "drift": "retrain candidate",
    ...       "retrain_reason": "drift", "verdict": "promote", "generation": 1, "auc": 0.652})
    '2013-02    24951   1      candidate  drift        promote                1    0.652'
    """
    cells = (
        entry["partition"], entry["rows"], entry["quarantined"], (entry["drift"] or "-").removeprefix("retrain "),
        entry["retrain_reason"] or "-", entry["verdict"] or "-", entry["generation"] or "-",
        "-" if entry["auc"] is None else f"{entry['auc']:.3f}",
    )  # fmt: skip
    return " ".join(str(cell).ljust(width) for cell, (_, width) in zip(cells, COLUMNS, strict=True)).rstrip()


def reasons(said: Sequence[tuple[str, str]]) -> list[str]:
    """Return what was decided about a partition and why, indented below its line, and wrapped where it is long.

    Nothing is cut: what would settle a verdict stands at the end of its sentence.

    >>> reasons([("gate", "2013-02: All 9 gates passed: +0.021 AUC, 98 % interval 0.008 to 0.034; better.")])
    ['  gate       All 9 gates passed: +0.021 AUC, 98 % interval 0.008 to 0.034; better.']
    """
    bare = ((about, re.sub(r"^[\dT-]+: ", "", sentence)) for about, sentence in said)
    return [
        f"  {name:<10} {text}"
        for about, sentence in bare
        for name, text in zip_longest([about], textwrap.wrap(sentence, WIDTH) or [""], fillvalue="")
    ]
