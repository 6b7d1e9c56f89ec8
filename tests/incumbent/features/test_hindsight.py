"""A definition that knows the future is found by its rows, where its text does not give it away."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from incumbent.config import Model
from incumbent.errors import FeatureError
from incumbent.features import build as building
from incumbent.features.build import build
from incumbent.features.compute import computed
from incumbent.features.definition import register
from incumbent.features.inputs import pinned_inputs
from incumbent.store import ModelStore, Store

pytestmark = pytest.mark.unit
KEY = "2020-01"
PLAIN: dict[str, Any] = {
    "name": "small",
    "owner": "tests",
    "task": "regression",
    "grain": "month",
    "start": "2020-01",
    "keys": ["id"],
    "time": "time",
    "sources": {
        "events": {"role": "batch", "path": "events/{partition}.parquet"},
        "weather": {"role": "context", "path": "weather/{partition}.parquet", "known_at": "seen"},
        "truth": {"role": "outcomes", "path": "truth/{partition}.parquet"},
    },
    "label": {"sql": "late"},
}
MODEL = Model.model_validate(PLAIN)
FIRST = datetime(2020, 1, 1, tzinfo=UTC)


def hours(count: int) -> pa.Array:
    return pa.array([FIRST + timedelta(hours=hour) for hour in range(count)], pa.timestamp("us", "UTC"))


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    store = Store(tmp_path).model("small")
    ids = pa.array(range(90), pa.int64())
    store.batches("events").replace(KEY, pa.table({"id": ids, "time": hours(90)}))
    weather = pa.table({"seen": hours(100), "temp": [float(hour * hour % 17) for hour in range(100)]})
    store.context("weather").replace(KEY, weather)
    return store


@pytest.mark.parametrize(
    ("sql", "column"),
    [
        ("SELECT *, (SELECT avg(temp) FROM weather) AS usual FROM batch", "usual"),
        ("SELECT b.*, w.temp FROM batch AS b LEFT JOIN weather AS w ON w.seen = time_bucket('5 hours', b.time + "
         "INTERVAL 7 HOURS)", "temp"),
        ("SELECT b.*, d.warmest FROM batch AS b LEFT JOIN (SELECT date_trunc('day', seen) AS day, max(temp) AS warmest "
         "FROM weather GROUP BY 1) AS d ON d.day = date_trunc('day', b.time)", "warmest"),
        ("WITH w AS (SELECT *, lead(temp) OVER (ORDER BY seen) AS next FROM weather) "
         "SELECT b.*, w.next FROM batch AS b ASOF LEFT JOIN w ON b.time >= w.seen", "next"),
    ],
    ids=["month", "ahead", "day", "lead"],
)  # fmt: skip
def test_rows_that_change_without_the_future_are_refused(store: ModelStore, sql: str, column: str) -> None:
    definition = register(store, MODEL, sql)
    with pytest.raises(FeatureError, match=f"(?s)looks into the future.*column {column}") as caught:
        build(store, MODEL, definition, KEY)
    assert "known_at" in caught.value.next_step
    assert (store.records.names("profiles"), store.features(definition).parts()) == ([], {})


def test_rows_that_look_back_are_not(store: ModelStore) -> None:
    sql = """WITH w AS (SELECT *, avg(temp) OVER (ORDER BY seen ROWS 5 PRECEDING) AS usual FROM weather)
             SELECT b.*, w.temp, w.usual FROM batch AS b ASOF LEFT JOIN w ON b.time > w.seen"""
    built = build(store, MODEL, register(store, MODEL, sql), KEY)
    assert built.part is not None
    assert built.part.rows == 90


def test_a_definition_is_proven_once(store: ModelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    proven: list[str] = []
    monkeypatch.setattr(building, "check_hindsight", lambda *words: proven.append(words[3].partition))
    definition = register(store, MODEL, "SELECT *, id * 2 AS x FROM batch")
    build(store, MODEL, definition, KEY)
    for source in ("batches/events", "context/weather"):
        table = store.table(source)
        table.replace("2020-02", table.read([KEY]).drop_columns(["partition"]))
    build(store, MODEL, definition, "2020-02")
    assert proven == [KEY]


def test_a_definition_opens_nothing_but_its_inputs(store: ModelStore, tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    inputs = pinned_inputs(store, MODEL, KEY)
    store.outcomes("truth").replace(KEY, pa.table({"id": pa.array([1], pa.int64()), "late": [1.0]}))
    (truth,) = (name for name in store.blobs.names("tables/outcomes") if name.endswith(".parquet"))
    for query in (
        f"SELECT *, (SELECT a FROM read_csv('{tmp_path}/secret.csv')) AS a FROM batch",
        f"SELECT *, (SELECT content FROM read_text('{tmp_path}/secret.csv')) AS a FROM batch",
        f"SELECT *, (SELECT count(*) FROM glob('{tmp_path}/*')) AS a FROM batch",
        f"SELECT *, (SELECT max(late) FROM '{store.blobs.url}/{truth}') AS a FROM batch",
        f"SELECT *, 1 AS a FROM batch; COPY batch TO '{tmp_path}/out.csv'",
        f"COPY batch TO '{tmp_path}/out.csv'",
    ):
        with pytest.raises(FeatureError, match="does not run"), computed(store, MODEL, query, inputs):
            raise AssertionError(query)
    assert not (tmp_path / "out.csv").exists()
