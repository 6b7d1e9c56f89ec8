"""What a gate report keeps for later batches: a part of the error rate, and the gate rows as the first look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from incumbent.config import Gates
from incumbent.stats import Evidence, Measured

LATER = "alpha_later"


def kept_for_later(gates: Sequence[Mapping[str, Any]]) -> tuple[float, Measured] | None:
    """Return the error rate that is left for a challenger in shadow, and its difference on the gate rows.

    The gate rows are looked at twice, by the fixed test at its part of the rate and as the first batch of the e-process
    at the other: the chance of a wrong promotion is at most the sum of both.

    Args:
        gates: Of a gate report.

    Returns:
        None where nothing was left: a first model, no finite scores, or a budget that was spent.
    """
    gate = next((each for each in gates if LATER in each), None)
    if gate is None:
        return None
    rows = next(each for each in gates if each["gate"] == "sample")
    positives = rows.get("positives")
    df = gate["clusters"] - 1
    if rows["unit"] == "rows" and positives is not None:
        df = min(positives, rows["rows"] - positives) - 1  # as `incumbent.stats.measured_advantage` has it
    return float(gate[LATER]), Measured(gate["estimate"], gate["error"], rows["rows"], df)


def is_proven(found: Evidence, needed: float, verdicts: Sequence[Mapping[str, Any]], limits: Gates) -> bool:
    """Return whether a challenger in shadow may ask for the seat.

    The other gates are asked on the rows in shadow alone, and once. So there have to be as many of the rarer class, and
    as many clusters, as these need: strong evidence after a single small batch would end as too small a sample, and
    never be asked again.

    Args:
        found: Gathered over the gate rows and the batches in shadow.
        needed: Evidence that is enough.
        verdicts: Of the batches in shadow.
        limits: Thresholds of the model's configuration.
    """
    rarer, clusters = sum(each.get("rarer", 0) for each in verdicts), sum(each["df"] + 1 for each in verdicts)
    enough = rarer >= limits.min_positives and clusters >= limits.min_clusters
    return found.e >= needed and found.estimate >= limits.min_improvement and enough
