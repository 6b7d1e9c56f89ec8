"""A typo in a model folder is one message that names the file and the key."""

import json
import pickle
from pathlib import Path

import pytest

from incumbent.config import Model, load_model, model_folders
from incumbent.errors import ConfigError
from incumbent.validate.contract import load_contract

pytestmark = pytest.mark.unit

GOOD = """
name: demo
owner: me
task: binary
grain: month
start: 2013-01
keys: [id]
time: at
sources:
  rows: {role: batch, path: "rows/{partition}.parquet"}
  truth: {role: outcomes, path: "truth/{partition}.parquet"}
label: {sql: y}
"""


def write(tmp_path: Path, text: str, name: str = "demo") -> Path:
    folder = tmp_path / name
    folder.mkdir(exist_ok=True)
    (folder / "model.yaml").write_text(text)
    return folder


def test_good_folder_with_the_shipped_defaults(tmp_path: Path) -> None:
    model = load_model(write(tmp_path, GOOD)).model
    assert (model.batch_source, model.outcome_source, model.context_sources) == ("rows", "truth", ())
    assert (model.embargo_days, model.evaluate.holdout_days, model.gates.alpha) == (1, 7, 0.01)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("owner: me", "ownr: me", "owner"),
        ("owner: me", f"owner: {'x' * 95}", "at most 80"),
        ("task: binary", "task: binarry", "'binary', 'multiclass' or 'regression'"),
        ("task: binary", "task: multiclass", "`label.classes` is of task multiclass, which needs it"),
        ("label: {sql: y}", "label: {sql: y, classes: [a, b, c]}", "`label.classes` is of task multiclass"),
        ("label: {sql: y}", "label: {sql: y, classes: [a, b]}", "two classes are task binary"),
        ("label: {sql: y}", "label: {sql: y, classes: [a, b, c, a]}", "each once"),
        ("label: {sql: y}", "label: {sql: y, classes: [1, 2, 3]}", "`label.classes.0`"),
        ("start: 2013-01", "start: 2013-1", "no month key"),
        ("label: {sql: y}", "label: {sql: y, delay: 1}", "delay"),
        ("label: {sql: y}", "label: {sql: y}\ngates: {alpha: 1.5}", "gates.alpha"),
        ("label: {sql: y}", "label: {sql: y}\ngates: {alpha_per_year: 0.04}", "none could be judged"),
        ("label: {sql: y}", "label: {sql: y}\ngates: {floors: {rmse: 3}}", "`gates.floors` of task binary knows auc"),
        ("label: {sql: y}", "label: {sql: y}\ngates: {ceilings: {auc: 0.9}}", "knows logloss, brier, and no auc"),
        ("label: {sql: y}", "label: {sql: y}\ngates: {cost: {false_positive: 1}}", "or `sql`"),
        ("label: {sql: y}", "label: {sql: y}\ngates: {cost: {sql: label, false_negative: 1}}", "or `sql`"),
        ("label: {sql: y}", "label: {sql: y}\ngates: {cost: {}}", "or `sql`"),
        (
            "label: {sql: y}",
            "label: {sql: y}\ngates: {fairness: [{column: sex, measure: luck, max_gap: 0.1}]}",
            "gates.fairness.0.measure",
        ),
        (
            "label: {sql: y}",
            "label: {sql: y}\ngates: {behaviour: [{name: t, feature: x, change: {add: 1, set: 2}, expect: same}]}",
            "a change is one of `add`, `multiply`, `set` and `swap`",
        ),
        (
            "label: {sql: y}",
            "label: {sql: y}\ngates: {behaviour: [{name: t, feature: x, change: {}, expect: same}]}",
            "a change is one of",
        ),
        (
            "label: {sql: y}",
            "label: {sql: y}\ngates: {behaviour: ["
            "{name: t, feature: x, change: {add: 1}, expect: same}, "
            "{name: t, feature: y, change: {add: 1}, expect: same}]}",
            "two tests of `behaviour` have one name",
        ),
        ("  truth: {role: outcomes", "  truth: {role: context", "role outcomes"),
        ("rows/{partition}.parquet", "rows/x.parquet", "{partition}"),
        ("keys: [id]", "keys: [id]\nkeys: [id]", "written twice"),
        ("keys: [id]", "keys: &a [id]\nx: *a", "aliases are not used"),
        ("name: demo", "name: ../demo", "name"),
        ("name: demo", "name: other", "different names"),
        ("keys: [id]", "keys: [", "not valid YAML"),
        pytest.param("keys: [id]", f"keys: {'[' * 100_000}", "not valid YAML", id="a bracket bomb"),
        ("start: 2013-01", "start: 2013-02-30", "`start`: day is out of range"),
        ("label: {sql: y}", "label: {sql: y, delay_days: 2013-02-30}", "`label.delay_days`: day is out of range"),
        ("label: {sql: y}", "label: {sql: y}\nevaluate: {{cluster}}", "`evaluate`: a key is plain text"),
        ("time: at", "time: at\ntimezone: America/New_Yrok", "timezone"),
        ("time: at", "time: at\ntimezone: ../at", "no time zone"),
        ("time: at", "time: at\ntimezone: America", "no time zone"),
        ("label: {sql: y}", "label: {sql: y}\nevaluate: {cluster: [id, yaer]}", "found: yaer"),
        ("start: 2013-01", "start: 2013-01\nend: 9999-12", "after the last date"),
        ("label: {sql: y}", "label: {sql: y}\napprovals: {timeout_hours: .inf}", "timeout_hours"),
    ],
)
def test_each_mistake_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in GOOD
    folder = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_model(folder)
    assert says in str(caught.value)
    assert "model.yaml" in caught.value.where
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - our own error


