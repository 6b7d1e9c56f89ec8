"""Every DAG file parses for free, keeps the conventions, and is tied to the others as drawn."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import TriggerRule
from airflow.serialization.serialized_objects import DagSerialization

from incumbent.config import load_model
from incumbent_airflow.triggers.landed import look

pytestmark = pytest.mark.dag

ROOT = Path(__file__).parents[2]
KINDS = ("arrive", "features", "monitor", "rollback", "schedule", "score", "train")
HEAVY = (
    "pandas", "numpy", "pyarrow", "ray", "xgboost", "lightgbm", "onnxruntime", "mlflow", "evidently",
    "great_expectations", "deltalake", "duckdb", "scipy", "sklearn", "boto3", "incumbent.lineage",
)  # fmt: skip


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(dag_folder=str(ROOT / "dags"))


def test_all_files_import(bag: DagBag) -> None:
    assert bag.import_errors == {}


def test_the_dags_of_the_shipped_models_are_there(bag: DagBag) -> None:
    expected = {f"{model}.{kind}" for model in ("flights_delay", "flights_airtime") for kind in KINDS}
    expected |= {f"flights_delay.ingest_{name}" for name in ("flights", "outcomes", "weather", "planes", "airlines")}
    expected |= {f"flights_airtime.ingest_{name}" for name in ("flights", "outcomes")} | {"incumbent.maintenance"}
    assert set(bag.dags) == expected


def test_each_dag_survives_serialisation(bag: DagBag) -> None:
    for dag_id, dag in bag.dags.items():
        again = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
        assert {task.task_id for task in again.tasks} == {task.task_id for task in dag.tasks}, dag_id


def test_conventions(bag: DagBag) -> None:
    for dag_id, dag in bag.dags.items():
        kinds = {tag.split(":")[0] for tag in dag.tags}
        assert {"stage", "owner"} <= kinds, f"{dag_id}: tag it with its stage and owner"
        assert dag_id == "incumbent.maintenance" or f"model:{dag_id.split('.')[0]}" in dag.tags
        assert dag.doc_md and "**Re-run:**" in dag.doc_md, f"{dag_id}: say how to run it again safely"
        assert dag.catchup is False, dag_id
        assert dag.max_active_runs, dag_id
        assert dag.dagrun_timeout is not None, dag_id
        for task in dag.tasks:
            assert task.execution_timeout is not None or task.task_id == "approve", f"{dag_id}.{task.task_id}"
            assert task.owner not in ("", "airflow"), f"{dag_id}.{task.task_id} has no owner"


def test_a_corrected_contract_is_a_reason_to_look_again(bag: DagBag) -> None:
    dag: Any = bag.dags["flights_airtime.arrive"]
    (asset,) = dag.timetable.asset_condition.objects
    patterns = asset.watchers[0].trigger.patterns
    contracts = [
        str(ROOT / "include" / "models" / name / "contract.yaml") for name in ("flights_airtime", "flights_delay")
    ]
    assert set(contracts) <= set(look(patterns)), "its own, and the one that it extends"


def test_schedule_waits_until_the_slowest_file_is_a_week_late(bag: DagBag) -> None:
    dag: Any = bag.dags["flights_delay.schedule"]
    days = {task.task_id: task.timeout_s / 86_400 for task in dag.tasks}
    delay = load_model(ROOT / "include" / "models" / "flights_delay").model.label.delay_days
    assert days == {"await_flights": 7, "await_weather": 7, "await_outcomes": 7 + delay}
    assert dag.dagrun_timeout > timedelta(days=7 + delay)


def test_schedule_ends_with_the_data(bag: DagBag) -> None:
    dag: Any = bag.dags["flights_delay.schedule"]
    assert (dag.start_date.strftime("%Y-%m-%d"), dag.end_date.strftime("%Y-%m-%d")) == ("2013-01-01", "2014-01-01")


def outlets(bag: DagBag, dag_id: str) -> set[str]:
    return {asset.name for task in bag.dags[dag_id].tasks for asset in task.outlets}


def inlets(bag: DagBag, dag_id: str) -> set[str]:
    condition = bag.dags[dag_id].timetable.asset_condition
    return {asset.name for asset in getattr(condition, "objects", [condition])}


def test_the_chain_is_tied_as_the_architecture_says(bag: DagBag) -> None:
    name = "flights_delay"
    assert outlets(bag, f"{name}.ingest_flights") == {f"{name}.batch_flights"}
    assert inlets(bag, f"{name}.features") == {f"{name}.batch_flights", f"{name}.context_weather"}
    assert outlets(bag, f"{name}.features") == inlets(bag, f"{name}.score") == {f"{name}.features"}
    assert inlets(bag, f"{name}.monitor") == {f"{name}.predictions", f"{name}.outcomes_outcomes"}
    assert inlets(bag, f"{name}.train") == {f"{name}.request"}
    assert outlets(bag, f"{name}.monitor") == {f"{name}.request", f"{name}.champion"}
    assert outlets(bag, f"{name}.train") == {f"{name}.champion"}
    assert outlets(bag, f"{name}.rollback") == {f"{name}.champion", f"{name}.predictions"}


def test_mlflow_is_told_of_a_candidate_that_was_not_promoted_and_of_none_that_was_not_judged(bag: DagBag) -> None:
    """None failed, one succeeded: `promote` may be skipped, but not with `evaluate` or after a failure of either."""
    register = bag.dags["flights_delay.train"].get_task("register")
    assert register.upstream_task_ids == {"evaluate", "promote"}
    assert register.trigger_rule == TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS


def parse(tmp_models: Path | None, code: str) -> str:
    env = dict(os.environ)
    if tmp_models is not None:
        env["INCUMBENT_MODELS"] = str(tmp_models)
    folder = str(ROOT / "dags")
    lines = [
        "import sys",
        "from airflow.dag_processing.dagbag import DagBag",
        "looked_up = []",
        "watched = ('sqlite3.connect', 'socket.connect', 'subprocess.Popen')",
        "sys.addaudithook(lambda event, arguments: looked_up.append(event) if event in watched else None)",
        f"bag = DagBag(dag_folder={folder!r})",
    ]
    program = "\n".join([*lines, code])
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.splitlines()[-1]


def test_parsing_imports_nothing_heavy_and_looks_nothing_up() -> None:
    code = f"print(sorted(set({HEAVY!r}) & set(sys.modules)), bag.import_errors, looked_up)"
    assert parse(None, code) == "[] {} []"


def test_the_watch_for_look_ups_sees_one() -> None:
    assert parse(None, "import sqlite3; sqlite3.connect(':memory:'); print(looked_up)") == "['sqlite3.connect']"


def test_a_broken_folder_is_one_import_error_and_the_others_work(tmp_path: Path) -> None:
    for model in ("flights_delay", "flights_airtime"):
        source = ROOT / "include" / "models" / model
        (tmp_path / model).mkdir()
        for path in source.iterdir():
            (tmp_path / model / path.name).write_bytes(path.read_bytes())
    text = (tmp_path / "flights_airtime" / "model.yaml").read_text()
    (tmp_path / "flights_airtime" / "model.yaml").write_text(text.replace("grain: month", "grain: mnth"))
    code = (
        "errors = list(bag.import_errors.values())\n"
        "models = sorted({dag.split('.')[0] for dag in bag.dags})\n"
        "print(len(errors), models, 'flights_airtime/model.yaml: grain' in errors[0], \"found: mnth\" in errors[0])"
    )
    assert parse(tmp_path, code) == "1 ['flights_delay', 'incumbent'] True True"
