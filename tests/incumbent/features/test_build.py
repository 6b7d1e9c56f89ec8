"""Features are made once from what was known then; a held batch stays out, whoever is champion."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from incumbent.config import Model
from incumbent.features.build import build, build_window, committed
from incumbent.features.inputs import pinned_inputs
from incumbent.records import Hold, ModelVersion, Part, Promotion
from incumbent.store import ModelStore, Store, generation_name

pytestmark = pytest.mark.unit

PLAIN = {
    "name": "small",
    "owner": "tests",
    "task": "binary",
    "grain": "month",
    "start": "2020-01",
    "keys": ["id"],
    "time": "time",
    "sources": {
        "events": {"role": "batch", "path": "events/{partition}.parquet"},
        "weather": {"role": "context", "path": "weather/{partition}.parquet", "lookback_days": 1},
        "places": {"role": "context", "path": "places.csv", "once": True},
        "truth": {"role": "outcomes", "path": "truth/{partition}.parquet"},
    },
    "label": {"sql": "late"},
}
MODEL = Model.model_validate(PLAIN)
COUNTS = "(SELECT count(*) + 1000 FROM weather) AS seen, (SELECT count(*) + 1000 FROM places) AS places"
SQL = f"SELECT *, {COUNTS} FROM batch".encode()
RENAMED = b"SELECT id, time, x AS y FROM batch"
MONTHS = ("2020-01", "2020-02", "2020-03")


def rows(month: str, scale: float = 1.0, note: str = "") -> pa.Table:
    count = 400
    first = datetime(2020, int(month[-2:]), 1, tzinfo=UTC)
    return pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "time": pa.array([first + timedelta(hours=i) for i in range(count)], pa.timestamp("us", "UTC")),
            "x": (np.arange(count) % 50 + 1.0) * scale,
            "note": [note or "n"] * count,
        }
    )


def deliver(store: ModelStore, month: str, scale: float = 1.0, note: str = "") -> None:
    store.batches("events").replace(month, rows(month, scale, note))
    store.context("weather").replace(month, pa.table({"at": pa.array([int(month[-2:])], pa.int64())}))


def seat(store: ModelStore, generation: int, definition: str, importance: dict[str, float]) -> None:
    version = ModelVersion(
        f"{generation:064d}", "small", "xgboost", "binary", definition, "s", tuple(importance), {}, {}, 1, 1,
        "2020-01-01", importance,
    )  # fmt: skip
    store.records.put(version.digest, version)
    promotion = Promotion(generation, version.digest, "r", "", "2020-01", "promote", generation - 1, "why", "")
    store.records.put(generation_name(generation), promotion)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    store = Store(tmp_path).model("small")
    store.context("places").replace("once", pa.table({"place": pa.array([1, 2], pa.int64())}))
    for month in MONTHS[:2]:
        deliver(store, month)
    return store


@pytest.fixture
def definition(store: ModelStore) -> str:
    return store.objects.put(SQL)


def part(store: ModelStore, definition: str, month: str) -> Part | None:
    return committed(store, definition, pinned_inputs(store, MODEL, month))


def test_a_hold_stands_whoever_is_champion_and_the_window_goes_on(store: ModelStore, definition: str) -> None:
    assert build_window(store, MODEL, definition, MONTHS[1]) == list(MONTHS[:2])
    deliver(store, MONTHS[2], scale=100)
    seat(store, 1, definition, {"x": 0.9, "seen": 0.1})
    (first,) = build(store, MODEL, [definition], MONTHS[2])
    assert first.hold is not None
    seat(store, 2, definition, {"x": 0.0, "seen": 1.0})
    assert build_window(store, MODEL, definition, MONTHS[2]) == []
    (again,) = build(store, MODEL, [definition], MONTHS[2])
    assert (again.hold, again.part, len(store.records.all(Hold))) == (first.hold, None, 1)


def test_other_tolerances_judge_a_held_batch_again(store: ModelStore, definition: str) -> None:
    build_window(store, MODEL, definition, MONTHS[1])
    deliver(store, MONTHS[2], scale=100)
    assert build(store, MODEL, [definition], MONTHS[2])[0].hold is not None
    lenient = Model.model_validate({**PLAIN, "integrity": {"out_of_range": 1, "importance": 1}})
    seat(store, 1, definition, {"x": 0.5, "seen": 0.5})
    assert build(store, lenient, [definition], MONTHS[2])[0].part is not None


def test_what_one_definition_holds_no_other_trains_on(store: ModelStore, definition: str) -> None:
    renamed = store.objects.put(RENAMED)
    seat(store, 1, definition, {"x": 0.9, "seen": 0.1})
    for month in MONTHS[:2]:
        build(store, MODEL, [definition, renamed], month)
    deliver(store, MONTHS[2], scale=100)
    built = build(store, MODEL, [renamed, definition], MONTHS[2])
    assert [found.part for found in built] == [None, None]
    assert build_window(store, MODEL, renamed, MONTHS[2]) == []
    assert list(store.features(renamed).parts()) == list(MONTHS[:2]), "a new name counts as important"


def test_a_correction_that_changes_no_feature_is_no_conflict(store: ModelStore) -> None:
    renamed = store.objects.put(RENAMED)
    (first,) = build(store, MODEL, [renamed], MONTHS[0])
    deliver(store, MONTHS[0], note="corrected")
    assert part(store, renamed, MONTHS[0]) is None, "not made from this delivery yet"
    (second,) = build(store, MODEL, [renamed], MONTHS[0])
    assert (second.part, second.changed) == (first.part, False)
    assert part(store, renamed, MONTHS[0]) == first.part


def test_a_corrected_delivery_is_made_again_and_the_first_one_comes_back(store: ModelStore, definition: str) -> None:
    (first,) = build(store, MODEL, [definition], MONTHS[0])
    deliver(store, MONTHS[0], scale=1.5)
    assert build_window(store, MODEL, definition, MONTHS[0]) == [MONTHS[0]]
    assert part(store, definition, MONTHS[0]) != first.part
    deliver(store, MONTHS[0])
    assert build_window(store, MODEL, definition, MONTHS[0]) == [MONTHS[0]]
    assert part(store, definition, MONTHS[0]) == first.part


def test_what_is_looked_up_stays_as_it_was_at_the_first_build(store: ModelStore, definition: str) -> None:
    (first,) = build(store, MODEL, [definition], MONTHS[1])
    store.context("places").replace("once", pa.table({"place": pa.array([1, 2, 3], pa.int64())}))
    store.context("weather").replace(MONTHS[0], pa.table({"at": pa.array([1, 1], pa.int64())}))
    (again,) = build(store, MODEL, [definition], MONTHS[1])
    assert (again.part, again.changed) == (first.part, False)
    seen = store.features(definition).read([MONTHS[1]], ["seen", "places"]).slice(0, 1).to_pylist()
    assert seen == [{"seen": 1002, "places": 1002}]
    store.context("weather").replace(MONTHS[1], pa.table({"at": pa.array([2, 2], pa.int64())}))
    assert build(store, MODEL, [definition], MONTHS[1])[0].changed, "weather of its own month is its own"
    seen = store.features(definition).read([MONTHS[1]], ["seen", "places"]).slice(0, 1).to_pylist()
    assert seen == [{"seen": 1004, "places": 1003}]