CLASSES = GOOD.replace("task: binary", "task: multiclass").replace("sql: y", "sql: y, classes: [low, mid, high]")


def test_classes_keep_their_order_and_are_no_matter_of_balance(tmp_path: Path) -> None:
    assert load_model(write(tmp_path, CLASSES)).model.label.classes == ("low", "mid", "high")
    for text in (CLASSES, GOOD.replace("task: binary", "task: regression")):
        with pytest.raises(ConfigError, match=r"`train\.balance` is of task binary; say with `train\.weight`"):
            load_model(write(tmp_path, f"{text}train: {{balance: true}}\n"))


NUMBER = GOOD.replace("task: binary", "task: regression")
LESS = "{name: t, feature: x, change: {add: 1}, expect: not_less}"


@pytest.mark.parametrize(
    ("text", "gates", "says"),
    [
        (CLASSES, "floors: {auc: 0.6}", "of task multiclass knows accuracy, and no auc"),
        (CLASSES, "fairness: [{column: sex, measure: calibration, max_gap: 0.1}]", "knows error, and no calibration"),
        (CLASSES, "cost: {false_positive: 1, false_negative: 2}", "`gates.cost` of task multiclass is `sql`"),
        (CLASSES, f"behaviour: [{LESS}]", "of task multiclass expects `same`"),
        (NUMBER, "ceilings: {logloss: 1}", "of task regression knows rmse, mae, and no logloss"),
        (NUMBER, "fairness: [{column: sex, measure: selection_rate, max_gap: 0.1}]", "knows calibration, error"),
        (NUMBER, "cost: {false_positive: 1, false_negative: 2}", "`gates.cost` of task regression is `sql`"),
    ],
)
def test_a_gate_that_could_not_judge_a_task_is_refused(tmp_path: Path, text: str, gates: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_model(write(tmp_path, f"{text}gates: {{{gates}}}\n"))
    assert says in str(caught.value)


def test_gates_travel_to_another_process_as_they_are(tmp_path: Path) -> None:
    gates = (
        "{floors: {r2: 0.5}, ceilings: {rmse: 3}, fairness: [{column: sex, measure: error, max_gap: 2}], slices: [a], "
        "cost: {sql: abs(label - prediction)}, max_megabytes: 9, max_ms_per_1000_rows: 9, behaviour: ["
        f"{LESS}, {{name: u, feature: x, change: {{swap: [a, b]}}, expect: same}}, "
        "{name: v, feature: x, change: {set: true}, expect: same}]}"
    )
    model = load_model(write(tmp_path, f"{NUMBER}gates: {gates}\n")).model
    assert Model.model_validate(json.loads(json.dumps(model.model_dump(mode="json")))) == model
    assert [each.change.set for each in model.gates.behaviour] == [None, None, True]
    assert model.gates.behaviour[1].change.swap == ("a", "b")


@pytest.mark.parametrize(
    ("estimator", "name", "instead"),
    [
        ("xgboost", "num_class", "; say label.classes instead"),
        ("lightgbm", "num_class", "; say label.classes instead"),
        ("xgboost", "multi_strategy", ""),
    ],
)
def test_what_follows_from_the_classes_is_no_parameter(tmp_path: Path, estimator: str, name: str, instead: str) -> None:
    text = f"{CLASSES}train: {{estimator: {estimator}, params: {{{name}: 4}}}}\n"
    with pytest.raises(ConfigError, match=f"'{name}' is not a parameter to set here{instead}"):
        load_model(write(tmp_path, text))


DATABASE = """
    path: rows/{partition}.parquet
    connection: shop
    query: SELECT id, at FROM rows WHERE at >= :start AND at < :end
    timezone: Europe/Berlin
    delay_hours: 6
"""
ROWS = '  rows: {role: batch, path: "rows/{partition}.parquet"}'
FROM_DATABASE = GOOD.replace(ROWS, f"  rows:\n    role: batch{DATABASE}")


def test_a_source_may_come_from_a_database(tmp_path: Path) -> None:
    source = load_model(write(tmp_path, FROM_DATABASE)).model.sources["rows"]
    assert (source.connection, source.timezone, source.delay_hours) == ("shop", "Europe/Berlin", 6)
    assert load_model(write(tmp_path, GOOD)).model.sources["rows"].connection is None


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("    connection: shop\n", "", "needs `connection` too"),
        ("    query: SELECT id, at FROM rows WHERE at >= :start AND at < :end\n", "", "needs `query` too"),
        ("connection: shop", "connection: postgres://me:w0rd@host/shop", "the id of an Airflow connection"),
        (".parquet", ".csv", "ends in .parquet"),
        ("AND at < :end", "", "asks for one partition"),
        ("at >= :start AND at < :end", "true", "asks for one partition"),
        (":end", ":emd", "line 1: there is no parameter :emd, only :start, :end, :partition"),
        (":end", ":end AND name <> 'x", "line 1: ' is not closed"),
        ("Europe/Berlin", "Europe/Berln", "no time zone has the name 'Europe/Berln'"),
        ("delay_hours: 6", "delay_hours: -1", "delay_hours"),
    ],
)
def test_each_mistake_about_a_database_is_named(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in DATABASE
    folder = write(tmp_path, GOOD.replace(ROWS, f"  rows:\n    role: batch{DATABASE.replace(old, new)}"))
    with pytest.raises(ConfigError) as caught:
        load_model(folder)
    assert says in str(caught.value)
    assert "model.yaml: sources.rows" in caught.value.where
    assert "w0rd" not in str(caught.value)


@pytest.mark.parametrize("query", ["SELECT * FROM planes", "SELECT * FROM planes WHERE month = :partition"])
def test_what_is_looked_up_may_be_a_whole_table(tmp_path: Path, query: str) -> None:
    source = f'{{role: context, path: "p/{{partition}}.parquet", connection: shop, query: "{query}"}}'
    text = GOOD.replace("label:", f"  planes: {source}\nlabel:")
    assert load_model(write(tmp_path, text)).model.sources["planes"].query == query
    once = text.replace("p/{partition}.parquet", "planes.parquet").replace("connection:", "once: true, connection:")
    with pytest.raises(ConfigError, match="is read for each partition"):
        load_model(write(tmp_path, once))


def test_outcomes_are_asked_for_when_they_are_known(tmp_path: Path) -> None:
    text = GOOD.replace("label: {sql: y}", "label: {sql: y, delay_days: 3}").replace(
        "start: 2013-01", "start: 2013-01\ntimezone: America/New_York"
    )
    model = load_model(
        write(
            tmp_path,
            text.replace(
                'truth/{partition}.parquet"', 'truth/{partition}.parquet", connection: shop, query: "SELECT :partition"'
            ),
        )
    ).model
    assert str(model.due("truth", "2013-03")) == "2013-04-04 04:00:00+00:00"
    assert str(model.due("rows", "2013-03")) == "2013-04-01 04:00:00+00:00"
    late = FROM_DATABASE.replace("label: {sql: y}", "label: {sql: y, delay_days: 3}")
    assert str(load_model(write(tmp_path, late)).model.due("rows", "2013-03")) == "2013-04-01 06:00:00+00:00"


CONTRACT = """
sources:
  rows: {key: [id], columns: {id: {dtype: int64}, at: {dtype: timestamp}}}
  truth: {key: [id], columns: {id: {dtype: int64}, y: {dtype: float64}}}
"""


def test_keys_are_columns_of_batch_and_outcomes(tmp_path: Path) -> None:
    folder = write(tmp_path, GOOD)
    (folder / "contract.yaml").write_text(CONTRACT)
    assert load_model(folder).model.keys == ("id",)
    write(tmp_path, GOOD.replace("keys: [id]", "keys: [id, at]"))
    with pytest.raises(ConfigError, match="keys") as caught:
        load_model(folder)
    assert (caught.value.found, caught.value.expected) == ("at", "columns of truth: id, y")
    other = write(tmp_path, GOOD.replace("name: demo", "name: other").replace("keys: [id]", "keys: [idd]"), "other")
    (other / "contract.yaml").write_text("extends: ../demo/contract.yaml\n")
    with pytest.raises(ConfigError, match="columns of rows: id, at"):
        load_model(other)


def test_a_contract_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, GOOD)
    (folder / "contract.yaml").write_text("sources: {rows: {columns: {id: {min: 2013-02-30}}}}")
    with pytest.raises(ConfigError, match=r"sources\.rows\.columns\.id\.min") as caught:
        load_model(folder)
    assert "contract.yaml, line 1" in caught.value.where
    (folder / "contract.yaml").write_text("sources: [rows]")
    load_model(folder)  # VALIDATE says what a contract looks like


