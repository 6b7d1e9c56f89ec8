"""Evidently 0.7: its defaults, and what a careful user would make of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import DriftedColumnsCount, MissingValueCount, OutListValueCount, OutRangeValueCount

MORE, ROWS = 0.01, 3  # share (and rows) of nulls, of values out of range or of new levels that a careful user lets pass


def drift(question: dict[str, Any]) -> list[dict[str, bool]]:
    """Return what the defaults and the tuned rule say of each batch."""
    names = [*question["numbers"], *question["levels"]]
    reference = pd.read_parquet(question["reference"])[names]
    definition = DataDefinition(numerical_columns=question["numbers"], categorical_columns=question["levels"])
    known = Dataset.from_pandas(reference, definition)
    said = []
    for file in question["batches"]:
        batch = pd.read_parquet(file)[names]
        try:
            current = Dataset.from_pandas(batch, definition)
            found = Report([DriftedColumnsCount()]).run(current, known).dict()["metrics"][0]["value"]
            answer = {"Evidently any column": found["count"] > 0, "Evidently dataset": found["share"] >= 0.5}
            answer["Evidently tuned"] = _tuned(reference, batch, known, current, question)
        except Exception:  # it stops whoever calls it
            answer = dict.fromkeys(("Evidently any column", "Evidently dataset", "Evidently tuned"), True)
            answer["error"] = True
        said.append({name: bool(yes) for name, yes in answer.items()})
    return said


def _tuned(
    reference: pd.DataFrame, batch: pd.DataFrame, known: Dataset, current: Dataset, question: dict[str, Any]
) -> bool:
    """Named columns alone, thresholds raised for the size of the batch, and tests of nulls, ranges and levels."""
    used, small = question["used"], 1 / np.sqrt(len(batch)) + 1 / np.sqrt(len(reference))
    numbers = [name for name in used if name in question["numbers"]]
    levels = [name for name in used if name in question["levels"]]
    most = max((reference[name].nunique() for name in levels), default=1)
    moved = DriftedColumnsCount(
        columns=used,
        num_method="wasserstein",
        num_threshold=float(max(0.1, 1.6 * small)),  # 1 % of quiet normal batches are above 1.6/√n
        cat_method="jensenshannon",
        cat_threshold=float(max(0.1, 0.5 * np.sqrt(most) * small)),
    )
    checks: list[Any] = [moved, *(MissingValueCount(column=name) for name in used)]
    for name in numbers:
        low, high = float(reference[name].min()), float(reference[name].max())
        checks.append(OutRangeValueCount(column=name, left=low, right=high))
    for name in levels:
        checks.append(OutListValueCount(column=name, values=[str(v) for v in reference[name].dropna().unique()]))
    first, *shares = Report(checks).run(current, known).dict()["metrics"]
    usual = [float(reference[name].isna().mean()) for name in used] + [0.0] * (len(numbers) + len(levels))
    return first["value"]["count"] > 0 or any(
        float(share["value"]["share"]) > before + max(MORE, ROWS / len(batch))
        for share, before in zip(shares, usual, strict=True)
    )
