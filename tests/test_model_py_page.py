"""The page about model.py is right: its example becomes a champion by its own functions, and its messages are there."""

import re
from pathlib import Path

import numpy as np
import pytest
from tests.test_model_folder_page import example

from incumbent import config
from incumbent.definition import unpacked
from incumbent.estimators import predictor
from incumbent.functions import ARGUMENTS
from incumbent.records import ModelVersion, Training
from incumbent.retrain.requests import open_request
from incumbent.score import score
from incumbent.store.check import check_model
from incumbent.validate import ingest_or_raise
from incumbent_airflow import stages, training
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "model-py.md").read_text()
(EXAMPLE,) = re.findall(r"```python\n(# model\.py\n.*?)```", PAGE, re.S)
KEY = "2026-01"


def with_functions(root: Path) -> Runtime:
    runtime = example(root)
    path = runtime.folder.path
    text = (path / "model.yaml").read_text()
    assert "rounds: 60" in text
    (path / "model.yaml").write_text(text.replace("rounds: 60", "rounds: 60, early_stopping: 20"))
    (path / "model.py").write_text(EXAMPLE)
    return Runtime(config.load_model(path), runtime.settings)


def test_the_example_becomes_a_champion_by_its_own_functions(tmp_path: Path) -> None:
    runtime = with_functions(tmp_path)
    store = runtime.store
    assert runtime.model.functions.defined == set(ARGUMENTS)
    for source in runtime.model.sources:
        ingest_or_raise(store, runtime.model, runtime.folder.contract_path, source, KEY, runtime.raw_path(source, KEY))
    request = open_request(store, KEY, "cold_start", {}, degraded=False, message="the first")[0].id
    assert stages.build_features(runtime, KEY).part is not None
    stages.take_snapshot(runtime, request)
    training.begin_training(runtime, request)
    stages.evaluate_candidate(runtime, request)
    assert stages.promote_candidate(runtime, request, None)["kind"] == "promoted"

    done = store.records.get(Training, request)
    version = store.records.get(ModelVersion, done.version)
    assert list(version.features[-2:]) == ["hour_sin", "hour_cos"]
    assert unpacked(store.objects.get(version.definition).decode())[1] == EXAMPLE
    assert store.objects.get(version.functions).decode() == EXAMPLE
    assert done.metric == "model.py:metric"
    scores = list(done.scores["validation"])
    assert version.rounds == np.argmax(scores) + 1
    assert 0.5 < max(scores) <= 1
    days = {at.date() for at in store.features(version.definition).read([KEY])["ordered_at"].to_pylist()}
    learned = [day for day in days if day.isoformat() < version.train_until and day.toordinal() % 5 != 719163 % 5]
    assert version.train_rows == pytest.approx(len(learned) * 288, abs=24)

    (runtime.folder.path / "model.py").write_text("def features(table, context):\n    return 1 / 0\n")
    edited = Runtime(config.load_model(runtime.folder.path), runtime.settings)
    assert edited.folder.definition != version.definition
    assert stages.build_features(edited, KEY).definition == version.definition, "the champion goes on"
    assert score(store, edited.model, KEY, predictor(store), generation=1).rows == 7999
    assert check_model(store) == []


def test_each_function_is_in_the_table() -> None:
    rows = [line.split("|") for line in PAGE.splitlines() if line.startswith("| `")]
    said = {row[1].strip(" `"): tuple(re.findall(r"`(\w+)`", row[2])) for row in rows}
    assert said.keys() == ARGUMENTS.keys()
    for name, arguments in ARGUMENTS.items():
        assert said[name][: len(arguments)] == arguments or set(arguments) <= set(said[name])


def test_each_message_is_one_that_the_code_has() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "include" / "incumbent").rglob("*.py"))
    rows = PAGE.split("| message | what to do |")[1].split("\n\n")[0].splitlines()[2:]
    messages = [message.strip() for row in rows for message in row.split("|")[1].split("·")]
    assert len(messages) == 7
    assert [message for message in messages if message not in code] == []
