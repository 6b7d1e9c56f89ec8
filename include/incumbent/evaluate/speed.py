"""How long a candidate takes to predict, measured once and kept beside its report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any, ClassVar

import pyarrow as pa

from incumbent.records import Record

MOST_ROWS = 10_000
TRIES = 5


@dataclass(frozen=True)
class GateTiming(Record):
    """What was measured for the gate of the latency; a report does not repeat it, for it would be another each time.

    Attributes:
        candidate: Version digest.
        request: Retrain request id.
        rows: Gate rows that were predicted in each try.
        ms: How long each try took.
        ms_per_1000_rows: The median of the tries.
    """

    kind: ClassVar[str] = "gate_timings"

    candidate: str
    request: str
    rows: int
    ms: tuple[float, ...]
    ms_per_1000_rows: float


def measured(candidate: str, request: str, predict: Callable[[pa.Table], Any], rows: pa.Table) -> GateTiming | None:
    """Return how long some gate rows take; None if there are none.

    Args:
        candidate: Version digest.
        request: Retrain request id.
        predict: The candidate, which has predicted before: to read its file is no part of it.
        rows: Gate rows.
    """
    some = rows.slice(0, MOST_ROWS)
    if not some.num_rows:
        return None
    ms = []
    for _ in range(TRIES):
        start = perf_counter()
        predict(some)
        ms.append(1000 * (perf_counter() - start))
    return GateTiming(candidate, request, some.num_rows, tuple(ms), 1000 * median(ms) / some.num_rows)
