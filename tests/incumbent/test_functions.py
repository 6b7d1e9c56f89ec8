"""Which functions a model.py defines is told without running it; what it gets wrong is one message with its line."""

import sys
import traceback
from pathlib import Path

import pytest
from tests.incumbent.test_config import GOOD, write

from incumbent.config import load_model
from incumbent.definition import packed, unpacked
from incumbent.errors import ConfigError, FeatureError, TrainingError
from incumbent.functions import ARGUMENTS, Functions
from incumbent.records import digest_of
from incumbent.sensitive import Sensitive
from incumbent_airflow import dag_factory

pytestmark = pytest.mark.unit
METRIC = "def metric(labels, predictions, weights):\n    return 1 / labels\n"
FEATURES = "def features(table, context):\n    return table\n"


@pytest.mark.parametrize(
    ("text", "defined"),
    [
        ("", set()),
        (METRIC, {"metric"}),
        ("import os\nfrom sys import path as objective_path\nSCALE = 2\n" + METRIC, {"metric"}),
        ("def _metrics(a): ...\nclass Loss: ...\n" + METRIC, {"metric"}),
        ("def objective(y, f, w=None): ...\ndef split(rows, *, seed=1): ...\n" + FEATURES, set(ARGUMENTS) - {"metric"}),
        ("def metric(*rows): ...", {"metric"}),
        ("def _loss():\n    metric = 1\n", set()),
        ("def gate_b(contest): ...\ndef gate_a(contest, least=3): ...\n" + METRIC, {"gate_a", "gate_b", "metric"}),
    ],
)
def test_each_function_is_found(text: str, defined: set[str]) -> None:
    assert Functions.of(text).defined == defined


@pytest.mark.parametrize(
    ("text", "where", "found"),
    [
        ("\ndef metrics(labels, predictions, weights): ...", "line 2", "metrics"),
        ("def score(rows): ...", "line 1", "score"),
        ("def gate(contest): ...", "line 1", "gate"),
        ("def gate_(contest): ...", "line 1", "gate_"),
        ("def gate_a(): ...", "line 1", "gate_a()"),
        ("def gate_a(contest, least): ...", "line 1", "gate_a(contest, least)"),
        ("gate_a = print", "model.py", "`gate_a`"),
        ("def metric(labels, predictions): ...", "line 1", "metric(labels, predictions)"),
        ("def split(rows, seed): ...", "line 1", "split(rows, seed)"),
        ("def split(rows, *, seed): ...", "line 1", "split(rows, *, seed)"),
        ("async def metric(labels, predictions, weights): ...", "model.py", "`metric`"),
        ("from somewhere import objective", "model.py", "`objective`"),
        ("metric = sum", "model.py", "`metric`"),
        ("if True:\n    def split(rows): ...", "model.py", "`split`"),
        ("METRIC_LARGER_BETTER = False", "model.py", "`METRIC_LARGER_BETTER`"),
        ("\n\ndef metric(:", "line 3", "invalid syntax"),
        ("x = 'a\0b'", "model.py", "null bytes"),
    ],
)
def test_what_is_no_function_of_it_is_refused_with_its_line(text: str, where: str, found: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.py cannot be used") as caught:
        Functions.of(text, "folder/model.py")
    assert caught.value.where.startswith("folder/model.py")
    assert caught.value.where.endswith(where)
    assert found in str(caught.value.found)


def test_a_typo_is_told_the_names() -> None:
    with pytest.raises(ConfigError) as caught:
        Functions.of("def metrics(labels, predictions, weights): ...")
    assert caught.value.expected == "one of metric, objective, split, features, gate_NAME; or a name that begins with _"


def test_dag_files_read_the_text_and_run_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path, GOOD)
    for name in ("contract.yaml", "features.sql"):
        (folder / name).write_text("")
    ran = tmp_path / "ran"
    (folder / "model.py").write_text(f"open({str(ran)!r}, 'w')\nimport no_such_library\n{METRIC}")
    monkeypatch.setenv("INCUMBENT_MODELS", str(tmp_path))
    (model,) = dag_factory.models()
    dag_factory.check_folders()  # whose contract nobody understands is no reason to run it either
    assert "metric" in model.functions
    assert not ran.exists()
    with pytest.raises(ConfigError, match=r"No module named 'no_such_library'") as caught:
        model.functions.call("metric", 1, 2, 3)
    assert caught.value.where == "model.py, line 2"
    assert ran.exists()


def test_a_text_is_run_once_a_process_and_is_a_module(tmp_path: Path) -> None:
    log = tmp_path / "log"
    text = f"from __future__ import annotations\nimport dataclasses\nopen({str(log)!r}, 'a').write('x')\n"
    text += "@dataclasses.dataclass\nclass Loss:\n    value: float\n"
    text += "def metric(labels, predictions, weights):\n    return Loss(labels).value\n"
    assert [Functions.of(text).call("metric", number, 2, 3) for number in range(3)] == [0, 1, 2]
    assert log.read_text() == "x"
    assert f"incumbent_model_py_{digest_of(text.encode())[:16]}" in sys.modules
    Functions.of(text + "\n").call("metric", 1, 2, 3)
    assert log.read_text() == "xx"


