"""Rows that nobody would wish for: each ends with a model, or with one message that names the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_training import REQUEST, small_model, small_settings, small_tables, store_of

from incumbent.config import Model
from incumbent.embedded import ray_head
from incumbent.errors import TrainingError
from incumbent.estimators import predictor
from incumbent.features.out_of_core import snapshot_files
from incumbent.features.rows import feature_rows
from incumbent.records import ModelVersion, Training
from incumbent.store import ModelStore
from incumbent.train import work
from incumbent.train.flat import Flat
from incumbent.train.shared_rows import share, shared
from incumbent.train.stage import train_candidate

pytestmark = [pytest.mark.unit, pytest.mark.parametrize("estimator", ["xgboost", "lightgbm"])]
STOPS: dict[str, Any] = {"early_stopping": 5, "validation_days": 5}
TRAINING, VALIDATION = 100, 2200  # a row of each; the newest five days of those to train on are validation rows
NULL = pa.nulls(3000, pa.float64())


def with_columns(**columns: Any) -> tuple[pa.Table, pa.Table]:
    """Return the small tables with other or more feature columns."""
    features, outcomes = small_tables()
    return pa.table({**{name: features[name] for name in features.column_names}, **columns}), outcomes


def with_value(row: int, value: float) -> tuple[pa.Table, pa.Table]:
    """Return the small tables with another value of `x` in a row."""
    x = small_tables()[0]["x"].to_numpy().copy()
    x[row] = value
    return with_columns(x=pa.array(x))


def with_target(values: np.ndarray) -> tuple[pa.Table, pa.Table]:
    """Return the small tables with a target that is a number."""
    features, outcomes = small_tables(len(values))
    return features, outcomes.set_column(1, "late", pa.array(values))


def fit(
    root: Path, tables: tuple[pa.Table, pa.Table], task: str = "binary", **train: Any
) -> tuple[ModelStore, Training]:
    store, snapshot = store_of(root, *tables)
    return store, train_candidate(store, model_of(task, **train), snapshot, REQUEST, small_settings(root))


def model_of(task: str = "binary", **train: Any) -> Model:
    return small_model(rounds=12, **train).model_copy(update={"task": task})


def refused(root: Path, tables: tuple[pa.Table, pa.Table], task: str = "binary", **train: Any) -> TrainingError:
    """Return why nothing can be learned from the tables; nothing is left of it."""
    store, snapshot = store_of(root, *tables)
    with pytest.raises(TrainingError) as caught:
        train_candidate(store, model_of(task, **train), snapshot, REQUEST, small_settings(root))
    assert store.records.names(Training.kind) == store.records.names(ModelVersion.kind) == []
    assert not caught.value.retryable
    return caught.value


@pytest.fixture
def no_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if a round is learned."""
    monkeypatch.setattr(work, "fit", lambda *_: pytest.fail("it was fitted"))


def test_null_and_constant_features_are_named_and_the_training_goes_on(
    tmp_path: Path, estimator: str, caplog: pytest.LogCaptureFixture
) -> None:
    kind = pa.array([None] * 3000, pa.string())
    tables = with_columns(y=NULL, kind=kind, ones=np.ones(3000), some=pa.array([1.0, None] * 1500))
    store, training = fit(tmp_path, tables, estimator=estimator)
    said = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert said == ["null in all training rows: y, kind", "the same in all training rows: ones"]
    version = store.records.get(ModelVersion, training.version)
    assert version.importance["x"] > 0.5
    assert [version.importance[name] for name in ("y", "kind", "ones")] == [0, 0, 0]
    predictions = predictor(store)(version, feature_rows(store, version.definition, ["2020-01"]))
    assert np.isfinite(predictions).all()


@pytest.mark.usefixtures("no_fit")
@pytest.mark.parametrize("kind", [[None], ["a"]], ids=["null", "constant"])
def test_rows_without_a_feature_that_varies_are_refused_before_a_round_is_learned(
    tmp_path: Path, estimator: str, kind: list[str | None]
) -> None:
    tables = with_columns(x=NULL, y=np.ones(3000), kind=pa.array(kind * 3000, pa.string()))
    error = refused(tmp_path, tables, estimator=estimator)
    assert error.what == "nothing can be learned: every feature is null or constant"
    assert str(error.found).startswith("null in all training rows: x")
    assert "features.sql" in error.next_step


@pytest.mark.usefixtures("no_fit")
def test_a_constant_target_is_refused(tmp_path: Path, estimator: str) -> None:
    error = refused(tmp_path, with_target(np.full(3000, 3.0)), "regression", estimator=estimator)
    assert (error.what, error.expected) == ("all labels are the same", "a target that varies")


