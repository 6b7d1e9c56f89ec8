"""Whether to ask for a training: a pure fold over recorded verdicts, in partition order.

The order in which verdicts arrive does not matter: a partition's decision looks at the verdicts of
this and earlier partitions and at nothing else, so a backfill gives the same decisions. Only a cold start
looks further, at what is asked for already: the first training is one for the model, not one for each partition.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil
from typing import Any

from incumbent.config import Model
from incumbent.partitions import end_of, start_of

CUSUM_SLACK = 0.5
OPEN, FAILED = "", "failed"
UNDECIDED = (OPEN, FAILED, "stale")  # no gate has said no; stale is gated again
LONGEST_DAYS = 36_500  # a century: doubled a few dozen times, a cooldown is longer than a calendar
CHANNELS = {
    "rank": "ranking",
    "cal_high": "calibration: more than predicted",
    "cal_low": "calibration: less than predicted",
}


@dataclass(frozen=True)
class History:
    """What a decision may look at; all about this and earlier partitions, except for a cold start's requests.

    Attributes:
        generation: Champion's generation; 0 when there is none.
        promoted_partition: Partition whose data the champion came from, also when a rollback brought it
            back; empty when there is none.
        labelled: Partition to its outcomes that have a label, where its features are in.
        drift: Partition to its newest drift verdict about the champion.
        performance: Partition to its newest performance verdict about the champion.
        requests: Requests in order: partition, and the verdict that answered it; "" while it is open,
            `failed` when it could not be met. Without a champion, first the open ones of later partitions.
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

    A cold start needs labelled rows older than those of the gates, and no request that is still open.
    Later, a labelled alarm or a drift of the scores asks, once labelled rows are there that the champion
    has not seen, and not within the cooldown: the days after the last request, doubled by each gate since
    the last promotion that said no.
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
        days = ceil(left / timedelta(days=1))
        cooling = f"{partition}: cooling down for {days} more day{'s' * (days > 1)}. {why}"
        return Decision(partition, "", bool(alarms), evidence, cooling)
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


def cooldown_left(model: Model, partition: str, history: History) -> timedelta:
    """Return the time until the next request is allowed; nothing when it is."""
    if not history.requests:
        return timedelta(0)
    refused = 0
    for _, verdict in reversed(history.requests):
        if verdict == "promote":
            break
        refused += verdict not in UNDECIDED
    wanted = timedelta(days=min(model.retrain.cooldown_days * 2**refused, LONGEST_DAYS))
    passed = end_of(partition, model.grain) - end_of(history.requests[-1][0], model.grain)
    return max(timedelta(0), wanted - passed)


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
    if waiting_for := [key for key, verdict in history.requests if verdict == OPEN]:
        # One training makes the first champion; a backfilled year would otherwise start one for each month.
        waiting = f"{partition}: no champion yet; the request of {waiting_for[0]} is not answered yet."
        return Decision(partition, "", False, evidence, waiting)
    if any(key == partition for key, _ in history.requests):
        return Decision(partition, "", False, evidence, f"{partition}: no champion yet; this partition was tried.")
    return Decision(partition, "cold_start", False, evidence, f"{partition}: there is no champion yet.")
