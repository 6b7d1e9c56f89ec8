"""A year of real flights passes; broken data does not."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from demo import raw_data
from incumbent.config import Integrity, load_model
from incumbent.features.build import feature_columns
from incumbent.features.columns import plain_types
from incumbent.features.compute import open_duckdb
from incumbent.features.integrity import findings
from incumbent.features.profile import Profile, add, profile

pytestmark = pytest.mark.unit

FOLDER = load_model(Path(__file__).parents[3] / "include" / "models" / "flights_delay")
SETTINGS = Integrity()


@pytest.fixture(scope="module")
def months() -> list[pa.Table]:
    """Return the real feature rows of each month."""
    import pandas as pd

    connection = open_duckdb()
    weather = raw_data.weather()
    tables = {
        "batch": raw_data.flights(),
        "weather": weather[weather["wind_speed"].fillna(0) <= 250],
        "planes": pd.read_csv(raw_data._packaged("planes")),
        "airlines": pd.read_csv(raw_data._packaged("airlines")),
    }
    for name, frame in tables.items():
        connection.register(name, plain_types(pa.Table.from_pandas(frame, preserve_index=False)))
    rows = plain_types(connection.sql(FOLDER.features_sql).to_arrow_table())
    return [rows.filter(pc.equal(rows["month"], month)) for month in range(1, 13)]


@pytest.fixture(scope="module")
def profiles(months: list[pa.Table]) -> list[Profile]:
    columns = feature_columns(FOLDER.model, months[0])
    return [profile(rows, columns) for rows in months]


def held(batch: Profile, history: list[Profile], importance: dict[str, float] | None = None) -> set[tuple[str, str]]:
    found = findings(batch, history, importance, SETTINGS)
    return {(finding["column"], finding["test"]) for finding in found if finding["holds"]}


def rows_of(seed: int, rows: int = 1000) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "normal": random.normal(size=rows),
        "amount": random.lognormal(3, 1, rows),
        "money": random.gamma(2, 50, rows),
        "count": random.poisson(4, rows).astype(float),
        "kind": random.choice(["a", "b", "c"], rows, p=[0.7, 0.2, 0.1]).astype(object),
        "place": random.choice([f"place {at}" for at in range(40)], rows).astype(object),
    }


def small(columns: dict[str, np.ndarray]) -> Profile:
    return profile(pa.table({name: pa.array(values) for name, values in columns.items()}), list(columns))


FAULTS = {
    "x100": ("normal", "amount", "money", "count"),
    "null": ("normal", "amount", "count", "kind", "place"),
    "unseen": ("kind", "place"),
    "type": ("normal", "kind"),
}
TESTS = {"x100": "out_of_range", "null": "nulls", "unseen": "unseen", "type": "type"}


def spoiled(columns: dict[str, np.ndarray], name: str, fault: str, seed: int) -> dict[str, np.ndarray]:
    """Return a batch with 5 % of a column's rows broken; a column has one type, so another one is of all its rows."""
    values = columns[name].copy()
    hit = np.random.default_rng(seed).random(len(values)) < 0.05
    if fault == "x100":
        values[hit] *= 100
    elif fault == "null":
        values[hit] = None if values.dtype == object else np.nan
    elif fault == "unseen":
        values[hit] = "???"
    else:
        values = np.arange(len(values)) * 1.0 if values.dtype == object else values.astype(str).astype(object)
    return {**columns, name: values}


@pytest.mark.parametrize("batches", [1, 12])
@pytest.mark.parametrize("fault", list(FAULTS))
def test_five_per_cent_of_broken_rows_are_found(fault: str, batches: int) -> None:
    """99 of 100 at 1,000 rows, whichever column and however many batches have shown what is usual."""
    history = [small(rows_of(seed)) for seed in range(batches)]
    for name in FAULTS[fault]:
        found = 0
        for seed in range(500, 550):
            batch = small(spoiled(rows_of(seed), name, fault, seed))
            found += (name, TESTS[fault]) in held(batch, history)
        assert found >= 49, (name, found)


@pytest.mark.parametrize(("rows", "batches"), [(50, 1), (50, 40), (1000, 1), (1000, 40), (30_000, 3)])
def test_sound_batches_are_not_held(rows: int, batches: int) -> None:
    history = [small(rows_of(seed, rows)) for seed in range(batches)]
    assert [held(small(rows_of(seed, rows)), history) for seed in range(500, 530)] == [set()] * 30


def test_what_varies_from_batch_to_batch_may() -> None:
    """A column that is empty more often in summer is not broken; one that never was is."""
    random = np.random.default_rng(1)
    shares = 0.5 + 0.3 * np.sin(np.arange(40) / 6) + random.normal(0, 0.03, 40)

    def gusts(seed: int, share: float) -> Profile:
        rows = rows_of(seed)
        return small(
            {**rows, "gust": np.where(np.random.default_rng(seed).random(1000) < share, np.nan, rows["normal"])}
        )

    year = [gusts(seed, share) for seed, share in enumerate(shares)]
    assert [held(year[at], year[:at]) for at in range(4, 40)] == [set()] * 36
    flat = [gusts(seed, 0.3) for seed in range(40)]
    assert held(gusts(99, 1.0), flat) == {("gust", "all_null")}