@pytest.mark.usefixtures("no_fit")
@pytest.mark.parametrize("launcher", ["process", "ray"])
@pytest.mark.parametrize("task", ["binary", "regression"])
def test_one_row_is_too_few_whatever_its_label(
    tmp_path: Path, estimator: str, launcher: str, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_head, "ensure", lambda *_: pytest.fail("it was started"))
    error = refused(tmp_path, with_target(np.ones(1)), task, estimator=estimator, launcher=launcher)
    assert (error.what, error.expected, error.found) == ("there are too few training rows", "at least 50", 1)
    assert "train.min_rows" in error.next_step


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300], ids=str)
@pytest.mark.parametrize("row", [TRAINING, VALIDATION], ids=["training", "validation"])
def test_an_infinite_or_too_large_value_names_its_feature(
    tmp_path: Path, estimator: str, row: int, value: float
) -> None:
    error = refused(tmp_path, with_value(row, value), estimator=estimator, **STOPS)
    assert (error.what, error.where) == ("a feature is infinite, or too large", "feature x")
    assert str(error.found).startswith("0 infinite and 1 larger" if value == 1e300 else "1 infinite and 0 larger")
    assert "nullif" in error.next_step


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
def test_a_target_that_runs_over_is_refused(tmp_path: Path, estimator: str) -> None:
    values = np.random.default_rng(1).normal(size=3000)
    values[TRAINING] = 1e30
    error = refused(tmp_path, with_target(values), "regression", estimator=estimator)
    assert error.what in ("a score is not finite", "what was learned is not finite")
    assert "look for extreme labels or weights" in error.next_step


def test_a_category_that_only_validation_rows_have_counts_as_missing(tmp_path: Path, estimator: str) -> None:
    kind = np.array(small_tables()[0]["kind"].to_pylist(), dtype=object)
    new, missing, known = kind.copy(), kind.copy(), kind.copy()
    new[1700:], missing[1700:], known[1700:] = "new", None, "a"
    trained = [
        fit(tmp_path / str(number), with_columns(kind=pa.array(values.tolist())), estimator=estimator, **STOPS)
        for number, values in enumerate((new, missing, known))
    ]
    (store, seen), (_, other), (_, first) = trained
    assert store.records.get(ModelVersion, seen.version).categories == {"kind": ["a", "b", "c"]}
    assert len(seen.scores["validation"]) > 0
    assert seen.scores == other.scores
    assert seen.scores != first.scores


def test_ten_thousand_columns_are_taken_from_the_rows_to_the_record(
    tmp_path: Path, estimator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Counted(pq.ParquetFile):  # type: ignore[misc]
        @property
        def schema_arrow(self) -> pa.Schema:
            asked.append("each time it is made anew, of all columns")
            return super().schema_arrow

    monkeypatch.setattr(pq, "ParquetFile", Counted)
    store, snapshot = store_of(tmp_path, *wide(10_000))
    model = small_model(rounds=2, estimator=estimator, params={"max_depth": 2})
    training = train_candidate(store, model, snapshot, REQUEST, small_settings(tmp_path))
    assert len(asked) < 100
    version = store.records.get(ModelVersion, training.version)
    assert len(version.features) == len(version.importance) == 10_000
    assert sum(version.importance.values()) == pytest.approx(1)
    assert predictor(store)(version, feature_rows(store, version.definition, ["2020-01"])).shape == (200,)


def test_ten_thousand_columns_reach_the_workers_of_a_cluster(tmp_path: Path, estimator: str) -> None:
    store, snapshot = store_of(tmp_path, *wide(10_000))
    given = work.Work(small_model(estimator=estimator), snapshot)
    with snapshot_files(store, snapshot) as files:
        prepared = given.prepare(store, files)
    found = shared(given.checkpoints(store).blobs, share(given.checkpoints(store), prepared)[0])
    assert len(found.encoder.features) == 10_000
    assert (found.encoder, found.flat) == (prepared.encoder, Flat(constant=("f5",)))
    assert (found.bins is None) == (prepared.bins is None)
    if found.bins is not None and prepared.bins is not None:
        np.testing.assert_array_equal(found.bins, prepared.bins)


def wide(columns: int) -> tuple[pa.Table, pa.Table]:
    """Return two hundred rows of so many features; `f5` is constant."""
    features, outcomes = small_tables(200)
    random = np.random.default_rng(2)
    names = [*features.column_names, *(f"f{number}" for number in range(columns - 3))]
    more = [np.ones(200) if number == 5 else random.normal(size=200) for number in range(columns - 3)]
    return pa.table([*features.columns, *more], names), outcomes
