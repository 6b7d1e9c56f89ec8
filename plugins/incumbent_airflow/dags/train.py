"""Answers one retrain request: snapshot, train, evaluate, and promote on evidence.

**Reads** features, outcomes and the request. **Writes** the snapshot, the model version, the gate
report, the version's card and, when the gates passed, the ledger and MLflow. **Emits** CHAMPION.

**Normal:** `train_others` skipped: a request has one candidate, unless `train.warm_rounds` or the run's parameter
`since` asks for more, which then share its error rate. `promote` skipped with the gate's sentence: a challenger
that brings no evidence does not get the seat; `register` tells MLflow of it all the same. **Worry** when `train` fails:
the message names the remedy.
**Re-run:** safe; the snapshot is pinned by the request, a finished training is found and not repeated, and a killed one
goes on from its last checkpoint. An answered request keeps its answer, a person's "no" too: to have a
challenger judged again, trigger the DAG with a reason. With a moment as well, its snapshot holds what was known then.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Param, TriggerRule, chain, get_current_context, task

from incumbent.config import Model
from incumbent_airflow.assets import ModelAssets, partitioned
from incumbent_airflow.defaults import Stage, dag_args, partition_param
from incumbent_airflow.operators.approve import ApproveOperator
from incumbent_airflow.operators.train import TrainOnRayOperator
from incumbent_airflow.runtime import Runtime, emit, partition_of, skip

TEXT = ["null", "string"]  # the form demands what has no null among its types
REASON = Param(None, type=TEXT, maxLength=500, title="Reason", description="Why, for the ledger.")
KNOWN_AT = Param(
    None, type=TEXT, maxLength=40, title="Known at", description="What came later is not seen: 2013-07-01T00:00Z."
)
SINCE = Param(
    None,
    type=TEXT,
    maxLength=10,
    title="Also since",
    description="Trains a second candidate on the rows from this day on alone: 2013-07-01.",
)
ASKED = {"reason": REASON, "known_at": KNOWN_AT, "since": SINCE}


def train_dag(model: Model, pool: str) -> DAG:
    """Return `<model>.train`, started by a retrain request only."""
    assets = ModelAssets(model)
    dag = DAG(
        f"{model.name}.train",
        schedule=partitioned(assets.request, model.grain),
        **dag_args(
            model, Stage.TRAIN, __doc__, max_active_runs=1, params={"partition": partition_param(model), **ASKED}
        ),
    )

    @task(task_id="claim")
    def claim() -> str:
        from incumbent_airflow.stages import claim_request, why_unclaimed

        runtime, context = Runtime.open(model.name), get_current_context()
        asked = {name: context["params"][name] or "" for name in ASKED}
        partition = partition_of(context, model)
        if (claimed := claim_request(runtime, partition, context["run_id"], **asked)) is None:
            raise skip(why_unclaimed(runtime, partition))
        return claimed

    @task(task_id="snapshot")
    def snapshot(request: str) -> list[str]:
        from incumbent_airflow.stages import take_snapshot

        return take_snapshot(Runtime.open(model.name), request)

    @task(task_id="evaluate", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    def evaluate(request: str) -> dict[str, object]:
        from incumbent_airflow.stages import evaluate_candidate

        return evaluate_candidate(Runtime.open(model.name), request)

    @task(task_id="promote", outlets=[assets.champion], trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    def promote(request: str) -> dict[str, object]:
        from incumbent_airflow.stages import promote_candidate

        runtime, context = Runtime.open(model.name), get_current_context()
        answer = context["ti"].xcom_pull(task_ids="approve") if model.approvals.required else None
        outcome = promote_candidate(runtime, request, answer)
        if outcome["kind"] not in ("promoted", "already"):
            raise skip(str(outcome["message"]))
        emit(context, assets.champion, partition_of(context, model), generation=outcome["generation"])
        return outcome

    # Also of a candidate that was not promoted: else its run in MLflow would look as if it were still going on.
    @task(task_id="register", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
    def register() -> str:
        from incumbent_airflow.stages import register_champion

        return register_champion(Runtime.open(model.name))

    with dag:
        request = claim()
        others = snapshot(request)
        approve = [ApproveOperator.for_model(model)] if model.approvals.required else []
        evaluation, registered = evaluate(request), register()
        chain(others, _trainings(model, pool, request, others), evaluation, *approve, promote(request), registered)
        evaluation >> registered
    return dag


def _trainings(model: Model, pool: str, request: Any, others: Any) -> list[Any]:
    """Return the task of the request's first candidate, and the mapped one of the others."""
    how: dict[str, Any] = {"model": model.name, "pool": pool, "execution_timeout": timedelta(hours=4)}
    mapped = TrainOnRayOperator.partial(
        task_id="train_others", request=request, map_index_template="{{ task.origin }}", **how
    )
    return [TrainOnRayOperator(task_id="train", request=request, **how), mapped.expand(origin=others)]
