"""Scores a partition with the champion that is pinned for it.

**Reads** features and the ledger. **Writes** the predictions partition, each row with the
generation, version, batch and feature digests that made it. **Emits** PREDICTIONS.

**Normal:** a skipped run while there is no champion yet. **Worry** when the champion's file cannot
be verified; on probation it loses its seat then, and the one before scores.
`explain` says of some rows what each feature adds; that it fails keeps no prediction back.
An order of `incumbent score` for the partition is done first, once.
**Re-run:** safe; inputs that were scored already stay as they are. To score a
partition again with another champion, trigger the DAG with that generation; cleared, such a run changes
nothing that was scored after it.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, get_current_context, task

from incumbent.config import Model
from incumbent_airflow.assets import ModelAssets, partitioned
from incumbent_airflow.defaults import Stage, dag_args, partition_param
from incumbent_airflow.runtime import Runtime, emit, partition_of, skip


def score_dag(model: Model) -> DAG:
    """Return `<model>.score`, started by features."""
    assets = ModelAssets(model)
    generation = Param(
        None,
        type=["null", "integer"],
        minimum=1,
        title="Generation",
        description="Score again with this generation of the ledger. Empty: the champion pinned for these inputs.",
    )
    as_of = Param(
        None,
        type=["null", "string"],
        title="Champion as of",
        description="Score again with who held the seat at a moment, or at the end of a day such as 2013-07-01.",
    )
    dag = DAG(
        f"{model.name}.score",
        schedule=partitioned(assets.features, model.grain),
        **dag_args(
            model,
            Stage.SCORE,
            __doc__,
            max_active_runs=1,
            params={"partition": partition_param(model), "generation": generation, "as_of": as_of},
        ),
    )

    @task(task_id="score", outlets=[assets.predictions])
    def score() -> dict[str, object]:
        from incumbent_airflow.seats import chosen_generation, score_batch

        context, runtime = get_current_context(), Runtime.open(model.name)
        partition, params = partition_of(context, model), context["params"]
        chosen = chosen_generation(runtime, params.get("generation"), params.get("as_of"))
        result = score_batch(runtime, partition, chosen, context["run_id"])
        if result.generation == 0:
            raise skip(result.message)
        emit(context, assets.predictions, partition, generation=result.generation, rows=result.rows)
        return {"generation": result.generation, "rows": result.rows, "message": result.message}

    @task(task_id="explain", retries=0)
    def explain() -> str:
        from incumbent.estimators import explainer
        from incumbent.score import explain

        runtime, partition = Runtime.open(model.name), partition_of(get_current_context(), model)
        done = explain(runtime.store, runtime.model, partition, explainer(runtime.store))
        if not done.rows:
            raise skip(done.message)
        return done.message

    with dag:
        scored = score()
        if model.explain.share:
            scored >> explain()
    return dag
