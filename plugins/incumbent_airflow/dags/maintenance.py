"""Repairs what events and services lost, every five minutes.

**Reads** requests, replays, releases, ledgers and MLflow. **Writes** the MLflow registry and alias; stops an
idle Ray head; once a day removes replaced data that nothing needs, of models with `retention`. **Emits** REQUEST,
RAW and FEATURES for deliveries and orders that no run has taken up, ever more rarely; UNPUBLISHED for predictions that
are not where `publish` says. **Tells** OpenLineage what got lost on the way, where that is on.

**Normal:** the `requests`, `waiting`, `orders` and `unpublished` tasks are skipped, the `registry` tasks find the alias
in place. **Worry** when a task fails: its message names what in that model's store it could not use; the other models
are looked at all the same. **Re-run:** safe at any time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import DAG, Asset, get_current_context, task

from incumbent.config import Model
from incumbent_airflow.assets import ModelAssets
from incumbent_airflow.defaults import RUN_TIMEOUT, START_DATE, Stage, default_args
from incumbent_airflow.lineage import is_told
from incumbent_airflow.runtime import Runtime, current_settings, emit, skip

LOG = logging.getLogger(__name__)
NO_REQUEST = "Every request has a run, or was announced a short while ago."
NO_ORDER = "No order to score again waits, or it was announced a short while ago."
PUBLISHED = "All predictions are published, or were announced a short while ago."


def maintenance_dag(models: list[Model]) -> DAG:
    """Return `incumbent.maintenance`, one for the project."""
    dag = DAG(
        "incumbent.maintenance",
        schedule="*/5 * * * *",
        start_date=START_DATE,
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=RUN_TIMEOUT,
        default_args=default_args("platform"),
        tags=[f"stage:{Stage.MAINTENANCE}", "owner:platform"],
        doc_md=__doc__,
        is_paused_upon_creation=False,
    )
    with dag:
        for model in models:
            assets = ModelAssets(model)
            _lost(model, "requests", assets.request, _requests, NO_REQUEST)
            _waiting(model)
            _lost(model, "orders", assets.features, _orders, NO_ORDER)  # SCORE takes them up
            _reconcile(model.name)
            if model.publish:
                _lost(model, "unpublished", assets.unpublished, _unpublished, PUBLISHED)
            if model.retention.keep_days is not None:
                _vacuum(model.name)
            if is_told():
                _lineage(model.name)
        _stop_idle_ray()
    return dag


def _lost(model: Model, what: str, asset: Asset, find: Callable[[Runtime, str], list[str]], nothing: str) -> None:
    """Announce again what no run has taken up; the function finds the partitions that are this run's to announce."""

    @task(task_id=f"{what}_{model.name}", outlets=[asset])
    def lost() -> list[str]:
        context = get_current_context()
        found = find(Runtime.open(model.name), context["run_id"])
        if not found:
            raise skip(nothing)
        for partition in found:
            emit(context, asset, partition)
        return found

    lost()


def _requests(runtime: Runtime, run: str) -> list[str]:
    from incumbent_airflow.stages import lost_requests

    return lost_requests(runtime, run)


def _orders(runtime: Runtime, run: str) -> list[str]:
    from incumbent.score.orders import claim_orders

    return claim_orders(runtime.store, run, datetime.now(UTC))


def _unpublished(runtime: Runtime, run: str) -> list[str]:
    from incumbent_airflow.publishing import unpublished

    return unpublished(runtime, run)


def _waiting(model: Model) -> None:
    raw = {source: ModelAssets(model).raw(source) for source in model.sources}
    once = [source for source in raw if model.sources[source].once]

    @task.branch(task_id=f"waiting_{model.name}", outlets=[raw[source] for source in raw if source not in once])
    def waiting() -> list[str]:
        from incumbent.validate.arrivals import claim_waiting

        # Deliveries too: of one whose run has failed nobody tells the watcher again.
        runtime, context, now = Runtime.open(model.name), get_current_context(), datetime.now(UTC)
        contract = runtime.folder.contract_path
        found = claim_waiting(runtime.store, runtime.model, contract, runtime.drop, context["run_id"], now)
        if not any(found.values()):
            raise skip("Nothing waits, or it was announced a short while ago.")
        for source, partitions in found.items():
            for partition in filter(None, partitions):
                emit(context, raw[source], partition)
            LOG.info("%s: %s", source, ", ".join(partition or "once" for partition in partitions) or "nothing waits")
        return [f"announce_{model.name}_{source}" for source in once if found[source]]

    # A source that comes once has no partition: its event is that of a task, which is skipped while nothing waits.
    waiting() >> [_announce(model, source, raw[source]) for source in once]


def _announce(model: Model, source: str, asset: Asset) -> Any:
    @task(task_id=f"announce_{model.name}_{source}", outlets=[asset])
    def announce() -> str:
        return source

    return announce()


def _reconcile(model: str) -> None:
    @task(task_id=f"registry_{model}")
    def registry() -> str:
        from incumbent_airflow.stages import register_champion

        return register_champion(Runtime.open(model))

    registry()


def _vacuum(model: str) -> None:
    @task(task_id=f"vacuum_{model}")
    def vacuum() -> str:
        from incumbent_airflow.stages import vacuum_daily

        done = vacuum_daily(Runtime.open(model), get_current_context()["run_id"])
        if done is None:
            raise skip("It was done today.")
        return done

    vacuum()


def _lineage(model: str) -> None:
    @task(task_id=f"lineage_{model}", retries=0)
    def lineage() -> str:
        from incumbent_airflow.lineage import tell_waiting

        return tell_waiting(model)

    lineage()


def _stop_idle_ray() -> None:
    @task(task_id="stop_idle_ray")
    def stop_idle_ray() -> str:
        from incumbent_airflow.stages import stop_ray_if_idle

        return stop_ray_if_idle(current_settings())

    stop_idle_ray()
