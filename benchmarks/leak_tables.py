"""Public tables without a leak, from packages that are installed anyway: nothing is fetched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from demo.raw_data import every_column, flights, outcomes, weather

MOST_ROWS = 2000
SHARE = 0.9


@dataclass(frozen=True)
class Table:
    """An honest table: its features, and the column `label`."""

    name: str
    task: str
    rows: pd.DataFrame

    def draw(self, seed: int) -> pd.DataFrame:
        """Return nine tenths of the rows, at most 2,000, in an order of the seed."""
        size = min(int(SHARE * len(self.rows)), MOST_ROWS)
        drawn = self.rows.sample(n=size, random_state=np.random.RandomState(seed))
        return drawn.reset_index(drop=True)


def tables(*names: str) -> tuple[Table, ...]:
    """Return the tables of the study, all of them or those that are named."""
    made: dict[str, Callable[[], Table]] = {
        "breast cancer": _cancer,
        "wine": _wine,
        "iris": _iris,
        "digits": _digits,
        "diabetes": _diabetes,
        "affairs": _affairs,
        "vote": _vote,
        "doctor visits": _visits,
        "life expectancy": _life,
        "rain": _rain,
        "late flights": _late,
        "air time": _air_time,
    }
    return tuple(made[name]() for name in names or made)


def _bunch(name: str) -> pd.DataFrame:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    rows: pd.DataFrame = bunch.data
    return rows.assign(label=bunch.target.astype(float))


def _cancer() -> Table:
    return Table("breast cancer", "binary", _bunch("breast_cancer"))


def _wine() -> Table:
    rows = _bunch("wine")
    return Table("wine", "binary", rows.assign(label=(rows.label == 1).astype(float)))


def _iris() -> Table:
    rows = _bunch("iris")
    return Table("iris", "binary", rows[rows.label > 0].assign(label=lambda kept: kept.label - 1))


def _digits() -> Table:
    rows = _bunch("digits")
    return Table("digits", "binary", rows.assign(label=(rows.label == 8).astype(float)))


def _diabetes() -> Table:
    return Table("diabetes", "regression", _bunch("diabetes"))


def _affairs() -> Table:
    from statsmodels.datasets import fair

    rows = fair.load_pandas().data
    return Table("affairs", "binary", rows.assign(label=(rows.pop("affairs") > 0).astype(float)))


def _vote() -> Table:
    from statsmodels.datasets import anes96

    return Table("vote", "binary", anes96.load_pandas().data.rename(columns={"vote": "label"}))


def _visits() -> Table:
    from statsmodels.datasets import randhie

    return Table("doctor visits", "regression", randhie.load_pandas().data.rename(columns={"mdvis": "label"}))


def _life() -> Table:
    from plotly import data

    rows = data.gapminder().rename(columns={"lifeExp": "label"})
    return Table("life expectancy", "regression", rows[["continent", "year", "pop", "gdpPercap", "label"]])


def _rain() -> Table:
    rows = weather().dropna(subset=["precip"])
    kept = rows[["origin", "month", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "pressure", "visib"]]
    return Table("rain", "binary", kept.assign(label=(rows.precip > 0).astype(float)))


def _late() -> Table:
    landed = _landed().copy()
    return Table("late flights", "binary", landed.assign(label=(landed.pop("arr_delay") > 15).astype(float)))


def _air_time() -> Table:
    landed = _landed().drop(columns="arr_delay")
    return Table("air time", "regression", landed.assign(label=outcomes().loc[landed.index, "air_time"]))


@cache
def _landed() -> pd.DataFrame:
    rows = flights().assign(arr_delay=outcomes().arr_delay)
    rows = rows.merge(weather().drop(columns=["year", "month", "day", "hour"]), how="left", on=["origin", "time_hour"])
    rows = rows[rows.arr_delay.notna()].drop(columns=["time_hour", "tailnum", "year"])
    return rows


def whole_flights() -> pd.DataFrame:
    """Return all flights with all columns and `label`, which is empty where a flight did not arrive."""
    rows = every_column()
    late = (rows.arr_delay > 15).astype(float)
    return rows.assign(label=late.where(rows.arr_delay.notna()))
