"""Features of real days: across both changes of the clock, on hosts in two time zones, and bad definitions."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from demo import raw_data
from incumbent.config import Model, load_model
from incumbent.errors import FeatureError
from incumbent.features import compute as engine
from incumbent.features.columns import plain_types
from incumbent.features.compute import compute
from incumbent.features.inputs import missing_sources, pinned_inputs
from incumbent.features.lint import order_matters
from incumbent.partitions import Grain
from incumbent.store import ModelStore, Store

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
FOLDER = load_model(ROOT / "include" / "models" / "flights_delay")
SPRING, AUTUMN = "2013-03-10", "2013-11-03"  # New York's clocks went forward, and back
WEATHER = ["temp", "wind_speed", "pressure"]


def daily() -> Model:
    """Return the shipped model by the day: one word of configuration."""
    plain = FOLDER.model.model_dump(mode="json") | {"grain": "day", "start": "2013-01-02", "end": "2013-12-31"}
    return Model.model_validate(plain)


def day_store(root: Path, day: str) -> ModelStore:
    """Return a store that holds one day, with the weather of the day before."""
    store = Store(root).model("flights_delay")
    before = (pd.Timestamp(day) - pd.Timedelta(days=1)).date().isoformat()
    for source, keys in (("flights", [day]), ("weather", [before, day])):
        for key in keys:
            path = raw_data.write_partition(root / "raw", source, key, Grain.DAY)
            store.source(FOLDER.model.sources[source].role, source).replace(
                key, plain_types(pa.parquet.read_table(path))
            )
    for source in raw_data.ONCE:
        rows = pa.csv.read_csv(raw_data.write_once(root / "raw", source))
        store.context(source).replace("once", rows)
    return store


def observed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the newest observation two hours before departure, found with pandas and not with DuckDB."""
    known_at = rows["time_hour"] + pd.to_timedelta(rows["departure_minute"] % 60, "m") - pd.Timedelta(hours=2)
    weather = raw_data.weather()[["origin", "time_hour", *WEATHER]].rename(columns={"time_hour": "seen"})
    asked = rows[["origin"]].assign(known_at=known_at.astype("datetime64[ns, UTC]"), row=range(len(rows)))
    weather["seen"] = weather["seen"].astype("datetime64[ns, UTC]")
    found = pd.merge_asof(
        asked.sort_values("known_at"), weather.sort_values("seen"), left_on="known_at", right_on="seen", by="origin",
        tolerance=pd.Timedelta(hours=3),
    )  # fmt: skip
    return found.sort_values("row").reset_index(drop=True)


@pytest.mark.parametrize("day", [SPRING, AUTUMN, "2013-07-04"])
def test_weather_is_what_was_known_two_hours_before(tmp_path: Path, day: str) -> None:
    store = day_store(tmp_path, day)
    rows = compute(store, daily(), FOLDER.features_sql, pinned_inputs(store, daily(), day)).to_pandas()
    assert len(rows) > 500
    expected = observed(rows)
    for name in WEATHER:
        pd.testing.assert_series_equal(rows[name], expected[name], check_names=False)
    assert rows["temp"].notna().mean() > 0.99, "the first flights of a day look up the evening before"


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_the_hosts_time_zone_does_not_matter(tmp_path: Path, day: str) -> None:
    day_store(tmp_path, day)
    digests = set()
    for zone in ("America/New_York", "Asia/Tokyo", "UTC"):
        command = [sys.executable, __file__, str(tmp_path), day]
        done = subprocess.run(
            command, env=os.environ | {"TZ": zone, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr[-2000:]
        digests.add(done.stdout.strip())
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELECT *, distnace * 2 AS twice FROM batch", "distnace"),
        ("SELECT batch.*, temp FROM batch JOIN weather USING (origin)", "loses or repeats rows"),
        ("SELECT * REPLACE (flight + 1 AS flight) FROM batch", "loses or repeats rows"),
        ("SELECT * REPLACE (flight // 2 AS flight) FROM batch", "loses or repeats rows"),
        ("SELECT * FROM batch WHERE distance > 500", "loses or repeats rows"),
        ("SELECT year, month, day, carrier, flight, distance, time_hour FROM batch", "without origin"),
        ("DROP TABLE batch", "the feature definition does not run"),
        ("SELECT *, current_date AS today FROM batch", "column today"),
        ("SELECT *, hash(flight) AS code FROM batch", "column code"),
        ("SELECT *, flight AS score FROM batch", "column score"),
        ("SELECT * REPLACE (time_hour::TIMESTAMP AS time_hour) FROM batch", "column time_hour"),
        ("SELECT year, month, day, carrier, flight, origin, time_hour FROM batch", "no features"),
    ],
)
def test_a_bad_definition_says_what_to_correct(tmp_path: Path, sql: str, says: str) -> None:
    store = day_store(tmp_path, SPRING)
    with pytest.raises(FeatureError) as caught:
        compute(store, daily(), sql, pinned_inputs(store, daily(), SPRING))
    assert says in str(caught.value)
    assert f"model flights_delay, features.sql, partition {SPRING}" in str(caught.value)
    assert caught.value.next_step


