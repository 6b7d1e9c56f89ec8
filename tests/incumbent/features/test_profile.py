"""Counting batch by batch gives what counting the whole gave, to the last digit."""

import json
import struct
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from incumbent.features import profile as profiles
from incumbent.features.bins import MAX_BINS, Bins
from incumbent.features.profile import MAX_LEVELS, OTHER, ColumnProfile, Counting, Profile, add, added, profile

pytestmark = pytest.mark.unit
GOLDEN = Path(__file__).parents[2] / "golden"


def counted_whole(values: pa.ChunkedArray) -> ColumnProfile:
    """Return the profile of a column that is held in memory, number by number."""
    if pa.types.is_string(values.type):
        pairs = pc.value_counts(values.drop_null()).to_pylist()
        top = sorted(pairs, key=lambda pair: (-pair["counts"], pair["values"]))
        counts = {pair["values"]: pair["counts"] for pair in top[:MAX_LEVELS]}
        if rest := sum(pair["counts"] for pair in top[MAX_LEVELS:]):
            counts[OTHER] = rest
        return ColumnProfile(len(values), values.null_count, None, None, counts)
    numbers = np.asarray(values.cast(pa.float64(), safe=False).to_numpy(), dtype=np.float64)
    found = numbers[np.isfinite(numbers)].tolist()
    if not found:
        return ColumnProfile(len(numbers), len(numbers), None, None)
    ordered = [code_of(number) for number in found]
    shift = next(shift for shift in range(64) if len({code >> shift for code in ordered}) <= MAX_BINS)
    tallies = Counter(code >> shift for code in ordered)
    bins = Bins(shift, np.array(sorted(tallies), np.int64), np.array([tallies[code] for code in sorted(tallies)]))
    return ColumnProfile(len(numbers), len(numbers) - len(found), min(found), max(found), {}, bins)


def code_of(number: float) -> int:
    """Return a number's place among all floats."""
    (bits,) = struct.unpack("<Q", struct.pack("<d", abs(number)))
    return bits if number >= 0 else -bits - 1


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


@pytest.mark.parametrize("seed", range(3))
def test_profiles_add_up_in_any_order_to_that_of_all_rows(seed: int) -> None:
    rows = table(seed, 9000)
    whole = profile(rows, rows.column_names)
    cuts = [0, 40, 41, 2000, 2000, 9000]
    parts = [profile(rows.slice(a, b - a), rows.column_names) for a, b in pairwise(cuts)]
    for order in (parts, parts[::-1], parts[2:] + parts[:2]):
        for name in set(rows.column_names) - {"texts"}:  # of which the rare levels have no names
            assert added(order).columns[name] == whole.columns[name], name
    assert add(parts[0], add(parts[1], parts[4])).columns["floats"] == added(parts[:2] + parts[4:]).columns["floats"]


def test_a_column_of_few_numbers_is_counted_exactly() -> None:
    seconds = np.arange(1_700_000_000, 1_700_000_000 + MAX_BINS)
    found = profile(pa.table({"t": np.repeat(seconds, 3), "x": [20.0, 21.0] * (3 * MAX_BINS // 2)}), ["t", "x"])
    assert found.columns["t"].numbers() == [(float(second), 3) for second in seconds]
    assert found.columns["x"].numbers() == [(20.0, 3 * MAX_BINS // 2), (21.0, 3 * MAX_BINS // 2)]


def test_bins_are_fine_where_the_numbers_are() -> None:
    random = np.random.default_rng(2)
    for column in (
        random.normal(size=200_000),
        1013 + 8 * random.normal(size=200_000),
        random.lognormal(3, 1, 200_000),
    ):
        found = profile(pa.table({"x": column}), ["x"]).columns["x"]
        assert MAX_BINS / 2.2 < found.distinct <= MAX_BINS
        assert max(found.bins.tallies) < 0.01 * len(column)
        for share in (0.01, 0.5, 0.99):
            assert abs(np.mean(column <= found.quantile(share)) - share) < 0.01


def test_what_lies_outside_is_counted_only_when_all_of_a_bin_does() -> None:
    found = profile(pa.table({"x": [-2.0, 0.0, -0.0, 3.0, 1e300]}), ["x"]).columns["x"]
    assert [found.outside(*ends) for ends in ((-2, 3), (-1, 3), (0, 0), (-np.inf, np.inf))] == [1, 2, 3, 0]
    assert found.numbers() == [(-2.0, 1), (0.0, 2), (3.0, 1), (1e300, 1)]


@pytest.mark.parametrize("seed", range(2))
def test_a_profile_survives_storage(seed: int) -> None:
    rows = table(seed, 5000)
    found = profile(rows, rows.column_names)
    assert Profile.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_what_an_earlier_release_has_stored_stays_readable() -> None:
    found = Profile.from_json(json.loads((GOLDEN / "profile-1.json").read_text()))
    x, year, flag, level, nothing = (found.columns[name] for name in ("x", "year", "flag", "level", "nothing"))
    assert (x.rows, x.nulls, x.low, x.high, x.bins.count) == (400, 20, -10.56, 18.5, 380)
    assert x.quantile(0.5) == pytest.approx(2.64, rel=0.05)
    assert (year.low, year.high, year.values, year.outside(2010, 2013)) == (2010.0, 2013.0, 400, 0)
    assert (flag.values, flag.outside(0.5, 2)) == (400, 337)
    assert dict(level.counts) == {"#1": 152, "a": 130, "b": 118}
    assert (nothing.nulls, nothing.values, nothing.is_text) == (400, 0, False)
    assert not found.exact
    assert not Profile.from_json(found.to_json()).exact, "stored again, it is no better known"
    assert not added([found, found]).exact
    assert added([found, found]).columns["x"].bins.count == 760


def test_todays_format_is_what_it_was() -> None:
    stored = json.loads((GOLDEN / "profile-2.json").read_text())
    found = Profile.from_json(stored)
    assert found.exact
    assert found.to_json() == stored
    assert found.columns["x"].numbers()[:2] == [(-1.5, 1), (0.0, 2)]
    assert dict(found.columns["level"].counts) == {"a": 3, "b": 1}
