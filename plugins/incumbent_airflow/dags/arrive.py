"""Finds what landed and says which partition of which source it is.

**Reads** the drop folder, and requests that were written outside Airflow. **Emits** one RAW asset
per source, and REQUEST, with the partition key.

**Normal:** a run of a few seconds after each drop; tasks of sources with nothing new are skipped.
**Worry** when a file lies in the drop folder and no run starts: look at the triggerer.
**Re-run:** safe at any time; what was ingested already is not announced again.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import DAG, get_current_context, task

from incumbent.config import Model
from incumbent.embedded.settings import Settings
from incumbent_airflow.assets import ModelAssets
from incumbent_airflow.defaults import Stage, dag_args
from incumbent_airflow.runtime import Runtime, emit, skip


def arrive_dag(model: Model, settings: Settings) -> DAG:
    """Return `<model>.arrive`, started by the watcher of the drop folder."""
    assets = ModelAssets(model)
    requests = str(settings.store / model.name / "records" / "requests" / "*" / "open.json")
    files = [str(settings.raw / source.path.replace("{partition}", "*")) for source in model.sources.values()]
    dag = DAG(
        f"{model.name}.arrive",
        schedule=[assets.landed((*files, requests))],
        **dag_args(model, Stage.ARRIVE, __doc__, max_active_runs=1, params={}),
    )
    with dag:
        for source in model.sources:
            _find(model, source, assets)
        _find_requests(model, assets)
    return dag


def _find(model: Model, source: str, assets: ModelAssets) -> None:
    asset = assets.raw(source)

    @task(task_id=f"find_{source}", outlets=[asset])
    def find() -> list[str]:
        from incumbent.validate.arrivals import new_deliveries

        runtime = Runtime.open(model.name)
        found = new_deliveries(runtime.store, model, source, runtime.settings.raw)
        if not found:
            raise skip(f"Nothing new of {source}.")
        _announce(get_current_context(), asset, found)
        return found

    find()


def _find_requests(model: Model, assets: ModelAssets) -> None:
    @task(task_id="find_requests", outlets=[assets.request])
    def find_requests() -> list[str]:
        from incumbent.retrain.requests import start_pending

        found = start_pending(Runtime.open(model.name).store)
        if not found:
            raise skip("No request waits to be started.")
        partitions = sorted({request.partition for request in found})
        _announce(get_current_context(), assets.request, partitions)
        return partitions

    find_requests()


def _announce(context: Any, asset: Any, partitions: list[str]) -> None:
    for partition in partitions:
        if partition:  # a once-only source has no partition: its event wakes a plain consumer
            emit(context, asset, partition)
