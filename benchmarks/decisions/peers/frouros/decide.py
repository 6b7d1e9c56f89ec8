"""Frouros 0.9: its two-sample tests column by column; it leaves it to the user what to make of several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from frouros.detectors.data_drift import ChiSquareTest, KSTest


def drift(question: dict[str, Any]) -> list[dict[str, bool]]:
    """Return whether any column's test is below 5 %, and below its Bonferroni share of that."""
    numbers, levels = question["numbers"], question["levels"]
    reference = pd.read_parquet(question["reference"])
    fitted: dict[str, Any] = {}
    for name in numbers + levels:
        fitted[name] = KSTest() if name in numbers else ChiSquareTest()
        fitted[name].fit(X=_values(reference[name], name in numbers))
    said = []
    for file in question["batches"]:
        batch = pd.read_parquet(file)
        try:
            least = min(
                float(detector.compare(X=_values(batch[name], name in numbers))[0].p_value)
                for name, detector in fitted.items()
            )
            said.append({"Frouros p < .05": least < 0.05, "Frouros Bonferroni": least < 0.05 / len(fitted)})
        except Exception:  # it stops whoever calls it
            said.append({"Frouros p < .05": True, "Frouros Bonferroni": True, "error": True})
    return said


def _values(column: pd.Series[Any], is_number: bool) -> Any:
    return column.to_numpy(dtype=np.float64) if is_number else column.astype(str).to_numpy()
