"""Scores a partition with the champion that is pinned for it.

**Reads** features and the ledger. **Writes** the predictions partition, each row with the
generation, version, batch and feature digests that made it. **Emits** PREDICTIONS.

**Normal:** a skipped run while there is no champion yet. **Worry** when the champion's file cannot
be verified; on probation it loses its seat then, and the one before scores.
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
    dag = DAG(
        f"{model.name}.score",
        schedule=partitioned(assets.features, model.grain),
        **dag_args(
            model,
            Stage.SCORE,
            __doc__,
            max_active_runs=1,
            params={"partition": partition_param(model), "generation": generation},
        ),
    )

    @task(task_id="score", outlets=[assets.predictions])
    def score() -> dict[str, object]:
        from incumbent_airflow.seats import score_batch

        context = get_current_context()
        partition = partition_of(context, model)
        chosen = context["params"].get("generation")
        result = score_batch(Runtime.open(model.name), partition, chosen, context["run_id"])
        if result.generation == 0:
            raise skip(result.message)
        emit(context, assets.predictions, partition, generation=result.generation, rows=result.rows)
        return {"generation": result.generation, "rows": result.rows, "message": result.message}

    with dag:
        score()
    return dag
