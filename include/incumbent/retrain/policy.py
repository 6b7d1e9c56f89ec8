"""Whether to ask for a training: a pure fold over recorded verdicts, in partition order.

The order in which verdicts arrive does not matter: a partition's decision looks at the verdicts of
this and earlier partitions and at nothing else, so a backfill gives the same decisions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from incumbent.config import Model
from incumbent.partitions import end_of, start_of

CUSUM_SLACK = 0.5
UNDECIDED = ("", "stale")  # no gate has said no: still open, failed, or to be gated again
CHANNELS = {
    "rank": "ranking",
    "cal_high": "calibration: more than predicted",
    "cal_low": "calibration: less than predicted",
}


@dataclass(frozen=True)
class History:
    """What a decision may look at; all about this and earlier partitions.

    Attributes:
        generation: Champion's generation; 0 when there is none.
        promoted_partition: Partition whose data the champion came from; empty when there is none.
        labelled: Partition to its labelled rows, where features and outcomes are both in.
        drift: Partition to its newest drift verdict about the champion.
        performance: Partition to its newest performance verdict about the champion.
        requests: Earlier requests in order: partition, and the verdict that answered it ("" if none).
    """

    generation: int
    promoted_partition: str
    labelled: Mapping[str, int] = field(default_factory=dict)
    drift: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    performance: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    requests: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Decision:
    """Whether to ask, and why or why not, in one sentence.

    Attributes:
        partition: Partition it is about.
        reason: `cold_start`, `performance`, `drift`, or empty when nothing is asked for.
        degraded: A labelled alarm holds.
        evidence: The numbers behind it.
        message: One sentence for a person.
    """

    partition: str
    reason: str
    degraded: bool
    evidence: Mapping[str, Any]
    message: str


def decide(model: Model, partition: str, history: History) -> Decision:
    """Return the decision for a partition.

    A cold start needs labelled rows older than those of the gates. Later, a labelled alarm or a drift
    of the scores asks, once labelled rows are there that the champion has not seen, and not within
    the cooldown: the days after the last request, doubled by each gate since the last promotion that
    said no.
    """
    if history.generation == 0:
        return _cold_start(model, partition, history)
    alarms, sums = cusum(model, partition, history)
    drifted = (history.drift.get(partition) or {}).get("tier") == "drift"
    reason = "performance" if alarms else "drift" if drifted else ""
    evidence: dict[str, Any] = {"cusum": sums, "alarms": list(alarms)}
    if drifted:
        evidence["drift"] = history.drift[partition].get("sentence", "")
    if not reason:
        return Decision(partition, "", False, evidence, f"{partition}: no alarm, no retraining.")
    why = "; ".join(alarms.values()) if alarms else str(evidence["drift"])
    new = sum(rows for key, rows in history.labelled.items() if history.promoted_partition < key <= partition)
    if new < max(1, model.retrain.min_new_rows):
        waiting = f"{partition}: waiting for outcomes ({new} labelled rows are new to the champion). {why}"
        return Decision(partition, "", bool(alarms), evidence, waiting)
    if left := cooldown_left(model, partition, history):
        return Decision(partition, "", bool(alarms), evidence, f"{partition}: cooling down for {left} more days. {why}")
    return Decision(partition, reason, bool(alarms), evidence, f"{partition}: retrain for {reason}. {why}")


def cusum(model: Model, partition: str, history: History) -> tuple[dict[str, str], dict[str, float]]:
    """Return the channels that alarm at a partition, each with its sentence, and all sums.

    C = max(0, C + z − 0.5); an alarm is C above its limit or one z above its own (decision engine,
    CUSUM with a Shewhart limit). Sums start anew with each champion.
    """
    sums = dict.fromkeys(CHANNELS, 0.0)
    alarms = {}
    limits = model.monitor
    for key in sorted(history.performance):
        if key > partition or not history.performance[key]["judged"]:
            continue
        for channel in CHANNELS:
            z = history.performance[key]["z"][channel]
            sums[channel] = max(0.0, sums[channel] + z - CUSUM_SLACK)
            if key == partition and (sums[channel] > limits.cusum_limit or z > limits.shewhart_limit):
                alarms[channel] = f"{CHANNELS[channel]}: z {z:.1f}, sum {sums[channel]:.1f}"
    return alarms, {channel: round(total, 4) for channel, total in sums.items()}


def cooldown_left(model: Model, partition: str, history: History) -> int:
    """Return the days until the next request is allowed; 0 when it is."""
    if not history.requests:
        return 0
    refused = 0
    for _, verdict in reversed(history.requests):
        if verdict == "promote":
            break
        refused += verdict not in UNDECIDED
    last = end_of(history.requests[-1][0], model.grain)
    until = last + timedelta(days=model.retrain.cooldown_days * 2**refused)
    return max(0, (until - end_of(partition, model.grain)).days)


def held_out(model: Model) -> timedelta:
    """Return how much of the newest time no training sees: the gates' days and the embargo."""
    return timedelta(days=model.evaluate.holdout_days + model.embargo_days)


def training_rows(model: Model, labelled: Mapping[str, int]) -> int:
    """Estimate the labelled rows that are older than the gate rows and the embargo.

    Rows count as spread evenly over their partition: good enough to know when a first training
    is worth starting, and the gates count exactly.
    """
    if not labelled:
        return 0
    until = end_of(max(labelled), model.grain) - held_out(model)
    found = 0.0
    for key in sorted(labelled)[-model.train.window :]:
        start, end = start_of(key, model.grain), end_of(key, model.grain)
        found += labelled[key] * min(1.0, max(0.0, (until - start) / (end - start)))
    return round(found)


def _cold_start(model: Model, partition: str, history: History) -> Decision:
    labelled = {key: rows for key, rows in history.labelled.items() if key <= partition}
    evidence = {"labelled": labelled}
    found, needed = training_rows(model, labelled), model.gates.min_train_rows
    if found < needed:
        waiting = (
            f"{partition}: no champion yet; waiting for outcomes: about {found} of the {needed} labelled rows "
            f"that a first training needs are older than the last {held_out(model).days} days (gates and embargo)."
        )
        return Decision(partition, "", False, evidence, waiting)
    if any(key == partition for key, _ in history.requests):
        return Decision(partition, "", False, evidence, f"{partition}: no champion yet; this partition was tried.")
    return Decision(partition, "cold_start", False, evidence, f"{partition}: there is no champion yet.")
