"""Tests a batch for integrity and computes its features; a held batch announces nothing.

**Reads** the batch and the context of its partition. **Writes** the features of every definition in
use, and their profile. **Emits** FEATURES.

**Normal:** a skipped run while a context source of the partition is still on its way.
**Worry** when a run is skipped with "Held": a column that the champion relies on is broken (units,
nulls, unseen levels). Nothing was scored or trained; deliver a corrected file and the month goes on.
**Re-run:** safe; the same inputs give the same rows and commit nothing.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from airflow.sdk import DAG, get_current_context, task
from airflow.sdk.definitions.asset import BaseAsset

from incumbent.config import Model
from incumbent_airflow.assets import ModelAssets, partitioned
from incumbent_airflow.defaults import Stage, dag_args
from incumbent_airflow.runtime import Runtime, emit, partition_of, skip


def features_dag(model: Model) -> DAG:
    """Return `<model>.features`, started by the batch and by each keyed context source."""
    assets = ModelAssets(model)
    keyed = [source for source in model.context_sources if not model.sources[source].once]
    inputs: BaseAsset = reduce(or_, [assets.accepted(source) for source in (model.batch_source, *keyed)])
    dag = DAG(
        f"{model.name}.features",
        schedule=partitioned(inputs, model.grain),
        **dag_args(model, Stage.FEATURES, __doc__, max_active_runs=1),
    )

    @task(task_id="features", outlets=[assets.features])
    def features() -> dict[str, object]:
        from incumbent.features.build import build, definitions_in_use
        from incumbent.features.inputs import missing_sources

        runtime, context = Runtime.open(model.name), get_current_context()
        partition = partition_of(context, model)
        if waiting := missing_sources(runtime.store, model, partition):
            raise skip(f"{partition} waits for {', '.join(waiting)}.")
        definitions = definitions_in_use(runtime.store, runtime.folder.features_sql)
        builds = build(runtime.store, model, definitions, partition)
        for held in (found.hold for found in builds if found.hold is not None):
            raise skip(held.message)
        emit(context, assets.features, partition)
        return {found.definition[:16]: found.part.rows for found in builds if found.part is not None}

    with dag:
        features()
    return dag
