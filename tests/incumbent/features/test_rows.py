"""Features and labels are joined row by row, never multiplied."""

from pathlib import Path

import pyarrow as pa
import pytest
from small_training import small_model, small_store

from incumbent.errors import ConfigError
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
    without = labelled_rows(store, model, snapshot)
    everything = labelled_rows(store, model, snapshot, unlabelled=True)
    assert everything.filter(everything["label"].is_null())["row"].to_pylist() == [3]
    assert everything.filter(everything["label"].is_valid()).equals(without)
    assert 7 not in everything["row"].to_pylist()
