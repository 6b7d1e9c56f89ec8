"""Gives the seat back to an older generation.

**Reads** the ledger. **Writes** a new generation that points at the older version and cites its
gate report; the version's own feature definition comes back with it. **Emits** CHAMPION, and PREDICTIONS of
what is scored again.

**Normal:** started by a person, with a reason. `rescore` says what the generation that lost its seat has scored, and
is skipped unless it is asked for. **Worry** when it is needed twice in a row.
**Re-run:** a cleared run changes nothing, also after later promotions; start a new run to roll back again.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import DAG, Param, get_current_context, task

from incumbent.config import Model
from incumbent_airflow.assets import ModelAssets
from incumbent_airflow.defaults import Stage, dag_args
from incumbent_airflow.runtime import Runtime, emit, refuse_unknown, skip

LOG = logging.getLogger(__name__)


def rollback_dag(model: Model) -> DAG:
    """Return `<model>.rollback`, started by a person."""
    assets = ModelAssets(model)
    params = {
        # Without a default: a rollback to the first generation is nothing to happen by a slip.
        "generation": Param(type="integer", minimum=1, title="Generation", description="Whose version comes back."),
        "reason": Param("", type="string", minLength=1, maxLength=500, title="Reason", description="For the ledger."),
        "rescore": Param(
            False,
            type="boolean",
            title="Score again",
            description="Score again what the generation that loses its seat has scored; of one that has the seat "
            "already, what versions have scored that lost theirs.",
        ),
    }
    dag = DAG(
        f"{model.name}.rollback",
        schedule=None,
        **dag_args(model, Stage.PROMOTE, __doc__, max_active_runs=1, params=params),
    )

    @task(task_id="promote", outlets=[assets.champion])
    def promote() -> dict[str, Any]:
        from incumbent_airflow.seats import roll_back

        context = get_current_context()
        refuse_unknown(context)
        wanted = context["params"]
        outcome = roll_back(Runtime.open(model.name), wanted["generation"], wanted["reason"], context["run_id"])
        LOG.info("%s", outcome["message"])
        emit(context, assets.champion, str(outcome["partition"]), generation=outcome["generation"])
        return outcome

    @task(task_id="rescore", outlets=[assets.predictions])
    def rescore(outcome: dict[str, Any]) -> list[str]:
        from incumbent_airflow.seats import score_again

        context, affected = get_current_context(), sorted(outcome["affected"])
        if not affected:
            raise skip(
                "No partition holds predictions of a version that lost its seat: there is nothing to score again."
            )
        if not context["params"]["rescore"]:
            raise skip(f"{outcome['message']} They stay: `rescore` was not asked for.")
        done = score_again(Runtime.open(model.name), affected, outcome["generation"], context["run_id"])
        for partition in done:
            emit(context, assets.predictions, partition, generation=outcome["generation"])
        return done

    @task(task_id="register", retries=0)
    def register() -> str:
        from incumbent_airflow.stages import register_champion

        return register_champion(Runtime.open(model.name))

    with dag:
        outcome = promote()
        outcome >> register()
        rescore(outcome)
    return dag
