"""Features are made once from what was known then; a held batch stays out, whoever is champion."""

import itertools
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from incumbent.config import Model
from incumbent.errors import FeatureError
from incumbent.features.build import build, build_window, committed, rows_beside
from incumbent.features.compute import compute
from incumbent.features.holds import held
from incumbent.features.inputs import looking_back, pinned_inputs
from incumbent.records import Hold, ModelVersion, Part, Promotion, Revisit, digest_of
from incumbent.store import ModelStore, Store, generation_name

pytestmark = pytest.mark.unit

PLAIN: dict[str, Any] = {
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
def store(any_store: Store) -> ModelStore:
    store = any_store.model("small")
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
    first = build(store, MODEL, definition, MONTHS[2])
    assert first.hold is not None
    seat(store, 2, definition, {"x": 0.0, "seen": 1.0})
    assert build_window(store, MODEL, definition, MONTHS[2]) == []
    again = build(store, MODEL, definition, MONTHS[2])
    assert (again.hold, again.part, len(store.records.all(Hold))) == (first.hold, None, 1)


def test_other_tolerances_judge_a_held_batch_again(store: ModelStore, definition: str) -> None:
    build_window(store, MODEL, definition, MONTHS[1])
    deliver(store, MONTHS[2], scale=100)
    assert build(store, MODEL, definition, MONTHS[2]).hold is not None
    lenient = Model.model_validate({**PLAIN, "integrity": {"out_of_range": 1, "importance": 1, "whole": 1}})
    seat(store, 1, definition, {"x": 0.5, "seen": 0.5})
    assert build(store, lenient, definition, MONTHS[2]).part is not None


def test_a_released_batch_is_built_by_every_definition_and_its_correction_is_judged_again(
    store: ModelStore, definition: str
) -> None:
    build_window(store, MODEL, definition, MONTHS[1])
    deliver(store, MONTHS[2], scale=100)
    assert build(store, MODEL, definition, MONTHS[2]).hold is not None
    (hold,) = held(store, "events")
    batch = store.batches("events").parts()[MONTHS[2]]
    assert (hold.partition, hold.batch_digest) == (MONTHS[2], batch.digest)
    revisit = Revisit("release", "events", MONTHS[2], "", "", asdict(batch), {}, "", "", "we sell in cents now", "ann")
    store.records.put(f"events/{MONTHS[2]}/{revisit.id}/open", revisit)
    assert held(store, "events") == []
    assert all(build(store, MODEL, each, MONTHS[2]).part for each in (definition, store.objects.put(RENAMED)))
    deliver(store, MONTHS[2], scale=100_000)
    assert build(store, MODEL, definition, MONTHS[2]).hold is not None
    assert [each.batch_digest for each in held(store, "events")] != [batch.digest]


def test_what_one_definition_holds_no_other_trains_on(store: ModelStore, definition: str) -> None:
    renamed = store.objects.put(RENAMED)
    seat(store, 1, definition, {"x": 0.9, "seen": 0.1})
    for month in MONTHS[:2]:
        assert all(build(store, MODEL, each, month).part for each in (definition, renamed))
    deliver(store, MONTHS[2], scale=100)
    assert [build(store, MODEL, each, MONTHS[2]).part for each in (definition, renamed)] == [None, None]
    assert build_window(store, MODEL, renamed, MONTHS[2]) == []
    assert list(store.features(renamed).parts()) == list(MONTHS[:2]), "a new name counts as important"


def test_a_correction_that_changes_no_feature_is_no_conflict(store: ModelStore) -> None:
    renamed = store.objects.put(RENAMED)
    first = build(store, MODEL, renamed, MONTHS[0])
    deliver(store, MONTHS[0], note="corrected")
    assert part(store, renamed, MONTHS[0]) is None, "not made from this delivery yet"
    second = build(store, MODEL, renamed, MONTHS[0])
    assert (second.part, second.changed) == (first.part, False)
    assert part(store, renamed, MONTHS[0]) == first.part


def test_a_corrected_delivery_is_made_again_and_the_first_one_comes_back(store: ModelStore, definition: str) -> None:
    first = build(store, MODEL, definition, MONTHS[0])
    deliver(store, MONTHS[0], scale=1.5)
    assert build_window(store, MODEL, definition, MONTHS[0]) == [MONTHS[0]]
    assert part(store, definition, MONTHS[0]) != first.part
    deliver(store, MONTHS[0])
    assert build_window(store, MODEL, definition, MONTHS[0]) == [MONTHS[0]]
    assert part(store, definition, MONTHS[0]) == first.part


def test_a_table_that_comes_once_stays_as_it_was_at_the_first_build(store: ModelStore, definition: str) -> None:
    first = build(store, MODEL, definition, MONTHS[1])
    store.context("places").replace("once", pa.table({"place": pa.array([1, 2, 3], pa.int64())}))
    again = build(store, MODEL, definition, MONTHS[1])
    assert (again.part, again.changed) == (first.part, False)
    assert seen(store, definition, MONTHS[1]) == {"seen": 1002, "places": 1002}
    store.context("weather").replace(MONTHS[1], pa.table({"at": pa.array([2, 2], pa.int64())}))
    assert build(store, MODEL, definition, MONTHS[1]).changed, "weather of its own month is its own"
    assert seen(store, definition, MONTHS[1]) == {"seen": 1003, "places": 1003}


@pytest.mark.parametrize("order", list(itertools.permutations(MONTHS)))
def test_features_do_not_depend_on_the_order_of_arrival(tmp_path: Path, order: tuple[str, ...]) -> None:
    store = Store(tmp_path).model("small")
    store.context("places").replace("once", pa.table({"place": pa.array([1, 2], pa.int64())}))
    definition = store.objects.put(SQL)
    for month in order:
        deliver(store, month)
        for key in (month, *looking_back(store, MODEL, "weather", month)):
            assert build(store, MODEL, definition, key).hold is None
    assert [seen(store, definition, month)["seen"] for month in MONTHS] == [1001, 1002, 1002]


def test_only_what_was_delivered_and_looks_back_is_made_again(store: ModelStore) -> None:
    assert looking_back(store, MODEL, "weather", MONTHS[0]) == [MONTHS[1]]
    assert looking_back(store, MODEL, "weather", MONTHS[1]) == []
    assert looking_back(store, MODEL, "places", MONTHS[0]) == []
    assert looking_back(store, MODEL, "events", MONTHS[0]) == []


def test_a_batch_that_was_let_through_is_never_judged_again(store: ModelStore, definition: str) -> None:
    deliver(store, MONTHS[2], scale=100)
    first = build(store, MODEL, definition, MONTHS[2])
    assert first.part is not None, "the first that came: there is nothing to compare with"
    build_window(store, MODEL, definition, MONTHS[1])
    again = build(store, MODEL, definition, MONTHS[2])
    assert (again.part, again.hold, again.changed) == (first.part, None, False)
    odd = store.objects.put(b"SELECT *, CASE WHEN month(time) < 3 THEN 1.0 END AS fresh FROM batch")
    assert build_window(store, MODEL, odd, MONTHS[2]) == list(MONTHS), "new nulls in March: of the definition"
    assert store.records.all(Hold) == []


def test_a_source_that_is_added_or_taken_away_is_something_new(store: ModelStore, definition: str) -> None:
    fewer = Model.model_validate({**PLAIN, "sources": {k: v for k, v in PLAIN["sources"].items() if k != "places"}})
    plain = store.objects.put(b"SELECT * FROM batch")
    first = build(store, fewer, plain, MONTHS[0])
    assert first.part is not None
    assert build(store, MODEL, definition, MONTHS[0]).part is not None, "it may look up what was added"
    again = build(store, fewer, plain, MONTHS[0])
    assert (again.part, again.changed) == (first.part, False)


def test_sums_of_floats_have_the_same_last_digit(tmp_path: Path) -> None:
    store = Store(tmp_path).model("small")
    rng = np.random.default_rng(1)
    count = 400_000
    at = pa.array([datetime(2020, 1, 1, tzinfo=UTC)] * count, pa.timestamp("us", "UTC"))
    big = {"id": np.arange(count), "time": at, "x": rng.normal(size=count), "k": rng.integers(0, 3, count)}
    store.batches("events").replace(MONTHS[0], pa.table(big))
    store.context("weather").replace(MONTHS[0], pa.table({"at": pa.array([1], pa.int64())}))
    store.context("places").replace("once", pa.table({"place": pa.array([1], pa.int64())}))
    inputs = pinned_inputs(store, MODEL, MONTHS[0])
    sql = "SELECT id, time, m FROM batch JOIN (SELECT k, avg(x) AS m FROM batch GROUP BY k) USING (k)"
    assert len({digest_of(compute(store, MODEL, sql, inputs)["m"].to_numpy().tobytes()) for _ in range(4)}) == 1


def test_a_definition_that_gives_other_rows_replaces_nothing(store: ModelStore) -> None:
    chance = store.objects.put(b"SELECT *, random() AS luck FROM batch")
    first = build(store, MODEL, chance, MONTHS[0])
    assert first.part is not None
    deliver(store, MONTHS[0], note="corrected")
    second = build(store, MODEL, chance, MONTHS[0])
    deliver(store, MONTHS[0])
    with pytest.raises(FeatureError, match="other rows from the same inputs"):
        build(store, MODEL, chance, MONTHS[0])
    assert store.features(chance).part(MONTHS[0]) == second.part


def test_rows_beside_are_made_from_the_same_facts(store: ModelStore, definition: str) -> None:
    part_of = build(store, MODEL, definition, MONTHS[0]).part
    assert part_of is not None
    doubled = store.objects.put(b"SELECT id, time, 2 * x AS y FROM batch")
    deliver(store, MONTHS[0], scale=3)
    build(store, MODEL, definition, MONTHS[0])
    build(store, MODEL, doubled, MONTHS[0])
    beside = rows_beside(store, MODEL, doubled, definition, part_of)
    own = store.features(definition).read_parts([part_of])
    assert beside["y"].to_pylist() == [2 * x for x in own["x"].to_pylist()], "not those of the correction"
    (now,) = store.features(definition).parts().values()
    stored = rows_beside(store, MODEL, doubled, definition, now)
    assert stored.schema == beside.schema
    assert stored["y"].to_pylist() == [3 * y for y in beside["y"].to_pylist()]


def seen(store: ModelStore, definition: str, month: str) -> dict[str, int]:
    found: dict[str, int] = store.features(definition).read([month], ["seen", "places"]).slice(0, 1).to_pylist()[0]
    return found
