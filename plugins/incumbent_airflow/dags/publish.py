"""Copies a scored partition to where people work: a table of a database, or Parquet files.

**Reads** predictions. **Writes** each place that `publish` in model.yaml names, the partition as a whole or not at all.
**Emits** PUBLISHED of the place.

**Normal:** one task for each place; one is skipped when its partition was scored again meanwhile, which has a run of
its own. **Worry** when a task fails: its message says what the database or the bucket refuses; nothing of the partition
has changed there.
**Re-run:** safe at any time; what is there already is left as it is, and never replaced by something older.
"""

from __future__ import annotations

from airflow.sdk import DAG, get_current_context, task

from incumbent.config import Model
from incumbent_airflow.assets import ModelAssets, partitioned
from incumbent_airflow.defaults import Stage, dag_args
from incumbent_airflow.runtime import Runtime, emit, partition_of, skip


def publish_dag(model: Model) -> DAG:
    """Return `<model>.publish`, started by predictions, and by maintenance where that got lost."""
    assets = ModelAssets(model)
    dag = DAG(
        f"{model.name}.publish",
        schedule=partitioned(assets.predictions | assets.unpublished, model.grain),
        **dag_args(model, Stage.PUBLISH, __doc__),
    )
    with dag:
        for name in model.publish:
            _publish(model, name)
    return dag


def _publish(model: Model, name: str) -> None:
    asset = ModelAssets(model).published(name)

    @task(task_id=f"publish_{name}", outlets=[asset])
    def publish() -> dict[str, object]:
        from incumbent_airflow.publishing import publish_partition

        context = get_current_context()
        partition = partition_of(context, model)
        done = publish_partition(Runtime.open(model.name), name, partition)
        if done is None or not done.is_there:
            raise skip(f"{partition} was not scored yet." if done is None else done.message)
        emit(context, asset, partition, rows=done.rows, digest=done.digest)
        return {"rows": done.rows, "changed": done.changed, "message": done.message}

    publish()
