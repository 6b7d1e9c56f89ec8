"""The page about gates is right: its gates are the code's, its limits and its own gate judge the orders."""

import re
from pathlib import Path

import pytest
import yaml
from tests.test_model_folder_page import example

from incumbent import config
from incumbent.evaluate import gates
from incumbent.functions import FILE
from incumbent.records import GateReport, digest_of
from incumbent.retrain.requests import open_request
from incumbent.validate import ingest_or_raise
from incumbent_airflow import stages, training
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "gates.md").read_text()
(OWN,) = re.findall(r"```python\n(# model\.py\n.*?)```", PAGE, re.S)
(LIMITS,) = re.findall(r"```yaml\n(gates:\n.*?)```", PAGE, re.S)
KEY = "2026-01"


def test_each_gate_is_in_the_table_in_the_order_in_which_it_is_asked() -> None:
    rows = PAGE.split("| gate | asked of |")[1].split("\n\n")[0].splitlines()[2:]
    said = [row.split("|")[1].strip(" `") for row in rows]
    names = [name for name, *_ in (*gates.CHALLENGER, *gates.COLD_START, *gates.OTHERS)]
    assert sorted(said) == sorted({"data", "sample", "error_budget", "evidence", "gate_…", "leaks", *names})
    shipped = [name for name, *_ in gates.OTHERS]
    assert [name for name in said if name in shipped] == shipped


def test_each_key_of_the_configuration_is_in_the_table() -> None:
    rows = PAGE.split("| gate | asked of |")[1].split("\n\n")[0].splitlines()[2:]
    said = {key for row in rows for key in re.findall(r"`(\w+)`", row.split("|")[5])}
    assert said == set(config.Gates.model_fields)


def test_each_message_is_one_that_the_code_has() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "include" / "incumbent").rglob("*.py"))
    rows = PAGE.split("| message | what to do |")[1].split("\n\n")[0].splitlines()[2:]
    messages = [row.split("|")[1].strip() for row in rows]
    assert len(messages) == 4
    assert [message for message in messages if message not in code] == []


def test_the_example_judges_the_first_model_of_the_orders(tmp_path: Path) -> None:
    runtime = example(tmp_path)
    path = runtime.folder.path
    limits = yaml.safe_load(LIMITS)
    limits["gates"]["fairness"][0]["column"] = "warehouse"  # the orders of the other page have no customers
    limits["gates"]["fairness"][0]["max_gap"] = 0.9
    limits["gates"]["behaviour"][1]["tolerance"] = 0.9  # and their warehouses differ
    limits["gates"]["max_ms_per_1000_rows"] = 60_000  # a test says nothing about the machine
    (path / "model.yaml").write_text((path / "model.yaml").read_text() + yaml.safe_dump(limits))
    (path / FILE).write_text(OWN)
    runtime = Runtime(config.load_model(path), runtime.settings)
    store = runtime.store
    for source in runtime.model.sources:
        ingest_or_raise(store, runtime.model, runtime.folder.contract_path, source, KEY, runtime.raw_path(source, KEY))
    request = open_request(store, KEY, "cold_start", {}, degraded=False, message="the first")[0].id
    assert stages.build_features(runtime, KEY).part is not None
    stages.take_snapshot(runtime, request)
    training.begin_training(runtime, request)
    report = store.records.get(GateReport, stages.evaluate_candidate(runtime, request)["report"])
    found = {gate["gate"]: gate for gate in report.gates}
    assert (found["gate_heavy_orders"]["passed"], found["gate_heavy_orders"]["functions"]) == (
        True,
        digest_of(OWN.encode()),
    )
    assert 0.5 <= found["gate_heavy_orders"]["late"] <= 1
    assert found["cost"]["applies"] is False
    assert [test["kept"] / test["rows"] >= 0.95 for test in found["behaviour"]["tests"]] == [True, True]
    assert report.verdict == "promote", report.sentence
    assert stages.promote_candidate(runtime, request, None)["kind"] == "promoted"