def test_after_one_day_a_range_says_little() -> None:
    def day(number: int) -> Profile:
        pressure = np.random.default_rng(number).normal(1010 + 8 * number, 1, 900)
        return small({"weekday": np.full(900, number + 2.0), "pressure": pressure})

    assert held(day(3), [day(0)]) == set()
    assert held(day(3), [day(0), day(1), day(2)]) == set()
    rows = {"weekday": np.full(900, 4.0), "pressure": np.random.default_rng(1).normal(1010, 1, 900)}
    rows["pressure"][:45] *= 10
    assert held(small(rows), [day(0)]) == {("pressure", "out_of_range")}


def test_a_fixed_tolerance_stands_for_the_learned_one() -> None:
    history, batch = [small(rows_of(1))], small(spoiled(rows_of(2), "normal", "null", 2))
    assert held(batch, history) == {("normal", "nulls")}
    lax = Integrity(null_increase=0.10)
    assert [each for each in findings(batch, history, None, lax) if each["holds"]] == []
    strict = Integrity(unseen=0.001)
    few = rows_of(3, 30_000)
    few["kind"][:60] = "???"
    assert held(small(few), [small(rows_of(4, 30_000))]) == set()
    (found,) = findings(small(few), [small(rows_of(4, 30_000))], None, strict)
    assert (found["column"], found["test"]) == ("kind", "unseen")


def test_a_column_that_stands_still_is_found() -> None:
    history = [small(rows_of(seed)) for seed in range(5)]
    for name in ("normal", "count", "place"):
        rows = rows_of(9)
        rows[name][:] = rows[name][0]
        assert (name, "constant") in held(small(rows), history), name
    rare = rows_of(9)
    rare["kind"][:] = "a"
    assert held(small(rare), history) == set(), "seven of ten are, and a batch of nothing else is for the drift test"
    still = [*history, small({**rows_of(6), "count": np.full(1000, 4.0)})]
    rows = {**rows_of(9), "count": np.full(1000, 4.0)}
    assert held(small(rows), still) == set(), "it has happened before"


def test_columns_that_changed_places_are_found() -> None:
    history = [small(rows_of(seed)) for seed in range(5)]
    rows = rows_of(9)
    swapped = small({**rows, "normal": rows["money"], "money": rows["normal"]})
    assert {("normal", "swap"), ("money", "swap")} <= held(swapped, history)
    texts = small({**rows, "kind": rows["place"], "place": rows["kind"]})
    assert {("kind", "swap"), ("place", "swap")} <= held(texts, history)


def test_the_same_rows_again_are_found() -> None:
    history = [small(rows_of(seed)) for seed in range(5)]
    found = findings(history[2], history, None, SETTINGS, [f"2013-0{month}" for month in range(1, 6)])
    assert [(each["column"], each["test"], each["found"], each["holds"]) for each in found] == [
        ("every column", "duplicate", "2013-03", True)
    ]
    assert "2013-03" in found[0]["sentence"]
    few = small({"kind": np.array(["a", "b"] * 4, dtype=object)})
    assert findings(few, [few], None, SETTINGS) == [], "few values are alike by chance"


@pytest.mark.parametrize("rows", [0, 1])
def test_a_batch_of_hardly_any_rows_is_judged_without_an_error(rows: int) -> None:
    history = [small(rows_of(seed)) for seed in range(3)]
    assert held(small(rows_of(9, rows)), history) == set()
    assert held(small(rows_of(9)), [small(rows_of(1, rows))]) <= {
        (name, test) for name in rows_of(1) for test in SPARSE
    }


SPARSE = ("unseen", "nulls", "out_of_range", "type")


def damaged(rows: pa.Table, name: str, values: np.ndarray) -> Profile:
    changed = rows.set_column(rows.column_names.index(name), name, pa.array(values))
    return profile(changed, feature_columns(FOLDER.model, rows))


def later() -> Iterator[int]:
    yield from range(1, 12)


def test_no_month_of_the_real_year_is_held(profiles: list[Profile]) -> None:
    assert [held(profiles[month], profiles[:month]) for month in later()] == [set()] * 11


def test_a_hundredfold_distance_on_a_twentieth_of_the_rows_is_found_in_every_month(
    months: list[pa.Table], profiles: list[Profile]
) -> None:
    for month in later():
        distance = months[month]["distance"].to_numpy()
        hit = np.random.default_rng(month).random(len(distance)) < 0.05
        batch = damaged(months[month], "distance", np.where(hit, distance * 100, distance))
        assert ("distance", "out_of_range") in held(batch, profiles[:month]), month


