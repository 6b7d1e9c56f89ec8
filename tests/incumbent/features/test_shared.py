"""What was computed once is not computed again: by the next month, the next process, or the model beside."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from incumbent.config import Model
from incumbent.features import build as building
from incumbent.features.build import build, build_window, stored_profile
from incumbent.features.compute import computed
from incumbent.features.definition import register
from incumbent.sensitive import Sensitive
from incumbent.store import ModelStore, Store
from incumbent.store.check import check

pytestmark = pytest.mark.unit
SQL = "SELECT b.id, b.time, b.x * 2 AS y, p.name FROM batch AS b LEFT JOIN places AS p ON b.place = p.place"
MONTHS = [f"2020-{month:02d}" for month in range(1, 13)] + ["2021-01"]


def named(name: str, batch: str) -> Model:
    """Return a model that differs from another in its name, its batch's name and its label."""
    sources = {
        batch: {"role": "batch", "path": "events/{partition}.parquet"},
        "places": {"role": "context", "path": "places.csv", "once": True},
        "truth": {"role": "outcomes", "path": "truth/{partition}.parquet"},
    }
    return Model.model_validate(
        {
            "name": name,
            "owner": "tests",
            "task": "binary",
            "grain": "month",
            "start": "2020-01",
            "keys": ["id"],
            "time": "time",
            "sources": sources,
            "label": {"sql": f"late_{name}"},
        }
    )


ONE, TWO = named("one", "events"), named("two", "orders")


def delivered(store: Store, model: Model, months: list[str]) -> ModelStore:
    own = store.model(model.name)
    places = pa.table({"place": pa.array([0, 1], pa.int64()), "name": ["here", "there"]})
    own.context("places").replace("once", places)
    for month in months:
        first = datetime(int(month[:4]), int(month[-2:]), 1, tzinfo=UTC)
        rows = {
            "id": pa.array(range(50), pa.int64()),
            "time": pa.array([first + timedelta(hours=hour) for hour in range(50)], pa.timestamp("us", "UTC")),
            "x": [float(number % 7) for number in range(50)],
            "place": pa.array([number % 3 for number in range(50)], pa.int64()),
        }
        own.batches(model.batch_source).replace(month, pa.table(rows))
    return own


@pytest.fixture
def computations(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the partitions that were computed, in order."""
    done: list[str] = []

    @contextmanager
    def counted(store: ModelStore, model: Model, sql: str, inputs: Any) -> Iterator[pa.RecordBatchReader]:
        done.append(f"{model.name} {inputs.partition}")
        with computed(store, model, sql, inputs) as rows:
            yield rows

    monkeypatch.setattr(building, "computed", counted)
    return done


def test_a_month_more_is_one_partition_more_also_after_a_restart(tmp_path: Path, computations: list[str]) -> None:
    store = delivered(Store(tmp_path), ONE, MONTHS[:12])
    definition = register(store, ONE, SQL)
    command = [sys.executable, __file__, str(tmp_path), MONTHS[11]]
    subprocess.run(command, check=True, timeout=120)
    assert list(store.features(definition).parts()) == MONTHS[:12]
    assert build_window(store, ONE, definition, MONTHS[11]) == []
    delivered(Store(tmp_path), ONE, MONTHS[12:])
    assert build_window(Store(tmp_path).model("one"), ONE, definition, MONTHS[12]) == MONTHS[12:]
    assert computations == [f"one {MONTHS[12]}"]


def test_what_two_models_have_in_common_is_computed_once(any_store: Store, computations: list[str]) -> None:
    one, two = delivered(any_store, ONE, MONTHS[:2]), delivered(any_store, TWO, MONTHS[:2])
    definition = register(one, ONE, SQL)
    assert register(two, TWO, SQL) == definition
    first = [build(one, ONE, definition, month).part for month in MONTHS[:2]]
    second = [build(two, TWO, definition, month) for month in MONTHS[:2]]
    assert [built.part for built in second] == first
    assert all(built.changed for built in second)
    assert computations == [f"one {month}" for month in MONTHS[:2]]
    assert two.features(definition).read().equals(one.features(definition).read())
    for part in first:
        assert part is not None
        profiles = [stored_profile(store, definition, part.partition, part.digest) for store in (one, two)]
        assert profiles[0] is not None
        assert profiles[0] == profiles[1]
    assert any_store.models() == ["one", "two"]
    assert [found for found in check(any_store) if "features" in found.where or "profiles" in found.where] == []


@pytest.mark.parametrize("damage", ["gone", "changed", "no profile"])
def test_what_the_other_model_has_lost_is_computed(any_store: Store, computations: list[str], damage: str) -> None:
    one, two = delivered(any_store, ONE, MONTHS[:1]), delivered(any_store, TWO, MONTHS[:1])
    definition = register(one, ONE, SQL)
    register(two, TWO, SQL)
    part = build(one, ONE, definition, MONTHS[0]).part
    (file,) = (name for name in one.blobs.names("tables/features") if name.endswith(".parquet"))
    if damage == "no profile":
        plain = one.records.get_plain("profiles", one.records.names("profiles")[0])
        one.objects.blobs.remove(one.objects.key(plain["profile"]))
    else:
        one.blobs.remove(file)
    if damage == "changed":
        one.blobs.create(file, b"other bytes")
    built = build(two, TWO, definition, MONTHS[0])
    assert (built.part, computations) == (part, [f"{name} {MONTHS[0]}" for name in ("one", "two")])


def test_what_one_model_may_not_see_is_not_common(tmp_path: Path, computations: list[str]) -> None:
    private = TWO.with_sensitive(Sensitive(kept_out={"orders": ("x",)}))
    one, two = delivered(Store(tmp_path), ONE, MONTHS[:1]), delivered(Store(tmp_path), private, MONTHS[:1])
    sql = "SELECT b.* EXCLUDE (place), 1 AS y FROM batch AS b LEFT JOIN places AS p ON b.place = p.place"
    for store, model in ((one, ONE), (two, private)):
        build(store, model, register(store, model, sql), MONTHS[0])
    columns = [
        store.features(register(store, model, sql)).read().schema.names for store, model in ((one, ONE), (two, private))
    ]
    assert ("x" in columns[0], "x" in columns[1]) == (True, False)


def test_what_differs_in_what_decides_the_rows_is_not_common(tmp_path: Path, computations: list[str]) -> None:
    one, two = delivered(Store(tmp_path), ONE, MONTHS[:1]), delivered(Store(tmp_path), TWO, MONTHS[:1])
    for store, model in ((one, ONE), (two, TWO)):
        register(store, model, SQL)
    definition = register(one, ONE, SQL)
    build(one, ONE, definition, MONTHS[0])
    two.context("places").replace("once", pa.table({"place": pa.array([0, 1], pa.int64()), "name": ["h", "t"]}))
    build(two, TWO, definition, MONTHS[0])
    assert computations == [f"{name} {MONTHS[0]}" for name in ("one", "two")]


def main(root: str, until: str) -> None:
    """Build a window in a process of its own."""
    store = Store(Path(root)).model("one")
    build_window(store, ONE, register(store, ONE, SQL), until)


if __name__ == "__main__":
    main(*sys.argv[1:])
