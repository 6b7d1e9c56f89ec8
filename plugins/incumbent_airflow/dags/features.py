"""Tests a batch for integrity and computes its features; a held batch announces nothing.

**Reads** the batch and the context of its partition. **Writes** the champion's features and their profile,
and (`challenger`) those of a `features.sql` that differs from the champion's. **Emits** FEATURES.

**Normal:** a skipped run while a context source of the partition is still on its way. A failed `challenger`
says what is wrong with the edited `features.sql`; the champion goes on meanwhile.
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
        from incumbent.features.inputs import missing_sources
        from incumbent_airflow.stages import build_features

        runtime, context = Runtime.open(model.name), get_current_context()
        partition = partition_of(context, model)
        if waiting := missing_sources(runtime.store, model, partition):
            raise skip(f"{partition} waits for {', '.join(waiting)}.")
        built = build_features(runtime, partition)
        if built.part is None:
            raise skip("" if built.hold is None else built.hold.message)
        emit(context, assets.features, partition)
        return {"definition": built.definition, "rows": built.part.rows}

    @task(task_id="challenger")
    def challenger() -> str:
        from incumbent_airflow.stages import build_challenger_features

        return build_challenger_features(Runtime.open(model.name), partition_of(get_current_context(), model))

    with dag:
        features() >> challenger()
    return dag
