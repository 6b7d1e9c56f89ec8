"""Features that say nothing are found without reading all of them, and none that says something is among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from incumbent.errors import TrainingError
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.shards import Chosen, Shard
from incumbent.train.flat import Flat, check_flat, flat_features

pytestmark = pytest.mark.unit
ROWS, GROUP = 1000, 100
ONES = np.ones(ROWS)


def changed(values: Any, row: int, value: object) -> list[object]:
    found = list(values)
    found[row] = value
    return found


COLUMNS: dict[str, Any] = {
    "varies": np.arange(ROWS, dtype=np.float64),
    "null": pa.nulls(ROWS, pa.int64()),
    "nan": np.full(ROWS, np.nan),
    "one": ONES,
    "true": pa.array([True] * ROWS),
    "text": pa.array(["a"] * ROWS),
    "no_text": pa.nulls(ROWS, pa.string()),
    "late_value": pa.array(changed([None] * ROWS, 450, 1.0), pa.float64()),
    "late_change": changed(ONES, 450, 2.0),
    "late_null": changed(ONES, 450, None),
    "late_text": changed(["a"] * ROWS, 450, "b"),
    "not_chosen": changed(ONES, 999, 2.0),
}
FLAT = Flat(("null", "nan", "no_text"), ("one", "true", "text", "not_chosen"))


@pytest.fixture
def rows(tmp_path: Path) -> tuple[list[Path], list[Chosen], Encoder]:
    """Return two files of ten row groups each, whose last row is not learned from, and the encoding of both."""
    table = pa.table(COLUMNS)
    files = [tmp_path / "first.parquet", tmp_path / "second.parquet"]
    for file in files:
        pq.write_table(table, file, row_group_size=GROUP)
    positions = np.arange(ROWS - 1, dtype=np.int32)
    chosen = [Chosen(number, positions, np.zeros(ROWS - 1), None) for number in range(2)]
    return files, chosen, Encoder.learn(table, tuple(COLUMNS))


def test_they_are_the_null_and_the_constant_ones_of_the_chosen_rows(rows: Any) -> None:
    assert flat_features(*rows) == FLAT


def test_what_is_not_flat_in_the_first_row_group_is_not_read_again(rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read, batch = [], Shard.batch
    monkeypatch.setattr(
        Shard, "batch", lambda shard, number: read.append((number, shard.encoder.features)) or batch(shard, number)
    )
    flat_features(*rows)
    assert read[0] == (0, tuple(COLUMNS))
    assert [number for number, _ in read] == list(range(20))
    assert {names for _, names in read[1:]} == {tuple(name for name in COLUMNS if name != "varies")}
    read.clear()
    files, chosen, encoder = rows
    assert flat_features(files, chosen, encoder.only(["varies"])) == Flat()
    assert read == [(0, ("varies",))]


def test_only_rows_without_any_feature_that_varies_are_refused() -> None:
    check_flat(Flat(("a",), ("b",)), ("a", "b", "c"), "here")
    with pytest.raises(TrainingError, match="nothing can be learned") as caught:
        check_flat(Flat(("a",), ("b",)), ("a", "b"), "here")
    assert caught.value.found == "null in all training rows: a; the same in all training rows: b"
