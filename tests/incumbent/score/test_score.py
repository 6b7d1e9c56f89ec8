"""One champion a partition, pinned for its inputs, and every row says where it came from."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_training import FIRST, small_model

from incumbent.errors import FeatureError, ModelError
from incumbent.features.build import build
from incumbent.records import ModelVersion, Part, Promotion
from incumbent.score import ScoreResult, score
from incumbent.score.rows import Predict, Scored, scored
from incumbent.score.write import MadeBy, write
from incumbent.store import ModelStore, Store, generation_name
from incumbent.store.data_files import ROW_GROUP_ROWS

pytestmark = pytest.mark.unit
MODEL = small_model()
KEY = "2020-01"
SQL = b"SELECT * FROM batch"
OTHER = b"SELECT * REPLACE (x + 1 AS x) FROM batch"
DEFINITION = hashlib.sha256(SQL).hexdigest()


def deliver(store: ModelStore, rows: int = 5, key: str = KEY) -> None:
    table = pa.table(
        {
            "row": pa.array(range(rows), pa.int64()),
            "at": pa.array([FIRST] * rows, pa.timestamp("us", "UTC")),
            "x": np.arange(rows, dtype=float),
        }
    )
    store.batches("events").replace(key, table)
    build(store, MODEL, store.objects.put(SQL), key)


def seat(store: ModelStore, generation: int, sql: bytes = SQL, classes: tuple[str, ...] = ()) -> None:
    digest = f"{generation:064d}"
    version = ModelVersion(
        digest, "small", "xgboost", "multiclass" if classes else "binary", store.objects.put(sql), "s", ("x",), {}, {},
        1, 1, "2020-01-01", {"x": 1.0}, classes=classes,
    )  # fmt: skip
    store.records.put(digest, version)
    promotion = Promotion(generation, digest, "r", "", KEY, "promote", generation - 1, "why", "")
    store.records.put(generation_name(generation), promotion)


def predict(version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
    return np.asarray(rows["x"]) + 100 * int(version.digest)


@pytest.fixture
def store(any_store: Store) -> ModelStore:
    store = any_store.model("small")
    deliver(store)
    return store


def test_without_a_champion_nothing_is_written(store: ModelStore) -> None:
    result = score(store, MODEL, KEY, predict)
    assert (result.generation, result.changed) == (0, False)
    assert "no champion" in result.message
    seat(store, 1)
    assert score(store, MODEL, KEY, predict) == result, "a cleared run leaves alone what it left alone"
    assert store.predictions.part(KEY) is None
    assert score(store, MODEL, KEY, predict, generation=1).changed


def test_each_row_says_where_it_came_from(store: ModelStore) -> None:
    seat(store, 1)
    assert score(store, MODEL, KEY, predict).rows == 5
    rows = store.predictions.read([KEY])
    assert rows["prediction"].to_pylist() == [100.0, 101.0, 102.0, 103.0, 104.0]
    batch, features = store.batches("events").part(KEY), store.features(DEFINITION).part(KEY)
    assert batch is not None
    assert features is not None
    assert rows.drop_columns(["row", "at", "prediction"]).slice(0, 1).to_pylist() == [
        {
            "generation": 1,
            "version": f"{1:064d}",
            "batch_digest": batch.digest,
            "definition": DEFINITION,
            "features_digest": features.digest,
            "variant": "champion",
            "partition": KEY,
        }
    ]


def test_a_later_champion_does_not_rewrite_what_was_scored(store: ModelStore) -> None:
    seat(store, 1)
    score(store, MODEL, KEY, predict)
    seat(store, 2)
    again = score(store, MODEL, KEY, predict)
    assert (again.generation, again.changed) == (1, False)
    named = score(store, MODEL, KEY, predict, generation=2)
    assert (named.generation, named.changed) == (2, True)
    assert store.predictions.read([KEY])["prediction"].to_pylist()[0] == 200.0


def test_a_run_that_named_a_generation_scores_once(store: ModelStore) -> None:
    seat(store, 1)
    seat(store, 2)
    first = score(store, MODEL, KEY, predict, generation=1, run="run-1")
    assert (first.generation, first.changed) == (1, True)
    assert score(store, MODEL, KEY, predict, generation=2, run="run-2").changed
    later = store.predictions.part(KEY)
    cleared = score(store, MODEL, KEY, predict, generation=1, run="run-1")
    assert (cleared.generation, cleared.version, cleared.rows, cleared.changed) == (1, f"{1:064d}", 5, False)
    assert "start a new run" in cleared.message
    assert store.predictions.part(KEY) == later
    assert score(store, MODEL, KEY, predict, generation=1, run="run-3").changed, "a new run means it"


def test_a_cleared_run_that_named_a_generation_leaves_a_correction(store: ModelStore) -> None:
    seat(store, 1)
    seat(store, 2)
    score(store, MODEL, KEY, predict, generation=1, run="run-1")
    deliver(store, rows=6)
    assert score(store, MODEL, KEY, predict, run="run-2").generation == 2
    corrected = store.predictions.part(KEY)
    assert not score(store, MODEL, KEY, predict, generation=1, run="run-1").changed
    assert store.predictions.part(KEY) == corrected


def test_a_run_that_was_held_stays_without_predictions(store: ModelStore) -> None:
    deliver(store, key="2019-12")
    seat(store, 1)
    seat(store, 2)
    rows = store.batches("events").read([KEY]).drop_columns(["partition"])
    store.batches("events").replace(KEY, rows.set_column(2, "x", pa.array([9e9] * 5)))
    held = score(store, MODEL, KEY, predict, generation=1, run="run-1")
    assert (held.generation, held.message[:4]) == (0, "Held")
    deliver(store, rows=6)
    assert score(store, MODEL, KEY, predict, run="run-2").changed
    corrected = store.predictions.part(KEY)
    assert score(store, MODEL, KEY, predict, generation=1, run="run-1").generation == 0
    assert store.predictions.part(KEY) == corrected


def test_a_run_that_was_killed_before_it_scored_goes_on(store: ModelStore) -> None:
    seat(store, 1)

    def killed(version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(store, MODEL, KEY, killed, generation=1, run="run-1")
    assert score(store, MODEL, KEY, predict, generation=1, run="run-1").changed


def test_new_inputs_are_scored_by_the_champion_of_the_day(store: ModelStore) -> None:
    seat(store, 1)
    score(store, MODEL, KEY, predict)
    seat(store, 2)
    deliver(store, rows=6)
    result = score(store, MODEL, KEY, predict)
    assert (result.generation, result.rows, result.changed) == (2, 6, True)


def test_a_pinned_champion_stays_until_the_scoring_is_done(store: ModelStore) -> None:
    seat(store, 1)

    def killed(version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(store, MODEL, KEY, killed)
    seat(store, 2)
    assert score(store, MODEL, KEY, predict).generation == 1


@pytest.mark.parametrize(
    ("bad", "why"),
    [(np.array([1.0]), "not one number per row"), (np.full(5, np.nan), "too many rows cannot be scored")],
)
def test_predictions_that_are_no_numbers_are_not_published(
    store: ModelStore, bad: npt.NDArray[np.float64], why: str
) -> None:
    seat(store, 1)
    with pytest.raises(ModelError, match=why):
        score(store, MODEL, KEY, lambda version, rows: bad)
    assert store.predictions.part(KEY) is None


def test_unknown_generations_and_missing_partitions_are_named(store: ModelStore) -> None:
    seat(store, 1)
    with pytest.raises(ModelError, match="no such generation"):
        score(store, MODEL, KEY, predict, generation=7)
    with pytest.raises(FeatureError, match="source events, partition 2020-02"):
        score(store, MODEL, "2020-02", predict)


def test_a_generation_with_another_definition_computes_its_own_features(store: ModelStore) -> None:
    seat(store, 1)
    score(store, MODEL, KEY, predict)
    seat(store, 2, OTHER)
    assert score(store, MODEL, KEY, predict, generation=2).changed
    assert store.predictions.read([KEY])["prediction"].to_pylist() == [201.0, 202.0, 203.0, 204.0, 205.0]


def test_a_held_correction_leaves_what_was_scored(store: ModelStore) -> None:
    deliver(store, key="2019-12")
    seat(store, 1)
    score(store, MODEL, KEY, predict)
    before = store.predictions.part(KEY)
    rows = store.batches("events").read([KEY]).drop_columns(["partition"])
    store.batches("events").replace(KEY, rows.set_column(2, "x", pa.array([9e9] * 5)))
    seat(store, 2)
    again = score(store, MODEL, KEY, predict)
    assert (again.generation, again.changed) == (0, False)
    assert again.message.startswith("Held, nothing announced: x")
    assert store.predictions.part(KEY) == before


def test_a_correction_that_changes_no_feature_is_scored_by_the_champion_of_the_day(store: ModelStore) -> None:
    narrow = b'SELECT "row", "at", floor(x / 10) AS x FROM batch'
    seat(store, 1, narrow)
    score(store, MODEL, KEY, predict)
    rows = store.batches("events").read([KEY]).drop_columns(["partition"])
    store.batches("events").replace(KEY, rows.set_column(2, "x", pa.array([0.5] * 5)))
    seat(store, 2, narrow)
    assert not build(store, MODEL, store.objects.put(narrow), KEY).changed
    assert score(store, MODEL, KEY, predict).generation == 2
    (now,) = {(row["generation"], row["batch_digest"]) for row in store.predictions.read([KEY]).to_pylist()}
    batch = store.batches("events").part(KEY)
    assert batch is not None
    assert now == (2, batch.digest), "the rows name the delivery that is there"


def test_a_first_delivery_that_comes_back_brings_back_its_predictions(store: ModelStore) -> None:
    seat(store, 1)
    score(store, MODEL, KEY, predict)
    first = store.predictions.part(KEY)
    deliver(store, rows=6)
    assert score(store, MODEL, KEY, predict).changed
    deliver(store)
    again = score(store, MODEL, KEY, predict)
    assert (again.changed, store.predictions.part(KEY)) == (True, first)


def test_a_correction_is_scored_also_when_the_old_definition_lost_the_seat(store: ModelStore) -> None:
    seat(store, 1)
    score(store, MODEL, KEY, predict)
    seat(store, 2, OTHER)
    rows = store.batches("events").read([KEY]).drop_columns(["partition"]).slice(0, 4)
    store.batches("events").replace(KEY, rows)
    build(store, MODEL, store.objects.put(OTHER), KEY)
    assert score(store, MODEL, KEY, predict).rows == 4
    seat(store, 3)
    assert score(store, MODEL, KEY, predict, generation=3).rows == 4, "a rollback scores the correction too"


CLASSES = ("early", "late", "lost")
PROBABILITIES = np.array([[0.2, 0.3, 0.5], [0.4, 0.4, 0.2], [1.0, 0.0, 0.0], [0.1, 0.45, 0.45], [0.3, 0.4, 0.3]])


def test_of_several_classes_each_row_has_the_likeliest_and_the_probability_of_all(store: ModelStore) -> None:
    seat(store, 1, classes=CLASSES)
    assert score(store, MODEL, KEY, lambda version, rows: PROBABILITIES).rows == 5
    rows = store.predictions.read([KEY])
    assert rows.column_names[:5] == ["row", "at", "prediction", "probability", "probabilities"]
    assert rows["prediction"].to_pylist() == ["lost", "early", "early", "late", "late"], "of equals the first"
    assert rows["probability"].to_pylist() == [0.5, 0.4, 1.0, 0.45, 0.4]
    assert rows["probabilities"].to_pylist() == PROBABILITIES.tolist()
    again = store.predictions.replace(KEY, rows.drop_columns(["partition"]))
    assert not again.changed, "what is read is what was written, to the byte"


SHAPE = "not one number per row and class"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (PROBABILITIES[:, :2], SHAPE),
        (PROBABILITIES[:, 0], SHAPE),
        (np.where(PROBABILITIES > 0.4, np.nan, 0), "found: 3 so far"),
    ],
)
def test_probabilities_that_are_not_those_of_the_classes_are_not_published(
    store: ModelStore, bad: npt.NDArray[np.float64], why: str
) -> None:
    seat(store, 1, classes=CLASSES)
    with pytest.raises(ModelError, match=why):
        score(store, MODEL, KEY, lambda version, rows: bad)
    assert store.predictions.part(KEY) is None


def test_a_partition_without_rows_has_the_columns_of_its_classes(store: ModelStore) -> None:
    deliver(store, rows=0, key="2020-03")
    seat(store, 1, classes=CLASSES)
    assert score(store, MODEL, "2020-03", lambda version, rows: np.empty((0, 3))).changed
    assert str(store.predictions.read(["2020-03"]).schema.field("probabilities").type).startswith("list<")


def test_rows_that_cannot_be_scored_are_set_aside_with_a_reason(store: ModelStore) -> None:
    deliver(store, rows=40, key="2019-12")
    seat(store, 1)

    def some(version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
        return np.where(np.asarray(rows["x"]) == 7, np.inf, 0.5)

    result = score(store, MODEL, "2019-12", some)
    assert (result.rows, result.changed) == (39, True)
    assert "1 that cannot be scored" in result.message
    (aside,) = store.unscored.read(["2019-12"]).to_pylist()
    assert (aside["row"], aside["reason"]) == (7, "the prediction is not a finite number")
    first = store.predictions.read(["2019-12"]).slice(0, 1).to_pylist()[0]
    assert {name: aside[name] for name in ("generation", "version", "features_digest")} == {
        name: first[name] for name in ("generation", "version", "features_digest")
    }


def test_a_row_with_an_infinite_feature_is_set_aside_and_the_others_are_scored() -> None:
    rows = pa.table({"row": [1, 2, 3, 4], "at": [FIRST] * 4, "x": [1.0, np.inf, None, -1e300]})
    version = ModelVersion(
        "0" * 63 + "1", "small", "xgboost", "binary", "d", "s", ("x",), {}, {}, 1, 1, "2020-01-01", {"x": 1.0}
    )
    seen: list[int] = []

    def counting(version: ModelVersion, given: pa.Table) -> npt.NDArray[np.float64]:
        seen.append(given.num_rows)
        return np.zeros(given.num_rows)

    found = scored(version, rows, ["row", "at"], counting)
    assert (found.rows["row"].to_pylist(), seen) == ([1, 3], [2])
    assert found.aside.select(["row", "reason"]).to_pylist() == [
        {"row": 2, "reason": "x is infinite, or too large"},
        {"row": 4, "reason": "x is infinite, or too large"},
    ]


def test_what_was_set_aside_goes_with_a_correction(store: ModelStore) -> None:
    seat(store, 1)
    score(store, MODEL, KEY, lambda version, rows: np.array([0.1, np.nan, 0.2, 0.3, 0.4]))
    assert store.unscored.read([KEY])["row"].to_pylist() == [1]
    deliver(store, rows=6)
    score(store, MODEL, KEY, predict)
    assert store.unscored.read([KEY]).num_rows == 0


def test_a_correction_of_an_empty_batch_is_scored(store: ModelStore) -> None:
    deliver(store, rows=0, key="2019-12")
    seat(store, 1)
    assert score(store, MODEL, "2019-12", predict).changed
    assert not score(store, MODEL, "2019-12", predict).changed
    deliver(store, rows=3, key="2019-12")
    assert score(store, MODEL, "2019-12", predict).rows == 3


def test_an_attempt_that_was_taken_for_dead_does_not_undo_a_later_one(store: ModelStore) -> None:
    seat(store, 1)
    seat(store, 2)
    seat(store, 3)

    def overtaken(by: Callable[[], object]) -> Predict:
        def slow(version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
            by()
            return predict(version, rows)

        return slow

    def by_name() -> None:
        assert score(store, MODEL, KEY, predict, generation=2, run="run-2").changed

    late = score(store, MODEL, KEY, overtaken(by_name), generation=1, run="run-1")
    assert (late.changed, late.generation) == (False, 0)
    assert "wrote nothing" in late.message
    assert store.predictions.read([KEY])["generation"].unique().to_pylist() == [2]
    cleared = score(store, MODEL, KEY, predict, generation=1, run="run-1")
    assert not cleared.changed, "a run keeps its place in the order when it is cleared"

    deliver(store, rows=6)
    late = score(store, MODEL, KEY, overtaken(lambda: score(store, MODEL, KEY, predict, 1, "run-3")))
    assert not late.changed, "what somebody asked for stands against the schedule's"
    assert store.predictions.read([KEY])["generation"].unique().to_pylist() == [1]

    def corrected() -> None:
        deliver(store, rows=7)
        assert score(store, MODEL, KEY, predict).rows == 7

    assert not score(store, MODEL, KEY, overtaken(corrected), generation=2, run="run-4").changed
    assert store.predictions.read([KEY]).num_rows == 7


def test_two_attempts_at_the_same_scoring_commit_once(store: ModelStore) -> None:
    seat(store, 1)
    inner: list[ScoreResult] = []

    def twice(version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
        if not inner:
            inner.append(score(store, MODEL, KEY, predict))
        return predict(version, rows)

    outer = score(store, MODEL, KEY, twice)
    assert [inner[0].changed, outer.changed] == [True, False]
    assert store.predictions.part(KEY) is not None


def test_a_large_partition_is_scored_batch_by_batch(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("incumbent.score.rows.BATCH_ROWS", 7)
    deliver(store, rows=40, key="2019-12")
    seat(store, 1)
    most: list[int] = []

    def counting(version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
        most.append(rows.num_rows)
        return predict(version, rows)

    assert score(store, MODEL, "2019-12", counting).rows == 40
    assert max(most) == 7
    cut = store.predictions.part("2019-12")
    monkeypatch.undo()
    assert not score(store, MODEL, "2019-12", predict, generation=1).changed, "cut elsewhere, the same file"
    assert store.predictions.part("2019-12") == cut


def test_a_partition_is_never_in_memory_whole(tmp_path: Path) -> None:
    store, rng, count = Store(tmp_path).model("small"), np.random.default_rng(1), 24
    held: list[int] = []

    def batches() -> Iterator[tuple[MadeBy, Scored]]:
        for _ in range(count):
            numbers = pc.add(pa.array(rng.random(ROW_GROUP_ROWS)), 0.0)  # in memory of Arrow's, which is counted
            rows = pa.table({"row": pc.floor(numbers).cast(pa.int64()), "prediction": numbers})
            held.append(pa.total_allocated_bytes())
            empty = rows.slice(0, 0).append_column("reason", pa.array([], pa.string()))
            yield MadeBy(1, "v", "b", "d", "f"), Scored(rows, empty)

    done = write(store, batches(), Part(KEY, "f" * 64, count * ROW_GROUP_ROWS), 0.05, lambda: True)
    assert done is not None and done.part.rows == count * ROW_GROUP_ROWS
    assert max(held) - held[0] < count * ROW_GROUP_ROWS * 16 / 2, "a few batches, and what their columns take"
