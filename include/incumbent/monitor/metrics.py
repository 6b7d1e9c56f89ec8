"""Judged quality as rows of the `metrics` table, for whoever draws or queries it."""

from __future__ import annotations

import pyarrow as pa

from incumbent.monitor.verdicts import PerformanceVerdict

SCHEMA = pa.schema(
    [
        ("generation", pa.int64()),
        ("version", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("error", pa.float64()),
        ("coverage", pa.float64()),
    ]
)


def metric_rows(verdict: PerformanceVerdict) -> pa.Table:
    """Return a judged partition's metric, its clustered error, and that of a constant prediction beside it.

    Of several classes the accuracy, too.

    Args:
        verdict: A verdict with `judged` true.
    """
    shared = {"generation": verdict.generation, "version": verdict.version, "coverage": verdict.coverage}
    rows = [
        {**shared, "metric": verdict.metric, "value": verdict.value, "error": verdict.error},
        {**shared, "metric": f"trivial_{verdict.metric}", "value": verdict.trivial, "error": None},
    ]
    if verdict.accuracy is not None:
        rows.append({**shared, "metric": "accuracy", "value": verdict.accuracy, "error": None})
    return pa.Table.from_pylist(rows, schema=SCHEMA)
