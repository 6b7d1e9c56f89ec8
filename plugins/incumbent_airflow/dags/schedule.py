"""Asks for each partition when its interval is over, and waits until its files are there.

**Reads** the drop folder. **Emits** RAW for the batch, the outcomes and each keyed context source.

**Normal:** the tasks defer, without a worker slot, until the file lands. **Worry** when one times
out: the sender is late. **Backfill** targets this DAG:
`airflow backfill create --dag-id MODEL.schedule --from-date 2013-01-01 --to-date 2013-03-31`.
**Re-run:** safe at any time; a delivery that was judged already is not judged again.
"""

from __future__ import annotations

from airflow.sdk import DAG

from incumbent.config import Model
from incumbent.embedded.settings import Settings
from incumbent.partitions import end_of, start_of
from incumbent_airflow.assets import ModelAssets, calendar
from incumbent_airflow.defaults import Stage, dag_args
from incumbent_airflow.sensors.delivery import DeliverySensor


def schedule_dag(model: Model, settings: Settings) -> DAG:
    """Return `<model>.schedule`, with one sensor per keyed source."""
    assets = ModelAssets(model)
    end_date = None if model.end is None else end_of(model.end, model.grain)
    dag = DAG(
        f"{model.name}.schedule",
        schedule=calendar(model),
        **dag_args(model, Stage.ARRIVE, __doc__, start_date=start_of(model.start, model.grain), end_date=end_date),
    )
    with dag:
        for name, source in model.sources.items():
            if not source.once:
                DeliverySensor(
                    task_id=f"await_{name}",
                    model=model.name,
                    grain=model.grain.value,
                    pattern=str(settings.raw / source.path),
                    asset=assets.raw(name),
                    outlets=[assets.raw(name)],
                )
    return dag