def test_missing_and_oversized_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_model(tmp_path)
    with pytest.raises(ConfigError, match="too large"):
        load_model(write(tmp_path, "#" * 300_000))


def test_shipped_models_load_and_override_no_default_of_gates_monitor_and_retrain() -> None:
    root = Path(__file__).parents[2] / "include" / "models"
    folders = [load_model(path) for path in model_folders(root)]
    assert [folder.model.name for folder in folders] == ["flights_airtime", "flights_delay"]
    for folder in folders:
        given = folder.model.model_fields_set
        assert given.isdisjoint({"gates", "monitor", "retrain", "integrity", "approvals"})


def test_second_model_is_short() -> None:
    root = Path(__file__).parents[2] / "include" / "models" / "flights_airtime"
    lines = sum(len((root / name).read_text().splitlines()) for name in ("model.yaml", "features.sql", "contract.yaml"))
    assert lines <= 40


def test_what_the_project_decides_is_no_parameter(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'objective' is not a parameter to set here; say task instead"):
        load_model(write(tmp_path, GOOD + "train: {params: {objective: reg:absoluteerror}}\n"))


@pytest.mark.parametrize(
    ("train", "said"),
    [
        (
            "{estimator: lightgbm, params: {num_threads: 4}}",
            "'num_threads' is not a parameter to set here; say train.c",
        ),
        ("{estimator: lightgbm, params: {boosting: dart}}", "'boosting' is not a parameter to set here"),
        ("{estimator: onnx}", "`script` is of estimator onnx, which needs it"),
        ("{script: train.py}", "`script` is of estimator onnx, which needs it"),
        ("{estimator: onnx, script: ../train.py}", "script"),
        ("{estimator: onnx, script: train.py, rounds: 9}", "`rounds` is of an estimator that learns in rounds"),
        ("{estimator: onnx, script: train.py}", "file cannot be read"),
    ],
)
def test_each_estimator_has_its_own_settings(tmp_path: Path, train: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_model(write(tmp_path, GOOD + f"train: {train}\n"))
    assert said in str(caught.value)


def test_the_text_of_a_script_comes_with_its_model(tmp_path: Path) -> None:
    folder = write(tmp_path, GOOD + "train: {estimator: onnx, script: train.py}\n")
    (folder / "train.py").write_text("print('ü')\n")
    model = load_model(folder).model
    assert model.script == "print('ü')\n"
    assert model.model_copy(update={"owner": "somebody"}).script == model.script


def test_a_day_may_be_written_without_quotes(tmp_path: Path) -> None:
    daily = GOOD.replace("grain: month", "grain: day").replace("start: 2013-01", "start: 2013-01-07\nend: 2013-12-23")
    model = load_model(write(tmp_path, daily)).model
    assert (model.start, model.end) == ("2013-01-07", "2013-12-23")


def test_every_mistake_is_listed_with_the_keys_of_its_own_section(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text("sources: {orders: {key: [id], columns: {id: {dtype: int64, maximum: 31}, x: {dtype: float}}}}")
    with pytest.raises(ConfigError) as caught:
        load_contract(path)
    said = str(caught.value)
    assert "2 keys do not fit" in said
    assert f"{path}: sources.orders.columns.id.maximum" in said
    assert "expected: max? It is one of the keys dtype, nullable, min, max" in said
    assert "found: maximum, which is none of them" in said
    assert "examples: sources.orders.columns.x.dtype: Input should be 'int64'" in said
    assert caught.value.__cause__ is None and caught.value.__suppress_context__, "the message alone, without pydantic's"


def test_a_second_typo_is_told_like_the_first(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_model(write(tmp_path, f"{GOOD}\ngates: {{alfa: 0.01, min_improvment: 0.1}}"))
    said = str(caught.value)
    assert "gates.alfa" in said and "expected: alpha? It is one of the keys alpha, alpha_degraded" in said
    assert "gates.min_improvment: min_improvement? It is one of" in said


def test_what_is_wrong_with_the_whole_says_what_was_found(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_model(write(tmp_path, f"{GOOD}\ngates: {{floors: {{ac: 0.6}}}}"))
    said = str(caught.value)
    assert "`gates.floors` of task binary knows auc" in said
    assert "whole file" not in said and "a dict" not in said


def test_keys_that_do_not_fit_together_are_not_told_to_be_unknown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_model(write(tmp_path, GOOD + "train: {launcher: ray, workers: 2, min_workers: 3}\n"))
    assert "min_workers" in str(caught.value)
    assert "known keys" not in str(caught.value)


@pytest.mark.parametrize(
    ("cluster", "unit", "is_refused"),
    [("", "id", False), ("at", "at", False), ("local_date", "id", True), ("", "at", True)],
)
def test_what_a_rollout_deals_is_what_rows_are_compared_by(
    tmp_path: Path, cluster: str, unit: str, is_refused: bool
) -> None:
    folder = write(tmp_path, f"{GOOD}\nevaluate: {{cluster: [{cluster}]}}\nrollout: {{unit: [{unit}]}}")
    if not is_refused:
        assert load_model(folder).model.rollout is not None
        return
    with pytest.raises(ConfigError, match="what is dealt has to be what is compared"):
        load_model(folder)


def test_the_steps_of_a_rollout_grow(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="shares that grow"):
        load_model(write(tmp_path, f"{GOOD}\nrollout: {{unit: [id], steps: [0.5, 0.1]}}"))


@pytest.mark.parametrize(
    ("publish", "says"),
    [
        ("{work: {connection: c}}", "name one of them"),
        ("{work: {connection: c, table: t, path: /lake}}", "name one of them"),
        ("{work: {table: t}}", "needs `connection` too"),
        ("{work: {connection: c, table: t; DROP TABLE u}}", "`table` is a name"),
        ("{work: {connection: c, table: a.b.c}}", "`table` is a name"),
        ("{work: {connection: 'postgresql://me:p4ss@host', table: t}}", "`connection` is the id"),
        ("{lake: {path: lake}}", "`path` is the full path"),
        ("{lake: {path: 's3://bucket'}}", "`path` is the full path"),
        ("{lake: {path: /lake, connection: c}}", "a folder needs none"),
        ("{Work: {connection: c, table: t}}", "must match"),
        ("{work: {connection: c, table: t}, more: {connection: c, table: t}}", "the same place"),
        ("{lake: {path: 's3://bucket/a'}, more: {path: 's3://bucket/a/'}}", "the same place"),
        ("{work: {connection: c, tabel: t}}", "tabel"),
    ],
)
def test_a_place_of_publication_that_cannot_be_meant_is_refused(tmp_path: Path, publish: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_model(write(tmp_path, f"{GOOD}publish: {publish}\n"))
    assert says in str(caught.value)
    assert "p4ss" not in str(caught.value)


def test_places_of_publication(tmp_path: Path) -> None:
    text = (
        f"{GOOD}publish:\n  work: {{connection: c, table: sales.t}}\n  lake: {{path: 's3://bucket/a', connection: s}}\n"
    )
    model = load_model(write(tmp_path, text)).model
    assert [each.place for each in model.publish.values()] == [("c", "sales.t"), ("s", "s3://bucket/a")]
