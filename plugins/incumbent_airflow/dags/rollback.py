"""Gives the seat back to an older generation.

**Reads** the ledger. **Writes** a new generation that points at the older version and cites its
gate report; the version's own feature definition comes back with it. **Emits** CHAMPION.

**Normal:** started by a person, with a reason. **Worry** when it is needed twice in a row.
**Re-run:** a cleared run changes nothing, also after later promotions; start a new run to roll back again.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, get_current_context, task

from incumbent.config import Model
from incumbent_airflow.assets import ModelAssets
from incumbent_airflow.defaults import Stage, dag_args
from incumbent_airflow.runtime import Runtime, emit


def rollback_dag(model: Model) -> DAG:
    """Return `<model>.rollback`, started by a person."""
    assets = ModelAssets(model)
    params = {
        "generation": Param(1, type="integer", minimum=1, title="Generation", description="Whose version comes back."),
        "reason": Param("", type="string", minLength=1, maxLength=500, title="Reason", description="For the ledger."),
    }
    dag = DAG(
        f"{model.name}.rollback",
        schedule=None,
        **dag_args(model, Stage.PROMOTE, __doc__, max_active_runs=1, params=params),
    )

    @task(task_id="promote", outlets=[assets.champion])
    def promote() -> dict[str, object]:
        from incumbent_airflow.stages import roll_back

        context = get_current_context()
        wanted = context["params"]
        outcome = roll_back(Runtime.open(model.name), wanted["generation"], wanted["reason"], context["run_id"])
        emit(context, assets.champion, str(outcome["partition"]), generation=outcome["generation"])
        return outcome

    @task(task_id="register", retries=0)
    def register() -> str:
        from incumbent_airflow.stages import register_champion

        return register_champion(Runtime.open(model.name))

    with dag:
        promote() >> register()
    return dag
