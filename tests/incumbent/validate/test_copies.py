"""The file of another partition is refused while that partition holds its rows, and only so long."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from incumbent.admit.order import Reason
from incumbent.config import Model
from incumbent.records import Ingest
from incumbent.store import ModelStore
from incumbent.validate import ingest
from incumbent.validate.contract import SourceContract

pytestmark = pytest.mark.unit


@pytest.fixture
def undated(contract: Callable[..., Any]) -> SourceContract:
    """A contract without a date, by which a row cannot be told to be in the wrong partition."""
    given: SourceContract = contract()
    return given.model_copy(update={"columns": {k: v for k, v in given.columns.items() if k != "ts"}})


def test_a_file_under_a_wrong_name_is_welcome_once_that_is_corrected(
    store: ModelStore, small: Model, undated: SourceContract, write: Callable[..., Path]
) -> None:
    def drop(partition: str, months_file: str) -> Ingest:
        path = write(partition, "truth", ts=pa.array([0] * 20), x=pa.array([float(months_file[-1])] * 20))
        return ingest(store, small, undated, "truth", partition, path)

    assert drop("2020-01", "2020-02").verdict == "accepted", "nothing tells that these are February's rows"
    refused = drop("2020-02", "2020-02")
    assert (refused.verdict, refused.reason) == ("stopped", Reason.COPY)
    assert "this file was delivered before, for another partition" in refused.message
    assert "found: the same bytes as 2020-01" in refused.message
    assert store.outcomes("truth").part("2020-02") is None
    assert len(store.records.names(Ingest.kind)) == 1, "what may change is not written down"
    assert drop("2020-01", "2020-01").verdict == "accepted"
    assert drop("2020-02", "2020-02").verdict == "accepted"
    assert list(store.outcomes("truth").parts()) == ["2020-01", "2020-02"]


def test_a_looked_up_source_may_stay_the_same(
    store: ModelStore, small: Model, undated: SourceContract, write: Callable[..., Path]
) -> None:
    first = write("2020-01", "prices")
    second = Path(shutil.copy(first, first.with_name("2020-02.parquet")))
    assert ingest(store, small, undated, "prices", "2020-01", first).verdict == "accepted"
    assert ingest(store, small, undated, "prices", "2020-02", second).verdict == "accepted"
