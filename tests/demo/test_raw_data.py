"""The raw files: what is in them, where partitions end, and what must never leak."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from demo import raw_data
from incumbent.partitions import Grain

pytestmark = pytest.mark.unit

LEAKS = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time"}


def test_flights_hold_only_what_is_known_before_departure(tmp_path: Path) -> None:
    path = raw_data.write_partition(tmp_path, "flights", "2013-02", Grain.MONTH)
    table = pq.read_table(path)
    assert path == tmp_path / "flights" / "2013-02.parquet"
    assert not LEAKS & set(table.column_names)
    assert table.num_rows == 24951
    assert not list(tmp_path.rglob("*.tmp"))


def test_outcomes_name_every_flight_once_with_its_status() -> None:
    rows = raw_data.outcomes()
    assert len(rows) == 336776
    assert rows["status"].value_counts().to_dict() == {"landed": 327346, "cancelled": 8255, "diverted": 1175}
    assert rows.loc[rows["status"] != "landed", ["arr_delay", "air_time"]].isna().all().all()


def test_days_and_weeks_hold_the_rows_of_the_months(tmp_path: Path) -> None:
    def rows(grain: Grain, keys: list[str]) -> pd.DataFrame:
        paths = [raw_data.write_partition(tmp_path / grain, "flights", key, grain) for key in keys]
        frame = pd.concat([pd.read_parquet(path) for path in paths])
        return frame.sort_values(raw_data.KEYS).reset_index(drop=True)

    march = rows(Grain.MONTH, ["2013-03"])
    days = [f"2013-03-{day:02d}" for day in range(1, 32)]
    weeks = ["2013-02-25", "2013-03-04", "2013-03-11", "2013-03-18", "2013-03-25"]
    by_week = rows(Grain.WEEK, weeks)
    pd.testing.assert_frame_equal(rows(Grain.DAY, days), march)
    pd.testing.assert_frame_equal(by_week[by_week["month"] == 3].reset_index(drop=True), march)


def test_damage_multiplies_a_share_of_the_distances_and_nothing_else(tmp_path: Path) -> None:
    path = raw_data.write_partition(tmp_path, "flights", "2013-02-04", Grain.DAY)
    before = pd.read_parquet(path)
    damaged = raw_data.damage_distance(path, share=0.05, factor=100, seed=7)
    after = pd.read_parquet(path)
    changed = before["distance"] != after["distance"]
    assert changed.sum() == damaged
    assert 0.03 * len(before) < damaged < 0.08 * len(before)
    assert (after["distance"][changed] == before["distance"][changed] * 100).all()
    pd.testing.assert_frame_equal(before.drop(columns="distance"), after.drop(columns="distance"))