def test_a_text_is_compiled_as_it_stands() -> None:
    text = "class _Row:\n    x: int\ndef metric(labels, predictions, weights):\n    return _Row.__annotations__['x']\n"
    assert Functions.of(text).call("metric", 1, 2, 3) is int


def test_a_function_that_fails_is_told_with_its_line_and_nobodys_values() -> None:
    found, value = Functions.of("\n" + METRIC.replace("1 / labels", "{}[labels]")), "-".join("Ann")
    with pytest.raises(TrainingError, match=r"a function of model\.py failed") as caught:
        found.call("metric", value, 2, 3)
    assert caught.value.where == "model.py, line 3: metric"
    assert caught.value.found == "KeyError: 'A-n-n'"
    assert "return {}[labels]" in "".join(traceback.format_exception(caught.value)), "the line itself"
    hidden = Functions(found.text, found.defined, hide=True)
    with pytest.raises(FeatureError, match="not shown") as masked:
        hidden.call("metric", value, 2, 3, error=FeatureError)
    assert value not in "".join(traceback.format_exception(masked.value))


@pytest.mark.parametrize(("said", "found"), [("", True), ("METRIC_LARGER_IS_BETTER = False\n", False)])
def test_the_file_says_which_score_is_better(said: str, found: bool) -> None:
    assert Functions.of(said + METRIC).larger_is_better is found
    with pytest.raises(ConfigError, match="True or False"):
        _ = Functions.of("METRIC_LARGER_IS_BETTER = 'no'\n" + METRIC).larger_is_better


def test_a_folder_has_the_functions_of_its_file(tmp_path: Path) -> None:
    folder = write(tmp_path, GOOD)
    assert load_model(folder).model.functions == Functions()
    (folder / "model.py").write_text(METRIC)
    model = load_model(folder).model
    assert model.functions.text == METRIC
    assert model.model_copy(update={"owner": "somebody"}).functions == model.functions
    assert not model.functions.hide
    assert model.with_sensitive(Sensitive(masked={"rows": ("name",), "truth": ()})).functions.hide
    (folder / "model.py").write_text("def metric(): ...")
    with pytest.raises(ConfigError, match=rf"{folder}/model\.py, line 1"):
        load_model(folder)


@pytest.mark.parametrize(
    ("train", "text", "refused"),
    [
        ("{estimator: lightgbm}", METRIC, ""),
        ("{estimator: lightgbm}", "def objective(labels, margins, weights): ...", "make use of a function"),
        ("{estimator: onnx, script: train.py}", METRIC, "make use of a function"),
        ("{estimator: onnx, script: train.py}", "def objective(labels, margins, weights): ...", "make use of a"),
        ("{estimator: onnx, script: train.py}", "def split(rows): ...\n" + FEATURES, ""),
        ("{estimator: onnx, script: model.py}", "print('a script, and no functions')\ndef main(): ...", ""),
        ("{params: {eval_metric: auc}}", METRIC, "two metrics"),
        ("{params: {eval_metric: auc}}", "def objective(labels, margins, weights): ...", ""),
    ],
)
def test_each_estimator_takes_what_it_can_make_use_of(tmp_path: Path, train: str, text: str, refused: str) -> None:
    folder = write(tmp_path, GOOD + f"train: {train}\n")
    (folder / "train.py").write_text("")
    (folder / "model.py").write_text(text)
    if refused:
        with pytest.raises(ConfigError, match=refused) as caught:
            load_model(folder)
        assert str(folder / "model.py") in caught.value.where
    else:
        load_model(folder)


def test_only_features_make_another_definition(tmp_path: Path) -> None:
    sql, folder = "SELECT 1\n", write(tmp_path, GOOD)
    (folder / "features.sql").write_text(sql)
    plain = digest_of(sql.encode())
    assert load_model(folder).definition == plain
    (folder / "model.py").write_text(METRIC)
    assert load_model(folder).definition == plain
    assert load_model(folder).definition_text == sql
    (folder / "model.py").write_text(FEATURES)
    own = load_model(folder).definition
    assert own != plain
    assert unpacked(load_model(folder).definition_text) == (sql, FEATURES)
    (folder / "model.py").write_text(FEATURES + "# more\n")
    assert load_model(folder).definition not in (own, plain)


@pytest.mark.parametrize("python", ["", 'def features(table, context):\n    return "ü\\n\'{}"\n'])
@pytest.mark.parametrize("sql", ["SELECT '{\"schema\"}'\r\n", '{"features.sql":"SELECT 1"}'])
def test_a_definition_comes_out_as_it_went_in(sql: str, python: str) -> None:
    assert unpacked(packed(sql, python)) == (sql, python)
    assert (packed(sql, python) == sql) == (python == "")
