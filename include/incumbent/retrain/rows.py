"""How many rows there are to learn from: older than the gates' days, since when, and how many times more than then."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from incumbent.config import Model
from incumbent.partitions import end_of, start_of
from incumbent.retrain.history import History


def held_out(model: Model) -> timedelta:
    """Return how much of the newest time no training sees: the gates' days and the embargo."""
    return timedelta(days=model.evaluate.holdout_days + model.embargo_days)


def training_rows(model: Model, labelled: Mapping[str, int], after: str = "") -> int:
    """Estimate the labelled rows that are older than the gate rows and the embargo.

    Rows count as spread evenly over their partition: good enough to know when a training is worth starting,
    and the gates count exactly.

    Args:
        model: Its configuration.
        labelled: Partition to its labelled rows.
        after: Partition up to which rows do not count.
    """
    if not labelled:
        return 0
    until = end_of(max(labelled), model.grain) - held_out(model)
    found = 0.0
    for key in sorted(labelled)[-model.train.window :]:
        if key <= after:
            continue
        start, end = start_of(key, model.grain), end_of(key, model.grain)
        found += labelled[key] * min(1.0, max(0.0, (until - start) / (end - start)))
    return round(found)


def times_more(model: Model, partition: str, history: History, then: str) -> float:
    """Return how many times the rows there are to learn from that there were earlier; 0 if there were none."""
    known = {key: rows for key, rows in history.labelled.items() if first_day(model, key) >= history.since}
    before, now = (
        training_rows(model, {key: rows for key, rows in known.items() if key <= until}) for until in (then, partition)
    )
    return now / before if before else 0.0


def first_day(model: Model, partition: str) -> str:
    """Return the first local day of a partition (ISO date)."""
    return start_of(partition, model.grain).date().isoformat()


def last_before(history: History, since: str) -> str:
    """Return the last judged partition before a change: what is newer is new."""
    return max((key for key in history.performance if key < since), default="")