GOLDEN = {
    "flights_delay": "8ad5a0b719870c147534f9df26c49cbbab0327f1aad4fa1be7f53b9426efc0e9",
    "flights_airtime": "3b373e37eec5675ef27403fd62f4a933c766cfc16b6d08706b53528034013222",
}


@pytest.mark.parametrize("name", list(GOLDEN))
def test_features_are_the_bytes_that_stores_hold(tmp_path: Path, name: str) -> None:
    """Another digest would make every stored partition something new: the engine may change, its bytes may not."""
    folder = load_model(ROOT / "include" / "models" / name)
    plain = folder.model.model_dump(mode="json") | {"grain": "day", "start": "2013-01-02", "end": None}
    model = Model.model_validate(plain)
    store = day_store(tmp_path, SPRING)
    rows = compute(store, model, folder.features_sql, pinned_inputs(store, model, SPRING))
    assert store.features("d" * 64).replace(SPRING, rows).part.digest == GOLDEN[name]


def test_several_threads_give_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, count = Store(tmp_path).model("flights_delay"), 300_000
    days = pa.array([pd.Timestamp("2013-03-10", tz="UTC")] * count, pa.timestamp("us", "UTC"))
    numbers = pa.array(range(count), pa.int64())
    rows = {name: numbers for name in FOLDER.model.keys} | {"carrier": numbers.cast(pa.string()), "time_hour": days}
    store.batches("flights").replace(SPRING, pa.table(rows))
    plain = daily().model_dump(mode="json")
    sources = {name: plain["sources"][name] for name in ("flights", "outcomes")}
    model = Model.model_validate(plain | {"sources": sources})
    sql = "SELECT *, count(*) OVER (PARTITION BY day % 7) AS n, sqrt(day) * 3 AS x FROM batch WHERE day >= 0"
    made = []
    for is_one in (True, False):
        monkeypatch.setattr(engine, "order_matters", lambda sql, is_one=is_one: is_one)
        made.append(compute(store, model, sql, pinned_inputs(store, model, SPRING)))
    assert made[0].equals(made[1])
    assert not order_matters(sql)


def test_a_partition_that_was_not_delivered_is_named(tmp_path: Path) -> None:
    store = day_store(tmp_path, SPRING)
    assert missing_sources(store, daily(), SPRING) == []
    assert missing_sources(store, daily(), AUTUMN) == ["flights", "weather"]
    with pytest.raises(FeatureError, match=f"source flights, partition {AUTUMN}"):
        pinned_inputs(store, daily(), AUTUMN)


def main(root: str, day: str) -> None:
    """Print the digest of a day's feature rows, for a process in another time zone."""
    store = Store(Path(root)).model("flights_delay")
    rows = compute(store, daily(), FOLDER.features_sql, pinned_inputs(store, daily(), day))
    sys.stdout.write(store.features("d" * 64).replace(day, rows).part.digest)


if __name__ == "__main__":
    main(*sys.argv[1:])
