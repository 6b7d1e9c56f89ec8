"""Judges one delivery against the contract and commits what passed.

**Reads** a raw file, and what was asked for about its batch: a replay of its quarantine, a release.
**Writes** the batch, context or outcome partition and the quarantine.
**Emits** BATCH, CONTEXT or OUTCOMES. Then `data_docs` draws what was expected and found.

**Normal:** some rows in quarantine, each with the rule and the reason. **Worry** when a run fails:
the delivery was stopped, nothing of it was committed, and the message names the file, the column
and what was expected. **Re-run:** safe; the same file under the same contract has the same verdict.
"""

from __future__ import annotations

from airflow.sdk import DAG, get_current_context, task

from incumbent.config import Model
from incumbent_airflow.assets import ModelAssets, partitioned
from incumbent_airflow.defaults import Stage, dag_args
from incumbent_airflow.runtime import Runtime, emit, partition_of


def ingest_dag(model: Model, source: str) -> DAG:
    """Return `<model>.ingest_<source>`, started by a delivery that was found."""
    assets = ModelAssets(model)
    once = model.sources[source].once
    raw, accepted = assets.raw(source), assets.accepted(source)
    overrides: dict[str, object] = {"params": {}} if once else {}
    dag = DAG(
        f"{model.name}.ingest_{source}",
        schedule=[raw] if once else partitioned(raw, model.grain),
        **dag_args(model, Stage.VALIDATE, __doc__, **overrides),
    )

    @task(task_id="validate", outlets=[accepted])
    def validate() -> dict[str, object]:
        from incumbent.features.inputs import looking_back
        from incumbent.validate import do_unanswered, ingest_or_raise

        runtime, context = Runtime.open(model.name), get_current_context()
        partition = "" if once else partition_of(context, model)
        path = runtime.raw_path(source, partition)
        ingest = do_unanswered(runtime.store, model, source, partition)
        if ingest is None or path.exists():  # a drop folder may be emptied once its files are accepted
            ingest = ingest_or_raise(runtime.store, model, runtime.folder.contract_path, source, partition, path)
        if not once:
            # A day that came after the next one: what looked back at it is made again.
            for key in (partition, *looking_back(runtime.store, model, source, partition)):
                emit(context, accepted, key, rows=ingest.rows, quarantined=ingest.quarantined)
        return {"verdict": ingest.verdict, "rows": ingest.rows, "quarantined": ingest.quarantined}

    @task(task_id="data_docs")
    def data_docs() -> list[str]:
        from incumbent.validate.docs import draw_missing

        partition = "" if once else partition_of(get_current_context(), model)
        return [page.name for page in draw_missing(Runtime.open(model.name).store, source, partition)]

    with dag:
        # A teardown draws a stopped delivery too, and neither saves nor spoils the run.
        validate() >> data_docs().as_teardown()
    return dag
