"""What asks for a training: a labelled alarm, drift, growth and age."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from incumbent.config import Model
from incumbent.partitions import end_of
from incumbent.retrain.channels import Channel
from incumbent.retrain.history import AGE, DRIFT, FAILED, GROWTH, PERFORMANCE, History
from incumbent.retrain.rows import times_more
from incumbent.retrain.rule import ruled

CANDIDATES = ("drift", "retrain candidate")  # tiers that may ask; records of before call it drift
DRIFTED, AMONG = 2, 3  # of the last verdicts so many must be candidates


def asks(model: Model, partition: str, history: History, found: Sequence[Channel]) -> list[dict[str, Any]]:
    """Return each reason to retrain, whether it fires or not.

    Args:
        model: Its configuration.
        partition: Partition that is decided about.
        history: What may be looked at.
        found: What the labelled channels say.
    """
    return [
        *(_labelled(channel) for channel in found),
        _drift(partition, history),
        _growth(model, partition, history),
        _age(model, partition, history),
    ]


def _labelled(channel: Channel) -> dict[str, Any]:
    return ruled(PERFORMANCE, channel.fired, channel.z, channel.limit, channel.says, **_but_says(channel))


def _but_says(channel: Channel) -> dict[str, Any]:
    return {name: value for name, value in channel.to_json().items() if name not in ("fired", "limit", "says", "z")}


def _drift(partition: str, history: History) -> dict[str, Any]:
    """Scores or important features have moved, and not in one partition alone: a holiday is none of it."""
    keys = [key for key in sorted(history.drift) if history.promoted_partition < key <= partition][-AMONG:]
    moved = [key for key in keys if history.drift[key].get("tier") in CANDIDATES]
    now = partition in moved
    says = str(history.drift[partition].get("sentence", "")).rstrip(".") if now else "no drift that asks"
    text = f"drift in {len(moved)} of the last {len(keys)} partitions: {says}" if now else says
    return ruled(DRIFT, now and len(moved) >= DRIFTED, len(moved), DRIFTED, text)


def _growth(model: Model, partition: str, history: History) -> dict[str, Any]:
    """There is so much more to learn from than the newest challenger had: nothing is wrong, and more is known.

    Asked when a partition's outcomes come, for before them there is nothing that was not there for the one before. Rows
    from before the change since which the champion was trained are nothing more to know.
    """
    limit = model.retrain.growth
    tried = [each.learned for each in history.requests if each.verdict != FAILED]
    newest = max(tried, default="") or history.learned_partition
    ratio = times_more(model, partition, history, newest)
    fired = limit is not None and partition in history.labelled and ratio >= limit
    return ruled(GROWTH, fired, ratio, limit, f"{ratio:.2f} times the rows that the newest challenger could learn from")


def _age(model: Model, partition: str, history: History) -> dict[str, Any]:
    limit = model.retrain.max_age_days
    if not history.learned_partition:
        return ruled(AGE, False, 0, limit, "the champion's age is not known")
    days = (end_of(partition, model.grain) - end_of(history.learned_partition, model.grain)) / timedelta(days=1)
    return ruled(AGE, limit is not None and days >= limit, days, limit, f"the champion is {days:.0f} days old")
