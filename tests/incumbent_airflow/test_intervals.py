"""A regression says between which numbers an outcome is expected, and as many of them are as it says."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from months import APRIL, FEBRUARY, JANUARY, MARCH, commit, first_champion, month, random_of, runtime_of
from pydantic import ValidationError
from small_training import small_model

from incumbent.config import Model, Score
from incumbent.intervals import KIND, error_bounds
from incumbent_airflow import seats, stages
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit
ROWS = 4000
CONTRACT = """
sources:
  events: {key: [row], columns: {row: {dtype: int64}, kind: {dtype: string}}}
  truth: {key: [row], columns: {row: {dtype: int64}, minutes: {dtype: float64}}}
"""


def model(interval: float | None = None) -> Model:
    plain = small_model(rounds=15, checkpoint_every=15, params={"max_depth": 3}).model_dump(mode="json")
    return Model.model_validate(
        {**plain, "task": "regression", "label": {"sql": "minutes"}, "score": {"interval": interval}}
    )


def with_interval(runtime: Runtime, interval: float | None) -> Runtime:
    changed = runtime.folder.model_copy(update={"model": model(interval)})
    return Runtime(changed, runtime.settings)


def deliver(runtime: Runtime, key: str) -> np.ndarray:
    """Commit a month whose outcomes have skewed errors; return the outcomes."""
    rng = random_of(key)
    x, y = rng.normal(size=(2, ROWS))
    minutes = 1.5 * x - 1.5 * y + rng.exponential(2.0, ROWS)
    commit(runtime, key, month(key, x=x, y=y, kind=rng.choice(["a", "b"], ROWS).tolist()), minutes=minutes)
    assert stages.build_features(runtime, key).part is not None
    return minutes


def scored(runtime: Runtime, key: str) -> pa.Table:
    assert seats.score_batch(runtime, key, None, f"run-{key}").generation == 1
    return runtime.store.predictions.read([key])


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    runtime = runtime_of(tmp_path, model(), CONTRACT)
    deliver(runtime, JANUARY)
    first_champion(runtime)
    return runtime


def test_as_many_outcomes_are_inside_as_it_says_and_as_many_on_each_side(runtime: Runtime) -> None:
    for key, level in ((FEBRUARY, 0.8), (MARCH, 0.95)):
        minutes = deliver(runtime, key)
        rows = scored(with_interval(runtime, level), key)
        low, high = (rows[name].to_numpy() for name in ("low", "high"))
        assert np.mean((minutes >= low) & (minutes <= high)) == pytest.approx(level, abs=0.02)
        assert np.mean(minutes < low) == pytest.approx((1 - level) / 2, abs=0.015)
        assert (rows["prediction"].to_numpy() - low)[0] != pytest.approx((high - rows["prediction"].to_numpy())[0])


def test_columns_come_with_the_setting_and_stay_as_nulls_without_it(runtime: Runtime) -> None:
    store = runtime.store
    deliver(runtime, FEBRUARY)
    assert "low" not in scored(runtime, FEBRUARY).column_names
    deliver(runtime, MARCH)
    assert scored(with_interval(runtime, 0.9), MARCH)["low"].null_count == 0
    deliver(runtime, APRIL)
    assert scored(runtime, APRIL)["low"].null_count == ROWS, "nobody asks for it any more"
    both = store.predictions.read([FEBRUARY, MARCH], ["row", "low", "partition"])
    assert (both["low"].null_count, both.num_rows) == (ROWS, 2 * ROWS)
    assert store.predictions.read().column_names == [*store.predictions.columns(), "partition"]
    assert seats.score_again(with_interval(runtime, 0.9), [FEBRUARY], 1, "a run") == [FEBRUARY]
    assert store.predictions.read([FEBRUARY])["high"].null_count == 0


def test_a_version_whose_errors_nobody_knows_has_no_interval(runtime: Runtime) -> None:
    (name,) = runtime.store.records.names(KIND)
    runtime.store.records.remove(KIND, name)
    deliver(runtime, FEBRUARY)
    rows = scored(with_interval(runtime, 0.9), FEBRUARY)
    assert (rows["low"].null_count, rows["prediction"].null_count) == (ROWS, 0)


def test_too_few_errors_bound_nothing() -> None:
    errors = np.arange(199.0)
    assert error_bounds(errors, 0.99) == (0.0, 198.0)
    assert error_bounds(errors[1:], 0.99) is None


@pytest.mark.parametrize(("task", "interval"), [("regression", 0.7), ("binary", 0.9)])
def test_other_levels_and_other_tasks_are_refused(task: str, interval: float) -> None:
    with pytest.raises(
        ValidationError, match=r"must be one of 0\.5" if task == "regression" else "is of task regression"
    ):
        Model.model_validate(
            {**small_model().model_dump(), "task": task, "score": Score.model_construct(interval=interval).model_dump()}
        )
