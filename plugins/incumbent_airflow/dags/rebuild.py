"""Fits a past version again from its record, to prove that this still gives the same.

**Reads** the record of one old generation, and what it was fitted on. **Writes** what came of it
(`records/rebuilds`), and nothing else: no version, no request, no entry of the ledger. **Emits** nothing.

**Normal:** one generation a period, drawn by the run; a person may name one. Skipped where there is no old generation
yet, or something was taken away on purpose that it would need. **Worry** when it fails: the same record gives another
model now, and the message says what differs first.
**Re-run:** safe at any time; a retried or cleared run takes the same generation.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, DeltaTriggerTimetable, Param, get_current_context, task

from incumbent.config import Model
from incumbent_airflow.defaults import Stage, dag_args
from incumbent_airflow.runtime import Runtime, refuse_unknown, skip

GENERATION = Param(
    None,
    type=["null", "integer"],
    minimum=1,
    title="Generation",
    description="Whose version is fitted again; empty draws one.",
)


def rebuild_dag(model: Model, pool: str) -> DAG:
    """Return `<model>.rebuild`, one run in so many days."""
    dag = DAG(
        f"{model.name}.rebuild",
        schedule=DeltaTriggerTimetable(timedelta(days=model.rebuild.every_days or 1)),
        **dag_args(model, Stage.MAINTENANCE, __doc__, max_active_runs=1, params={"generation": GENERATION}),
    )

    @task(task_id="rebuild", pool=pool, execution_timeout=timedelta(hours=4))
    def rebuild() -> str:
        from incumbent_airflow.rebuilding import drawn_generation, rebuild_generation

        context = get_current_context()
        refuse_unknown(context)
        runtime, generation = Runtime.open(model.name), context["params"]["generation"]
        if generation is None:
            generation = drawn_generation(runtime, context["run_id"], context["dag_run"].run_after)
        if generation is None:
            raise skip("There is no generation yet that is not champion any more.")
        said, is_done = rebuild_generation(runtime, generation)
        if not is_done:
            raise skip(said)
        return said

    with dag:
        rebuild()
    return dag
