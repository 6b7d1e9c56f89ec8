"""A snapshot is named by its content, pinned by its request, and keeps the newest days for the gate."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from small_training import CLASSES, class_model, small_model, small_store

from incumbent.errors import TrainingError
from incumbent.features.rows import labelled_rows
from incumbent.snapshot import take
from incumbent.store import ModelStore

pytestmark = pytest.mark.unit


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return small_store(tmp_path)[0]


def definition(store: ModelStore) -> str:
    return store.objects.put(b"SELECT * FROM batch")


def test_the_newest_days_are_for_the_gate_and_an_embargo_lies_between(store: ModelStore) -> None:
    model = small_model()
    found = take(store, model, definition(store), "2020-01", "2020-01-r1", {})
    assert (found.train_until, found.gate_from, found.gate_until) == ("2020-01-24", "2020-01-25", "2020-02-01")
    train = labelled_rows(store, model, found, None, date(2020, 1, 24))
    gate = labelled_rows(store, model, found, date(2020, 1, 25), date(2020, 2, 1))
    assert max(train["local_date"].to_pylist()) < date(2020, 1, 24) < min(gate["local_date"].to_pylist())
    assert not set(train["row"].to_pylist()) & set(gate["row"].to_pylist())


def test_a_request_keeps_its_snapshot_when_the_data_changes(store: ModelStore) -> None:
    first = take(store, small_model(), definition(store), "2020-01", "2020-01-r1", {})
    before = labelled_rows(store, small_model(), first, None, date(2020, 1, 24))
    outcomes = store.outcomes("truth").read(["2020-01"]).drop_columns(["partition"])
    store.outcomes("truth").replace("2020-01", outcomes.slice(0, 100))
    again = take(store, small_model(), definition(store), "2020-01", "2020-01-r1", {})
    other = take(store, small_model(), definition(store), "2020-01", "2020-01-r2", {})
    assert again == first
    assert other.id != first.id
    assert labelled_rows(store, small_model(), again, None, date(2020, 1, 24)).equals(before)


def test_it_names_the_classes_of_a_label_and_of_others_says_what_it_always_said(store: ModelStore) -> None:
    binary = take(store, small_model(), definition(store), "2020-01", "2020-01-r1", {})
    assert dict(binary.label) == {"sql": "late", "where": "true", "delay_days": 1}
    assert binary.classes == ()
    several = take(store, class_model(), definition(store), "2020-01", "2020-01-r2", {})
    assert several.classes == CLASSES
    other = class_model().model_copy(
        update={"label": class_model().label.model_copy(update={"classes": CLASSES[::-1]})}
    )
    assert take(store, other, definition(store), "2020-01", "2020-01-r3", {}).id != several.id


def test_the_window_is_what_the_model_says(store: ModelStore) -> None:
    for key in ("2020-02", "2020-03"):
        for table in (store.features(definition(store)), store.outcomes("truth")):
            table.replace(key, table.read(["2020-01"]).drop_columns(["partition"]))
    whole = take(store, small_model(), definition(store), "2020-03", "r1", {})
    newest = take(store, small_model(window=2), definition(store), "2020-03", "r2", {})
    earlier = take(store, small_model(), definition(store), "2020-02", "r3", {})
    assert [part["partition"] for part in whole.features] == ["2020-01", "2020-02", "2020-03"]
    assert [part["partition"] for part in newest.features] == ["2020-02", "2020-03"]
    assert [part["partition"] for part in earlier.features] == ["2020-01", "2020-02"]


def test_without_outcomes_there_is_nothing_to_train_on(store: ModelStore) -> None:
    features = store.features(definition(store))
    features.replace("2019-12", pa.table({"row": pa.array([1], pa.int64())}).append_column(
        "at", pa.array([None], pa.timestamp("us", "UTC"))).append_column("x", pa.array([1.0])).append_column(
        "y", pa.array([1.0])).append_column("kind", pa.array(["a"])))  # fmt: skip
    with pytest.raises(TrainingError, match="nothing to train on") as caught:
        take(store, small_model(), definition(store), "2019-12", "r1", {})
    assert "features of 1, outcomes of 0 partitions" in str(caught.value)
