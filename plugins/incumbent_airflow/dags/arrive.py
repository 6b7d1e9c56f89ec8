"""Finds what landed and says which partition of which source it is.

**Reads** the drop folder, contracts, and what was asked for outside Airflow: retraining, replays of a
quarantine, releases. **Emits** one RAW asset per source, and REQUEST, with the partition key.

**Normal:** a run of a few seconds after each drop; the sources with nothing new are skipped.
**Worry** when a file lies in the drop folder and no run starts: look at the triggerer.
**Re-run:** safe at any time; what was ingested already is not announced again.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, get_current_context, task

from incumbent.config import Model
from incumbent.embedded.settings import S3, Settings
from incumbent_airflow.assets import ModelAssets
from incumbent_airflow.defaults import Stage, dag_args
from incumbent_airflow.runtime import Runtime, emit

REQUESTS, ORDERS = "requests", "score_orders"
FOUND = "found"
EVERY_MINUTE = "* * * * *"


def arrive_dag(model: Model, settings: Settings) -> DAG:
    """Return `<model>.arrive`, started by the watcher of the drop folder.

    It watches the contracts too: a file that was stopped is judged again once its contract is corrected. A bucket is
    not watched but looked at every minute: the credentials stay with the workers.
    One task looks for everything and chooses which sources to announce: the others are skipped by
    the scheduler, which costs no process.
    """
    assets = ModelAssets(model)
    # In a bucket they are not watched: `incumbent.maintenance` finds them.
    records = f"{settings.store}/{model.name}/records"
    asked_for = [f"{records}/requests/*/open.json", f"{records}/revisits/*/*/*/open.json"]
    asked_for += [f"{records}/{ORDERS}/*/open.json"]
    watched = [] if records.startswith(S3) else asked_for
    files = [f"{settings.drop}/{source.path.replace('{partition}', '*')}" for source in model.sources.values()]
    contracts = str(settings.models / "*" / "contract.yaml")  # all: one may extend another's
    dag = DAG(
        f"{model.name}.arrive",
        schedule=EVERY_MINUTE if settings.drop.startswith(S3) else [assets.landed((*files, contracts, *watched))],
        **dag_args(model, Stage.ARRIVE, __doc__, max_active_runs=1, params={}),
    )

    @task.branch(task_id="find")
    def find() -> list[str]:
        from incumbent.retrain.requests import start_pending
        from incumbent.score.orders import claim_orders
        from incumbent.validate.arrivals import claim_waiting

        runtime, context, now = Runtime.open(model.name), get_current_context(), datetime.now(UTC)
        store, contract = runtime.store, runtime.folder.contract_path
        found = claim_waiting(store, model, contract, runtime.drop, context["run_id"], now)
        found[ORDERS] = claim_orders(store, context["run_id"], now)
        found[REQUESTS] = sorted({request.partition for request in start_pending(store)})
        context["ti"].xcom_push(key=FOUND, value=found)
        return [f"announce_{name}" for name, partitions in found.items() if partitions]

    with dag:
        announced = {**{source: assets.raw(source) for source in model.sources}, REQUESTS: assets.request}
        announced[ORDERS] = assets.features  # SCORE takes them up
        find() >> [_announce(name, asset) for name, asset in announced.items()]
    return dag


def _announce(name: str, asset: Any) -> Any:
    @task(task_id=f"announce_{name}", outlets=[asset])
    def announce() -> list[str]:
        context = get_current_context()
        partitions: list[str] = context["ti"].xcom_pull(task_ids="find", key=FOUND)[name]
        for partition in filter(None, partitions):  # a once-only source has none: its event wakes a plain consumer
            emit(context, asset, partition)
        return partitions

    return announce()
