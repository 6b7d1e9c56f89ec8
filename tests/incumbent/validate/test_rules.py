"""What a row is tested for, whatever the user calls his rules and columns."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from incumbent.config import Model
from incumbent.store import ModelStore
from incumbent.validate import ingest

pytestmark = pytest.mark.unit

DATE = {name: {"dtype": "int64"} for name in ("year", "month", "day")}
DAYS = [1, 30, 0, *range(1, 18)]  # rows 1 and 2 are no days of February


@pytest.mark.parametrize("columns", ["year, month, day", "year, month, day and time"])
def test_an_impossible_date_sets_its_row_aside(
    store: ModelStore, small: Model, contract: Callable[..., Any], write: Callable[..., Any], columns: str
) -> None:
    given = contract(DATE)
    source = "events" if "time" in columns else "truth"
    if source == "truth":
        given = given.model_copy(update={"columns": {k: v for k, v in given.columns.items() if k != "ts"}})
    date = {"year": pa.array([2020] * 20), "month": pa.array([2] * 20), "day": pa.array(DAYS)}
    found = ingest(store, small, given, source, "2020-02", write("2020-02", source, **date))
    assert (found.verdict, found.rows, found.failures) == ("accepted", 18, {"real_date": 2})
    aside = store.quarantine(source).read(["2020-02"]).to_pylist()
    assert {row["reason"] for row in aside} == {"year, month and day are no day of the calendar"}
    assert '"day":30' in aside[0]["row"]


def test_a_row_without_a_day_has_no_date_unless_the_contract_allows_it(
    store: ModelStore, small: Model, contract: Callable[..., Any], write: Callable[..., Any]
) -> None:
    days = pa.array([None, *range(1, 20)], pa.int64())
    path = write(year=pa.array([2020] * 20), month=pa.array([1] * 20), day=days)
    found = ingest(store, small, contract(DATE), "events", "2020-01", path)
    assert found.failures == {"day.required": 1, "real_date": 1}
    allowed = contract({**DATE, "day": {"dtype": "int64", "nullable": True}})
    assert ingest(store, small, allowed, "events", "2020-01", path).failures == {}
