"""What past accepted deliveries of a source were like: the bounds that a new one is judged against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from incumbent.config import Model
from incumbent.records import Ingest
from incumbent.store import ModelStore
from incumbent.validate.contract import Learned
from incumbent.validate.delivery import Delivery, is_current

ROBUST = 1.4826  # times the median distance is the standard deviation of a normal distribution
FLOOR = 0.01  # of the median: a past without any spread would make every delivery unusual


@dataclass(frozen=True)
class Bounds:
    """Where a number usually lies.

    Attributes:
        low, high: Inclusive bounds.
        of: Number of past deliveries that set them.
    """

    low: float
    high: float
    of: int


def usual(store: ModelStore, model: Model, delivery: Delivery) -> dict[str, Bounds]:
    """Return the bounds of each learned rule, by its name; none while too few deliveries were accepted.

    Deliveries of other partitions whose rows are still held: what was replaced does not count.
    """
    learned = delivery.contract.learned
    if learned.rows is None and not learned.means:
        return {}
    past = [
        record
        for record in store.records.all(Ingest, f"{delivery.source}/")
        if record.verdict == "accepted" and record.partition != delivery.partition and is_current(store, model, record)
    ]
    return bounds(learned, past)


def bounds(learned: Learned, past: Sequence[Ingest]) -> dict[str, Bounds]:
    """Return the bounds that past deliveries set.

    >>> past = [Ingest("s", str(n), "", "", "accepted", 100 + n, 0, means={"x": 5.0 + n / 10}) for n in range(5)]
    >>> found = bounds(Learned(rows=2.0, means={"x": 4.0}), past)
    >>> found["usual.rows"]
    Bounds(low=51.0, high=204.0, of=5)
    >>> round(found["usual.x"].low, 2), round(found["usual.x"].high, 2)
    (4.61, 5.79)
    """
    out = {}
    rows = [float(record.rows + record.quarantined) for record in past]
    if learned.rows is not None and len(rows) >= learned.history:
        out["usual.rows"] = Bounds(median(rows) / learned.rows, median(rows) * learned.rows, len(rows))
    for name, width in learned.means.items():
        means = [record.means[name] for record in past if name in record.means]
        if len(means) >= learned.history:
            middle = median(means)
            spread = max(ROBUST * median([abs(mean - middle) for mean in means]), FLOOR * abs(middle))
            out[f"usual.{name}"] = Bounds(middle - width * spread, middle + width * spread, len(means))
    return out
