"""Between which numbers an outcome is expected: a regression's prediction with what the gate rows say of its errors.

Split conformal prediction (Vovk et al. 2005; Lei et al. 2018): errors on rows that a version has not learned from bound
those of rows to come. For rows that are exchangeable with the gate rows the level is exact on the mean; a day unlike
those, or a world that moves on, has another share of outcomes inside, which is why the share is to be watched.

Here and not with a stage: EVALUATE writes them down, SCORE adds them to its rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from incumbent.config import INTERVALS
from incumbent.store import ModelStore

KIND = "intervals"
LOW, HIGH = "low", "high"
Floats = npt.NDArray[np.float64]


def error_bounds(errors: Floats, level: float) -> tuple[float, float] | None:
    """Return the two numbers between which the errors of new rows are with a probability; None of too few rows.

    Args:
        errors: Outcome minus prediction of rows that were not learned from, shape (n_rows,).
        level: Probability, in (0, 1); half of the rest is on each side.

    >>> error_bounds(np.arange(-9.0, 10.0), 0.8)
    (-8.0, 8.0)
    >>> error_bounds(np.arange(5.0), 0.8) is None
    True
    """
    out = math.floor((len(errors) + 1) * (1 - level) / 2 + 1e-9)  # of the n + 1 places of a new error, on each side
    if not out:
        return None
    ordered = np.sort(errors)
    return float(ordered[out - 1]), float(ordered[-out])


def keep_intervals(store: ModelStore, version: str, labels: Floats, predicted: Floats) -> None:
    """Write down what a version's errors on its gate rows are; what was written first stands."""
    errors = labels - predicted
    bounds = {str(level): found for level in INTERVALS if (found := error_bounds(errors, level)) is not None}
    store.records.claim(KIND, version, {"version": version, "rows": len(errors), "bounds": bounds})


def interval_of(store: ModelStore, version: str, level: float) -> tuple[float, float] | None:
    """Return what is added to a version's predictions for an interval; None if that is not known."""
    if not store.records.has(KIND, version):
        return None
    bounds: Mapping[str, tuple[float, float]] = store.records.get_plain(KIND, version)["bounds"]
    found = bounds.get(str(level))
    return None if found is None else (found[0], found[1])