@pytest.mark.parametrize("factor", [10, 100])
def test_a_whole_column_in_another_unit_is_found(months: list[pa.Table], profiles: list[Profile], factor: int) -> None:
    batch = damaged(months[5], "distance", months[5]["distance"].to_numpy() * factor)
    assert ("distance", "unit") in held(batch, profiles[:5])


def test_new_nulls_and_new_levels_are_found(months: list[pa.Table], profiles: list[Profile]) -> None:
    rows = months[5]
    hit = np.random.default_rng(1).random(rows.num_rows)
    temp = np.where(hit < 0.3, np.nan, rows["temp"].to_numpy())
    assert ("temp", "nulls") in held(damaged(rows, "temp", temp), profiles[:5])
    dest = np.where(hit < 0.1, "???", np.array(rows["dest"].to_pylist(), dtype=object))
    assert ("dest", "unseen") in held(damaged(rows, "dest", dest), profiles[:5])


def test_a_column_the_champion_does_not_use_is_reported_and_does_not_hold(
    months: list[pa.Table], profiles: list[Profile]
) -> None:
    distance = months[5]["distance"].to_numpy()
    batch = damaged(months[5], "distance", np.where(np.arange(len(distance)) % 10, distance, distance * 100))
    unused = {"temp": 1.0, "distance": 0.0}
    assert held(batch, profiles[:5], unused) == set()
    assert held(batch, profiles[:5], {"temp": 1.0}) != set(), "the champion does not know it: it counts in full"
    found = findings(batch, profiles[:5], unused, SETTINGS)
    assert "distance" in {finding["column"] for finding in found}
    assert all(finding["sentence"].startswith(finding["column"]) for finding in found)


def test_a_whole_column_holds_however_little_the_champion_makes_of_it(
    months: list[pa.Table], profiles: list[Profile]
) -> None:
    """The model that is trained next would learn from it."""
    unused = {"temp": 1.0, "distance": 0.0}
    in_metres = damaged(months[5], "distance", months[5]["distance"].to_numpy() * 1609.34)
    assert ("distance", "out_of_range") in held(in_metres, profiles[:5], unused)
    unimportant = dict.fromkeys(profiles[0].columns, 0.0)
    assert [held(profiles[month], profiles[:month], unimportant) for month in later()] == [set()] * 11


def test_a_column_of_more_levels_than_a_profile_names_is_not_held() -> None:
    def tails(seed: int) -> Profile:
        numbers = np.random.default_rng(seed).integers(0, 4000, 27_000)
        return profile(pa.table({"tail": [f"N{number}" for number in numbers]}), ["tail"])

    assert held(tails(2), [tails(1)]) == set()
    assert held(tails(9), [tails(seed) for seed in range(6)]) == set()


def test_levels_that_look_like_bin_numbers_and_columns_that_change_their_kind() -> None:
    text = profile(pa.table({"s": ["#1A", "#2"] * 50}), ["s"])
    numbers = profile(pa.table({"s": [1.0, 2.0] * 50}), ["s"])
    assert held(text, [text]) == set()
    assert held(text, [numbers]) == held(numbers, [text]) == {("s", "type")}


@pytest.mark.parametrize(("low", "high"), [(2012, 2014), (260, 310), (-310, -260), (1.6e9, 1.6001e9), (1e-12, 1e-10)])
def test_a_range_narrower_than_a_bin_holds_nothing(low: float, high: float) -> None:
    rng = np.random.default_rng(3)
    first, second = (profile(pa.table({"x": rng.uniform(low, high, 5000)}), ["x"]) for _ in range(2))
    assert held(second, [first]) == set()
    other = profile(pa.table({"x": rng.uniform(low, high, 5000) * 1000 + 1}), ["x"])
    assert {test for _, test in held(other, [first])} >= {"out_of_range"}


def test_the_first_batch_has_nothing_to_be_compared_with(profiles: list[Profile]) -> None:
    assert findings(profiles[0], [], None, SETTINGS) == []


def test_profiles_add_up(months: list[pa.Table], profiles: list[Profile]) -> None:
    together = profile(pa.concat_tables(months[:2]), feature_columns(FOLDER.model, months[0]))
    summed = add(profiles[0], profiles[1])
    for name, found in together.columns.items():
        other = summed.columns[name]
        assert (found.rows, found.nulls, found.low, found.high) == (other.rows, other.nulls, other.low, other.high)
        assert dict(found.counts) == dict(other.counts), name


def test_quantiles_are_right_to_within_a_bin(months: list[pa.Table], profiles: list[Profile]) -> None:
    values = months[0]["distance"].to_numpy()
    for share in (0.05, 0.5, 0.95):
        exact = np.quantile(values, share, method="inverted_cdf")
        assert profiles[0].columns["distance"].quantile(share) == pytest.approx(exact, rel=0.05)


def test_profiles_survive_storage(profiles: list[Profile]) -> None:
    assert Profile.from_json(profiles[0].to_json()) == profiles[0]
