"""The labelled channels: has ranking or calibration become worse since some partition, and by how much?

A pure function of recorded verdicts in partition order. A channel alarms at the partition that it is asked about and at
no other: the verdict that has just come decides, whenever it comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from incumbent.retrain.history import History
from incumbent.stats import Change, Measured, lasting_fall, of_worst

RANKING, HIGH, LOW = "ranking", "more than predicted", "less than predicted"
LARGER_IS_BETTER = ("auc",)


@dataclass(frozen=True)
class Channel:
    """What a channel says at a partition.

    Attributes:
        channel: `ranking`, `more than predicted` or `less than predicted`.
        z: Standardised change for the worse; see `incumbent.stats.lasting_fall`.
        newest: The same of the newest partition alone.
        limit: From which on it alarms, if the newest partition is worse too, and nearer to `after` than to `before`:
            what is over needs no answer.
        fired: Whether it does.
        since: First partition after the change.
        before: Value before it: the metric, or the miss that is tolerated.
        after: Value since.
        error: Standard error of the difference.
        says: The same for a person.
        last: Value of the newest partition.
    """

    channel: str
    z: float
    newest: float
    limit: float
    fired: bool
    since: str
    before: float
    after: float
    error: float
    says: str
    last: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a record."""
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()}


def judged(history: History, partition: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the judged verdicts about the champion up to a partition, in order; of what it was trained on, none."""
    found = ((key, history.performance[key]) for key in sorted(history.performance))
    return [
        (key, verdict)
        for key, verdict in found
        if history.promoted_partition < key <= partition and verdict["judged"] and verdict.get("rows")
    ]


def channels(history: History, partition: str, limit: float) -> list[Channel]:
    """Return what each channel says at a partition; nothing where it is not judged.

    Args:
        history: The verdicts about the champion.
        partition: Partition key.
        limit: Standardised change from which on a channel alarms.
    """
    series = judged(history, partition)
    if not series or series[-1][0] != partition:
        return []
    classes = set(series[-1][1]["misses"])  # of a label that has other classes since, earlier verdicts say nothing
    series = [(key, verdict) for key, verdict in series if set(verdict["misses"]) == classes]
    return [_ranking(series, limit), _calibration(series, limit, HIGH, 1), _calibration(series, limit, LOW, -1)]


def _ranking(series: Sequence[tuple[str, Mapping[str, Any]]], limit: float) -> Channel:
    newest = series[-1][1]
    metric = newest["metric"]
    sign = 1.0 if metric in LARGER_IS_BETTER else -1.0
    given = newest["reference"]
    rows = given.get("rows", given["clusters"])
    reference = Measured(sign * given["value"], given["error"], rows, given["clusters"] - 1)
    found = lasting_fall(
        [_measured(verdict, sign * verdict["value"], verdict["error"]) for _, verdict in series], reference, limit
    )
    since, before, after = series[found.since][0], sign * found.before, sign * found.after
    says = f"{metric} since {since} {after:.3f}, before {before:.3f} (z {found.z:.1f}, limit {limit:g})"
    fired, last = found.z > limit and found.lasts, sign * found.last
    return Channel(RANKING, found.z, found.newest, limit, fired, since, before, after, found.error, says, last)


def _calibration(series: Sequence[tuple[str, Mapping[str, Any]]], limit: float, name: str, side: int) -> Channel:
    """Return whether the truth lies above (side 1) or below the predictions on the mean, of any class."""
    slack = series[-1][1]["slack"]
    known = Measured(-slack, 0.0, 0.0, 0.0)
    found: dict[str, Change] = {}
    for each in series[-1][1]["misses"]:
        misses = [(verdict, verdict["misses"][each]) for _, verdict in series]
        batches = [_measured(verdict, -side * miss["estimate"], miss["error"]) for verdict, miss in misses]
        found[each] = lasting_fall(batches, known, limit)
    worst = max(found, key=lambda each: found[each].z)
    change, z = found[worst], of_worst([each.z for each in found.values()])
    fired = z > limit and change.lasts
    since = series[change.since][0]
    what = f" of class {worst}" if worst else ""
    # Of either channel the mean may lie on either side: what is said is where it lies.
    where = "above" if -side * change.after > 0 else "below"
    miss = f"{abs(change.after):.4f} {where} what was predicted{what}"
    says = f"since {since} the mean outcome is {miss} (z {z:.1f}, limit {limit:g})"
    return Channel(name, z, change.newest, limit, fired, since, slack, -change.after, change.error, says, -change.last)


def _measured(verdict: Mapping[str, Any], value: float, error: float) -> Measured:
    return Measured(value, error, verdict["rows"], verdict["df"], verdict["borrowed"])
