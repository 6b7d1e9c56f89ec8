"""Features and labels are joined row by row, never multiplied."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_training import CLASSES, class_model, small_model, small_store

from incumbent.config import Model
from incumbent.errors import ConfigError
from incumbent.features.out_of_core import labelled_sample, labels_known
from incumbent.features.rows import label_rows, labelled_rows, outcome_keys
from incumbent.snapshot import take
from incumbent.store import ModelStore, Store

pytestmark = pytest.mark.unit
KEY = "2020-01"


@pytest.fixture
def store(any_store: Store) -> ModelStore:
    store = any_store.model("small")
    rows = {"row": pa.array([1, 1, 2], pa.int64()), "late": [True, False, None], "final": [True, False, True]}
    store.outcomes("truth").replace(KEY, pa.table(rows))
    return store


def labelled(**label: str) -> dict[str, object]:
    return {"label": small_model().label.model_copy(update=label)}


def test_an_outcome_without_a_label_is_left_out(store: ModelStore) -> None:
    model = small_model().model_copy(update=labelled(where="final"))
    assert label_rows(store, model, [KEY]).to_pylist() == [{"row": 1, "label": 1.0}]


def test_two_labels_of_one_row_are_refused(store: ModelStore) -> None:
    with pytest.raises(ConfigError, match="more than one label") as caught:
        label_rows(store, small_model(), [KEY])
    assert "several for 1" in str(caught.value)


def test_a_key_with_several_outcomes_counts_once(store: ModelStore) -> None:
    """Coverage is a share of predictions: rows that `label.where` chooses among must not add up to it."""
    assert outcome_keys(store, small_model(), [KEY])["row"].sort().to_pylist() == [1, 2]


def test_a_label_that_cannot_be_computed_names_the_columns(store: ModelStore) -> None:
    with pytest.raises(ConfigError, match="cannot be computed") as caught:
        label_rows(store, small_model().model_copy(update=labelled(sql="lat > 3")), [KEY])
    assert "row, late, final" in str(caught.value)


def test_rows_whose_outcome_has_no_label_come_if_asked_for_and_those_without_an_outcome_never(tmp_path: Path) -> None:
    store = small_store(tmp_path)[0]
    truth = store.outcomes("truth").read(["2020-01"]).drop_columns(["partition"])
    late = [None if row == 3 else value for row, value in enumerate(truth["late"].to_pylist())]
    changed = truth.set_column(truth.column_names.index("late"), "late", pa.array(late))
    store.outcomes("truth").replace("2020-01", pa.concat_tables([changed.slice(0, 7), changed.slice(8)]))
    model, definition = small_model(), store.objects.put(b"SELECT * FROM batch")
    snapshot = take(store, model, definition, "2020-01", "2020-01-r9", {})
    without = labelled_rows(store, model, snapshot, until_day=date.fromisoformat(snapshot.train_until))
    everything = labelled_sample(store, model, snapshot)
    assert everything.filter(everything["label"].is_null())["row"].to_pylist() == [3]
    assert everything.filter(everything["label"].is_valid()).equals(without)
    assert 7 not in everything["row"].to_pylist()


def test_of_too_many_rows_some_are_drawn_by_key_and_always_the_same(tmp_path: Path) -> None:
    store, snapshot = small_store(tmp_path)
    model = small_model()
    everything = labelled_sample(store, model, snapshot)
    values = sum(part["rows"] for part in snapshot.features) * len(store.features(snapshot.definition).columns())
    assert labelled_sample(store, model, snapshot, values).equals(everything)
    drawn = labelled_sample(store, model, snapshot, values // 3)
    assert labelled_sample(store, model, snapshot, values // 3).equals(drawn)
    assert everything.num_rows / 6 < drawn.num_rows < everything.num_rows / 2
    chosen = pc.is_in(everything["row"], value_set=drawn["row"].combine_chunks())
    assert everything.filter(chosen).equals(drawn)


def states(store: ModelStore, values: list[object]) -> None:
    column = pa.array(values, None if isinstance(values[0], int) else pa.string())
    rows = {"row": pa.array(range(len(values)), pa.int64()), "state": column, "class": ["x"] * len(values)}
    store.outcomes("truth").replace("2020-02", pa.table(rows))


def classed(**label: object) -> Model:
    return class_model().model_copy(update={"label": class_model().label.model_copy(update=label)})


@pytest.fixture
def empty(tmp_path: Path) -> ModelStore:
    return Store(tmp_path).model("small")


def test_a_class_is_its_position_whichever_a_partition_holds(empty: ModelStore) -> None:
    states(empty, ["lost", None, "early", "lost"])
    found = label_rows(empty, class_model(), ["2020-02"])
    assert found["label"].type == pa.float64()
    assert {row["row"]: row["label"] for row in found.to_pylist()} == {0: 2.0, 2: 0.0, 3: 2.0}
    other = label_rows(empty, classed(classes=("lost", "late", "early")), ["2020-02"])
    assert {row["row"]: row["label"] for row in other.to_pylist()} == {0: 0.0, 2: 2.0, 3: 0.0}


def test_numbers_and_names_with_quotes_are_classes_too(empty: ModelStore) -> None:
    states(empty, [3, 1, 2])
    found = label_rows(empty, classed(classes=("1", "2", "3")), ["2020-02"])
    assert sorted(found["label"].to_pylist()) == [0.0, 1.0, 2.0]
    states_ = classed(classes=("it's", "so", "no"), sql="CASE state WHEN 3 THEN 'it''s' ELSE 'so' END")
    assert sorted(label_rows(empty, states_, ["2020-02"])["label"].to_pylist()) == [0.0, 1.0, 1.0]


def test_a_label_that_is_none_of_the_classes_is_refused_and_not_left_out(empty: ModelStore) -> None:
    states(empty, ["early", "Lost", "gone", "gone", *"abcde", None])
    with pytest.raises(ConfigError, match="none of the classes") as caught:
        label_rows(empty, class_model(), ["2020-02"])
    assert caught.value.expected == "one of early, late, lost"
    assert caught.value.found == "'gone', 'Lost', 'a', 'b', 'c' and 2 others in 8 outcomes"
    for way in ("label.classes", "label.sql", "label.where"):
        assert way in caught.value.next_step
    some = classed(where="state IN ('early', 'late') OR false")
    assert label_rows(empty, some, ["2020-02"]).num_rows == 1


def test_so_it_is_by_a_training(tmp_path: Path) -> None:
    store, snapshot = small_store(tmp_path, states=True)
    for label, words in (({"sql": "state", "classes": ["early", "late", "gone"]}, "'lost' in "), ({"sql": "stat"}, "")):
        missing = replace(snapshot, label={**snapshot.label, **label})
        with pytest.raises(ConfigError) as caught, labels_known(store, class_model(), missing, ()):
            pass
        assert words in str(caught.value.found)
    with labels_known(store, class_model(), snapshot, ()) as connection:
        counts = dict(connection.execute("SELECT label, count(*) FROM labels GROUP BY label").fetchall())
    assert set(counts) == {0.0, 1.0, 2.0}
    assert snapshot.classes == CLASSES
