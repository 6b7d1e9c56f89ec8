"""Counting batch by batch gives what counting the whole gave, to the last digit."""

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from incumbent.features import profile as profiles
from incumbent.features.profile import MAX_LEVELS, OTHER, TINY, WIDTH, ColumnProfile, Counting, profile

pytestmark = pytest.mark.unit


def counted_whole(values: pa.ChunkedArray) -> ColumnProfile:
    """Return the profile of a column that is held in memory, as stored profiles were made before."""
    if pa.types.is_string(values.type):
        pairs = pc.value_counts(values.drop_null()).to_pylist()
        top = sorted(pairs, key=lambda pair: (-pair["counts"], pair["values"]))
        counts = {pair["values"]: pair["counts"] for pair in top[:MAX_LEVELS]}
        if rest := sum(pair["counts"] for pair in top[MAX_LEVELS:]):
            counts[OTHER] = rest
        return ColumnProfile(len(values), values.null_count, None, None, counts)
    numbers = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    found = numbers[np.isfinite(numbers)]
    if not len(found):
        return ColumnProfile(len(numbers), len(numbers), None, None, {})
    steps = np.floor((np.log(np.maximum(np.abs(found), TINY)) - math.log(TINY)) / WIDTH).astype(np.int64) + 1
    numbered = np.where(np.abs(found) < TINY, 0, np.sign(found).astype(np.int64) * steps)
    bins, tallies = np.unique(numbered, return_counts=True)
    counts = {f"#{bin_}": int(count) for bin_, count in zip(bins, tallies, strict=True)}
    return ColumnProfile(len(numbers), len(numbers) - len(found), float(found.min()), float(found.max()), dict(counts))


def table(seed: int, rows: int = 3000) -> pa.Table:
    rng = np.random.default_rng(seed)
    floats = rng.normal(0, 10.0 ** rng.integers(-12, 12, rows))
    floats[rng.random(rows) < 0.1] = rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e308, -1e308, 5e-324, 1e-9])
    texts = rng.choice([f"level {number % 40} {number}" for number in range(2 * MAX_LEVELS)], rows)
    missing = rng.random(rows) < 0.2
    columns: dict[str, Any] = {
        "floats": pa.array(floats, mask=missing),
        "ints": pa.array(rng.integers(-(2**62), 2**62, rows), mask=missing),
        "small": pa.array(rng.integers(0, 7, rows)),
        "bools": pa.array(rng.random(rows) < 0.3, mask=missing),
        "texts": pa.array(texts, pa.string(), mask=missing),
        "few": pa.array(rng.choice(["a", "b", "", "ä"], rows), pa.string()),
        "nothing": pa.nulls(rows, pa.float64()),
        "no_text": pa.nulls(rows, pa.string()),
    }
    return pa.table(columns)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("chunk", [7, 500, 100_000])
def test_batches_count_like_the_whole(seed: int, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles, "CHUNK_ROWS", 64)  # texts are put together many times
    rows = table(seed)
    counting = Counting(rows.schema, rows.column_names)
    for batch in rows.to_batches(max_chunksize=chunk):
        counting.add(batch)
    found = counting.profile()
    assert found == profile(rows, rows.column_names)
    for name in rows.column_names:
        assert found.columns[name] == counted_whole(rows[name]), name


def test_no_rows_are_a_profile_too() -> None:
    rows = table(0).slice(0, 0)
    for name, column in profile(rows, rows.column_names).columns.items():
        assert column == counted_whole(rows[name])
