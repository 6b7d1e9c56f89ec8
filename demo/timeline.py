"""The live timeline: one line per partition, as it happens."""

from __future__ import annotations

from typing import Any

COLUMNS = (
    ("partition", 10), ("rows", 7), ("quar.", 6), ("drift", 8), ("retrain", 12),
    ("gate", 24), ("gen", 4), ("AUC", 6),
)  # fmt: skip


LEGEND = (
    "quar.: rows set aside, of all sources · retrain: why a training was asked for · gate: its verdict, and the\n"
    "interval of how much better the challenger is · gen: generation that scored the month · AUC: of its predictions,\n"
    "once outcomes are in"
)


def header() -> str:
    """Return the timeline's legend and head."""
    return f"{LEGEND}\n\n" + " ".join(name.ljust(width) for name, width in COLUMNS).rstrip()


def line(entry: dict[str, Any]) -> str:
    """Return one partition's line.

    >>> line({"partition": "2013-02", "rows": 24951, "quarantined": 1, "drift": "drift", "retrain_reason": "drift",
    ...       "verdict": "promote", "gate": "+0.012…+0.044", "generation": 1, "auc": 0.652})
    '2013-02    24951   1      drift    drift        promote +0.012…+0.044    1    0.652'
    """
    gate = f"{entry['verdict'] or '-'} {entry.get('gate') or ''}".strip()
    cells = (
        entry["partition"], entry["rows"], entry["quarantined"], entry["drift"] or "-",
        entry["retrain_reason"] or "-", gate, entry["generation"] or "-",
        "-" if entry["auc"] is None else f"{entry['auc']:.3f}",
    )  # fmt: skip
    return " ".join(str(cell).ljust(width) for cell, (_, width) in zip(cells, COLUMNS, strict=True)).rstrip()
