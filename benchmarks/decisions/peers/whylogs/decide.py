"""whylogs 1.6: its sketches and default tests, drift below 0.05."""

from __future__ import annotations

from typing import Any

import pandas as pd
import whylogs
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores


def drift(question: dict[str, Any]) -> list[dict[str, bool]]:
    """Return whether any column is called drifted."""
    names = [*question["numbers"], *question["levels"]]
    known = whylogs.log(pd.read_parquet(question["reference"])[names]).view()
    said = []
    for file in question["batches"]:
        try:
            scores = calculate_drift_scores(
                whylogs.log(pd.read_parquet(file)[names]).view(), known, with_thresholds=True
            )
            drifted = any(score and score["drift_category"] == "DRIFT" for score in scores.values())
            said.append({"whylogs any column": drifted})
        except Exception:  # it stops whoever calls it
            said.append({"whylogs any column": True, "error": True})
    return said
