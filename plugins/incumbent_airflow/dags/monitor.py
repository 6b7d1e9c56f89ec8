"""Judges drift when predictions are there, performance when outcomes are; rolls back, or asks for a retrain.

**Reads** features, predictions, outcomes and the champion's reference. **Writes** verdict records,
metrics and, off the critical path, an Evidently page of a bounded sample with these verdicts in it.
**Emits** REQUEST when the policy asks for a training, and CHAMPION when the champion is on probation and
has lost against the one before it.

**Normal:** two runs per partition, one after scoring and one after outcomes, and another where batch and context came
at the same moment, which finds everything judged; `rollback` and `retrain` skipped, each with the reason why not.
**Worry** when performance alarms repeat while every challenger is rejected, or `rollback` is green.
**Re-run:** safe; verdicts are keyed by what was judged, and a request is made once. A cleared run keeps
its decision, and `retrain` is then skipped, because nothing is announced twice; start a new run to decide anew.
"""

from __future__ import annotations

from airflow.sdk import DAG, TriggerRule, chain, get_current_context, task

from incumbent.config import Model
from incumbent_airflow.assets import ModelAssets, partitioned
from incumbent_airflow.defaults import Stage, dag_args
from incumbent_airflow.runtime import Runtime, emit, partition_of, skip


def monitor_dag(model: Model) -> DAG:
    """Return `<model>.monitor`, started by predictions and again by outcomes."""
    assets = ModelAssets(model)
    dag = DAG(
        f"{model.name}.monitor",
        schedule=partitioned(assets.predictions | assets.accepted(model.outcome_source), model.grain),
        **dag_args(model, Stage.MONITOR, __doc__, max_active_runs=1),
    )

    @task(task_id="monitor")
    def monitor() -> dict[str, object]:
        from incumbent_airflow.judging import judge

        runtime = Runtime.open(model.name)
        return judge(runtime, partition_of(get_current_context(), model))

    @task(task_id="rollback", outlets=[assets.champion])
    def rollback() -> dict[str, object]:
        from incumbent_airflow.seats import end_probation

        return _seated(end_probation(Runtime.open(model.name)), assets)

    @task(task_id="rollout", outlets=[assets.champion], trigger_rule=TriggerRule.NONE_FAILED)
    def rollout() -> dict[str, object]:
        from incumbent_airflow.rollouts import settle_rollout

        return _seated(settle_rollout(Runtime.open(model.name)), assets)

    @task(task_id="retrain", outlets=[assets.request], trigger_rule=TriggerRule.NONE_FAILED)
    def retrain() -> dict[str, object]:
        from incumbent.retrain.stage import decide_partition
        from incumbent_airflow.shadows import ask_for_seat

        runtime, context = Runtime.open(model.name), get_current_context()
        partition = partition_of(context, model)
        decision = ask_for_seat(runtime) or decide_partition(runtime.store, runtime.model, partition, context["run_id"])
        if decision["request"] is None:
            raise skip(str(decision["message"]))
        about = {name: decision[name] for name in ("request", "reason")}
        emit(context, assets.request, str(decision["partition"]), **about)
        return decision

    @task(task_id="report", retries=0)
    def report() -> str:
        from incumbent_airflow.judging import write_report

        runtime = Runtime.open(model.name)
        written = write_report(runtime, partition_of(get_current_context(), model))
        if written is None:
            raise skip("Nothing new to draw.")
        return written

    with dag:
        judged = monitor()
        steps = [rollback(), *([rollout()] if model.rollout else []), retrain()]
        chain(judged, *steps)
        judged >> report()
    return dag


def _seated(outcome: dict[str, object], assets: ModelAssets) -> dict[str, object]:
    """Announce who has the seat now; where nobody new has, the task is skipped with the sentence that says why."""
    if "generation" not in outcome:
        raise skip(str(outcome["sentence"]))
    emit(get_current_context(), assets.champion, str(outcome["partition"]), generation=outcome["generation"])
    return outcome
