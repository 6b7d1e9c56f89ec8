"""The KPIs of a partition whose outcomes are in, as the model folder's kpi.sql says them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from incumbent_airflow.runtime import Runtime

if TYPE_CHECKING:
    import pyarrow as pa

LOG = logging.getLogger(__name__)
KPIS = "kpis"


def measure(runtime: Runtime, partition: str, performance: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Record a partition's KPIs once for its predictions, its outcomes and the SQL, and return them.

    KPIs that cannot be computed stop no verdict: the log says why, and nothing is recorded.

    Args:
        runtime: The model.
        partition: Partition key.
        performance: The performance verdict; without outcomes that are complete enough nothing is measured.
        name: Its name.
    """
    from incumbent.errors import ConfigError
    from incumbent.records import digest_of

    store, sql = runtime.store, runtime.folder.kpi_sql
    if not sql or not performance.get("judged"):
        return []
    record = f"{partition}/{digest_of([name, sql])[:16]}"
    if not store.records.has(KPIS, record):
        try:
            values = _values(runtime, partition, sql)
        except ConfigError as error:
            LOG.error("%s", error)
            return []
        plain = {
            "partition": partition,
            "generation": performance["generation"],
            "version": performance["version"],
            "definition": store.objects.put(sql.encode()),
            "values": values.to_pylist(),
        }
        store.records.claim(KPIS, record, plain)
    return list(store.records.get_plain(KPIS, record)["values"])


def _values(runtime: Runtime, partition: str, sql: str) -> pa.Table:
    from incumbent.evaluate.stage import cluster_codes
    from incumbent.features.rows import outcome_rows
    from incumbent.kpi import kpi_rows, kpi_values
    from incumbent.score import champion_rows

    store, model = runtime.store, runtime.model
    said = ["prediction", *(["probability"] if model.label.classes else [])]
    predictions = champion_rows(store, partition, [*model.keys, model.time, *said])
    rows = kpi_rows(model, predictions, outcome_rows(store, model, [partition]))
    return kpi_values(sql, rows, model, cluster_codes(rows, model.evaluate.cluster)[0])


def kpi_metrics(values: list[dict[str, Any]], performance: dict[str, Any]) -> pa.Table:
    """Return measured KPIs as rows of the `metrics` table."""
    import pyarrow as pa

    from incumbent.monitor.metrics import SCHEMA

    shared = {name: performance[name] for name in ("generation", "version", "coverage")} if values else {}
    rows = [
        {**shared, "metric": f"kpi_{each['kpi']}", "value": each["value"], "error": each["error"]}
        for each in values
        if each["value"] is not None
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)
