"""Asks for each partition when its interval is over: waits until its files are there, or queries a database for them.

**Reads** the drop folder, and the databases of sources that have a `connection`, whose rows it writes
into the drop folder. **Emits** RAW for the batch, the outcomes and each keyed context source.

**Normal:** the tasks defer, without a worker slot, until the file lands or the rows are due. **Worry**
when one times out: the sender is late; when an `extract_` fails, its message has what the database said.
**Backfill** targets this DAG:
`airflow backfill create --dag-id MODEL.schedule --from-date 2013-01-01 --to-date 2013-03-31`.
**Re-run:** safe at any time; a delivery that was judged already is not judged again.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from incumbent.config import Model
from incumbent.embedded.settings import Settings
from incumbent.partitions import end_of, start_of
from incumbent_airflow.assets import ModelAssets, calendar
from incumbent_airflow.defaults import MAX_ACTIVE_RUNS, RUN_TIMEOUT, Stage, dag_args
from incumbent_airflow.operators.extract import ExtractOperator
from incumbent_airflow.sensors.delivery import LATE, DeliverySensor


def schedule_dag(model: Model, settings: Settings) -> DAG:
    """Return `<model>.schedule`, with one sensor, or one extraction, per keyed source."""
    assets = ModelAssets(model)
    end_date = None if model.end is None else end_of(model.end, model.grain)
    dag = DAG(
        f"{model.name}.schedule",
        schedule=calendar(model),
        **dag_args(
            model, Stage.ARRIVE, __doc__, start_date=start_of(model.start, model.grain), end_date=end_date,
            **_patience(model),
        ),
    )  # fmt: skip
    with dag:
        for name, source in model.sources.items():
            if source.query is not None:
                ExtractOperator(
                    task_id=f"extract_{name}",
                    model=model.name,
                    source=name,
                    asset=assets.raw(name),
                    outlets=[assets.raw(name)],
                )
            elif not source.once:
                DeliverySensor(
                    task_id=f"await_{name}",
                    model=model.name,
                    grain=model.grain.value,
                    pattern=f"{settings.drop}/{source.path}",
                    timeout_s=_wait(model, name).total_seconds(),
                    asset=assets.raw(name),
                    outlets=[assets.raw(name)],
                )
    return dag


def _wait(model: Model, source: str) -> timedelta:
    """Return how long after a partition's end a source is waited for: until its rows are due, or its file late."""
    late = timedelta(0) if model.sources[source].query is not None else LATE
    return model.delay_of(source) + late


def _patience(model: Model) -> dict[str, Any]:
    """Return the limits of a run that waits for its sources, and of as many runs as wait at a time."""
    longest = max(
        (_wait(model, name) for name, source in model.sources.items() if not source.once), default=timedelta(0)
    )
    if not longest:
        return {}
    interval = end_of(model.start, model.grain) - start_of(model.start, model.grain)
    return {"dagrun_timeout": RUN_TIMEOUT + longest, "max_active_runs": MAX_ACTIVE_RUNS + -(-longest // interval)}
