"""The folder's own choice of validation rows: what it sees, where it counts, and what becomes of a bad one."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_training import REQUEST, small_model, small_settings, small_store

from incumbent.config import Model
from incumbent.errors import TrainingError
from incumbent.features.out_of_core import snapshot_files
from incumbent.functions import Functions
from incumbent.records import ModelVersion, Search, Training
from incumbent.sensitive import Sensitive
from incumbent.store import ModelStore
from incumbent.store.check import check_model
from incumbent.train.order import read_order, write_order
from incumbent.train.rows import TrainingRows, choose_rows
from incumbent.train.search import trials_of
from incumbent.train.shared_rows import share, shared
from incumbent.train.stage import plan_training, train_candidate
from incumbent.train.work import Work

pytestmark = pytest.mark.unit
FIFTH = "import pyarrow.compute as pc\ndef split(rows):\n    return {}\n".format(
    "pc.equal(pc.subtract(rows['row'], pc.multiply(pc.divide(rows['row'], 5), 5)), 0)"
)
METRIC = """
METRIC_LARGER_IS_BETTER = False
def metric(labels, predictions, weights):
    return float(((labels - predictions) ** 2).mean())
"""
OBJECTIVE = "def objective(labels, margins, weights):\n    return margins - labels, 0 * margins + 1\n"
STOPS = {"early_stopping": 5, "validation_days": 5}
SEARCH = {"search": {"trials": 2, "space": {"max_depth": [2, 3]}}}


def own(text: str, **train: Any) -> Model:
    return small_model(**train).with_functions(Functions.of(text))


def chosen(root: Path, model: Model) -> TrainingRows:
    store, snapshot = small_store(root)
    with snapshot_files(store, snapshot) as files:
        return choose_rows(store, model, snapshot, files)


def test_it_chooses_rows_before_the_gates_without_an_embargo(tmp_path: Path) -> None:
    rows = chosen(tmp_path, own(FIFTH, **STOPS, weight="1 + x * x"))
    (train,), (validation,) = rows.train, rows.validation
    np.testing.assert_array_equal(validation.positions, np.arange(0, 2226, 5))
    np.testing.assert_array_equal(np.union1d(train.positions, validation.positions), np.arange(2226))
    assert len(train.positions) == len(train.labels) == len(train.weights) == 1780
    plain = chosen(tmp_path / "plain", small_model(**STOPS, weight="1 + x * x"))
    both = {int(at): (label, weight) for each in (*plain.train, *plain.validation)
            for at, label, weight in zip(each.positions, each.labels, each.weights, strict=True)}  # fmt: skip
    mine = {int(at): (label, weight) for each in (train, validation)
            for at, label, weight in zip(each.positions, each.labels, each.weights, strict=True)}  # fmt: skip
    assert both.items() <= mine.items()
    assert len(mine) > len(both), "the embargo's rows are learned from"
    assert str(rows.newest) == "2020-01-23"


def test_it_sees_keys_time_day_and_label(tmp_path: Path) -> None:
    seen = tmp_path / "seen.parquet"
    text = f"import pyarrow.parquet as pq\ndef split(rows):\n    pq.write_table(rows, {str(seen)!r})\n"
    rows = chosen(tmp_path, own(text + "    return rows['label'].to_numpy() == 1\n", **STOPS))
    told = pq.read_table(seen)
    assert [f"{field.name} {field.type}" for field in told.schema] == [
        "row int64", "at timestamp[us, tz=UTC]", "local_date date32[day]", "label double",
    ]  # fmt: skip
    assert told["row"].to_pylist() == list(range(2226))
    assert told["local_date"].to_pylist() == [at.date() for at in told["at"].to_pylist()]
    assert [set(each.labels) for each in (*rows.train, *rows.validation)] == [{0.0}, {1.0}]


@pytest.mark.parametrize("kind", ["numpy.asarray(rows['row']) % 5 == 0", "rows['row'].to_pandas() % 5 == 0",
                                  "pyarrow.array([row % 5 == 0 for row in rows['row'].to_pylist()])",
                                  "[row % 5 == 0 for row in rows['row'].to_pylist()]"])  # fmt: skip
def test_numpy_pandas_arrow_and_lists_say_it_alike(tmp_path: Path, kind: str) -> None:
    text = f"import numpy, pandas, pyarrow\ndef split(rows):\n    return {kind}\n"
    (validation,) = chosen(tmp_path, own(text, **STOPS)).validation
    np.testing.assert_array_equal(validation.positions, np.arange(0, 2226, 5))


@pytest.mark.parametrize(
    ("gives", "found"),
    [
        ("None", "object of shape ()"),
        ("rows['row']", "int64 of shape (2226,)"),
        ("[True]", "bool of shape (1,)"),
        ("[True] * rows.num_rows + [None]", "object of shape (2227,)"),
        ("[[True], [True, False]]", "object of shape (0,)"),
        ("numpy.random.default_rng().random(rows.num_rows) < 0.5", "other values for "),
        ("rows['row'][10_000]", "IndexError"),
    ],
)
def test_what_says_nothing_of_each_row_is_refused(tmp_path: Path, gives: str, found: str) -> None:
    text = f"import numpy\ndef split(rows):\n    return {gives}\n"
    with pytest.raises(TrainingError, match=r"model\.py") as caught:
        chosen(tmp_path, own(text, **STOPS))
    assert str(caught.value.found).startswith(found)
    assert caught.value.where.endswith("split")


@pytest.mark.parametrize(("gives", "says"), [("True", "no training rows"), ("False", "cannot say when to stop")])
def test_it_has_to_leave_rows_on_both_sides(tmp_path: Path, gives: str, says: str) -> None:
    store, snapshot = small_store(tmp_path)
    text = f"def split(rows):\n    return [{gives}] * rows.num_rows\n"
    with pytest.raises(TrainingError, match=says) as caught:
        train_candidate(store, own(text, **STOPS), snapshot, REQUEST, small_settings(tmp_path))
    assert "model.py" in str(caught.value)
    assert "validation_days" not in str(caught.value)


def test_without_early_stopping_or_a_search_it_is_not_asked(tmp_path: Path) -> None:
    rows = chosen(tmp_path, own("def split(rows):\n    return 1 / 0\n"))
    assert (rows.count, rows.validation) == (2226, ())


def test_a_fit_stops_early_on_its_rows_and_the_version_names_the_text(tmp_path: Path) -> None:
    store, training = train(tmp_path, FIFTH + METRIC, rounds=100, **STOPS)
    version = store.records.get(ModelVersion, training.version)
    assert store.objects.get(version.functions).decode() == FIFTH + METRIC
    assert version.train_rows == 1780
    assert training.metric == "model.py:metric"
    scores = list(training.scores["validation"])
    assert version.rounds == training.rounds == scores.index(min(scores)) + 1 < 100
    assert check_model(store) == []
    store.blobs.remove(f"objects/{store.objects.key(version.functions)}")
    assert "model.py" in str(check_model(store))


def train(root: Path, text: str, **settings: Any) -> tuple[ModelStore, Training]:
    store, snapshot = small_store(root)
    return store, train_candidate(store, own(text, **settings), snapshot, REQUEST, small_settings(root))


def test_a_search_judges_on_its_rows_and_then_all_are_learned_from(tmp_path: Path) -> None:
    store, training = train(tmp_path, FIFTH + METRIC, rounds=20, **SEARCH)
    found, version = store.records.get(Search, training.search), store.records.get(ModelVersion, training.version)
    assert (found.metric, found.larger_is_better) == ("model.py:metric", False)
    assert found.trials[found.chosen]["values"]["quality"] == min(each["values"]["quality"] for each in found.trials)
    assert version.train_rows == 2226
    assert store.objects.get(version.functions).decode() == FIFTH + METRIC


def test_a_split_that_only_the_search_has_used_is_on_record_too(tmp_path: Path) -> None:
    store, training = train(tmp_path, FIFTH, rounds=10, **SEARCH)
    version = store.records.get(ModelVersion, training.version)
    assert store.objects.get(version.functions).decode() == FIFTH
    assert check_model(store) == []


@pytest.mark.parametrize(
    ("text", "settings", "has_a_part"),
    [
        (METRIC, {}, True),
        (OBJECTIVE, {}, True),
        (FIFTH, {}, False),
        (FIFTH, STOPS, True),
        (FIFTH, SEARCH, True),
        ("def features(table, context):\n    return table\n", STOPS, False),
        ("# nothing\n", STOPS, False),
    ],
)
def test_a_text_that_has_a_part_names_the_work(
    tmp_path: Path, text: str, settings: dict[str, Any], has_a_part: bool
) -> None:
    _, snapshot = small_store(tmp_path)
    plain, with_text, edited = (
        Work(model, snapshot)
        for model in (small_model(**settings), own(text, **settings), own(text + "\n", **settings))
    )
    assert (plain.id != with_text.id) == (with_text.id != edited.id) == has_a_part
    assert with_text.functions == (text if has_a_part else "")
    assert Work(own(text, **settings), snapshot).id == with_text.id
    assert trials_of(with_text).model.functions.text == text


def test_nothing_else_is_recorded_where_no_function_has_a_part(tmp_path: Path) -> None:
    store, training = train(tmp_path, FIFTH, rounds=5)
    assert store.records.get(ModelVersion, training.version).functions == ""


def test_workers_get_the_text_and_the_rows_that_it_has_chosen(tmp_path: Path) -> None:
    store, snapshot = small_store(tmp_path)
    hidden = Sensitive(masked={"truth": ("late",)})
    work = plan_training(store, own(FIFTH + METRIC, **STOPS).with_sensitive(hidden), snapshot, REQUEST).work
    _, told = read_order(write_order(store, work), tmp_path / "scratch")
    assert told.model == work.model
    assert told.id == work.id
    assert told.model.functions == work.model.functions
    assert told.model.functions.hide
    with snapshot_files(store, snapshot) as files:
        name, _ = share(work.checkpoints(store), work.prepare(store, files))
    (validation,) = shared(work.checkpoints(store).blobs, name).rows.validation
    np.testing.assert_array_equal(validation.positions, np.arange(0, 2226, 5))
