"""A share of the rows in another unit is found; amounts that have really changed are not held."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pyarrow as pa
import pytest

from incumbent.config import Integrity, Model
from incumbent.features.holds import hold
from incumbent.features.inputs import Inputs
from incumbent.features.integrity import findings
from incumbent.features.profile import Profile, profile
from incumbent.records import Part
from incumbent.store import Store

pytestmark = pytest.mark.unit

Numbers = np.ndarray
Draw = Callable[[np.random.Generator, int], Numbers]
PAST, ROWS = 20, 2000
SEEDS = range(500, 520)


def amounts(random: np.random.Generator, rows: int, move: float = 0.0, stretch: float = 1.0) -> Numbers:
    """Return amounts of which ten times as much is nearly ordinary for one of them."""
    return np.asarray(np.exp(3 + 0.8 * (move + stretch * random.standard_normal(rows))))


def times(share: float, factor: float, spread: float = 0.0) -> Draw:
    """Return amounts of which a share is some times as much, each by a factor of its own if there is a spread."""

    def draw(random: np.random.Generator, rows: int) -> Numbers:
        factors = factor * np.exp(spread * random.standard_normal(rows))
        return amounts(random, rows) * np.where(random.random(rows) < share, factors, 1.0)

    return draw


def batch_of(draw: Draw, seed: int, rows: int = ROWS) -> Profile:
    return profile(pa.table({"amount": draw(np.random.default_rng(seed), rows)}), ["amount"])


def past_of(draw: Draw = amounts, batches: int = PAST, rows: int = ROWS) -> list[Profile]:
    return [batch_of(draw, seed, rows) for seed in range(batches)]


def said_of(batch: Profile, history: list[Profile]) -> set[str]:
    return {finding["test"] for finding in findings(batch, history, None, Integrity()) if finding["holds"]}


@pytest.mark.parametrize("factor", [10, 0.1, 0.01])
@pytest.mark.parametrize(("share", "least"), [(0.05, 18), (0.2, 20)])
def test_a_share_in_another_unit_is_held(share: float, least: int, factor: float) -> None:
    history = past_of()
    found = [said_of(batch_of(times(share, factor), seed), history) for seed in SEEDS]
    assert sum("mixed_units" in each for each in found) >= least


def test_the_share_and_the_factor_are_said() -> None:
    (found,) = findings(batch_of(times(0.2, 10), 1), past_of(), None, Integrity())
    assert found["column"] == "amount"
    assert found["found"] == pytest.approx(0.2, abs=0.04)
    assert 0.01 <= found["expected"] <= 0.03
    assert found["sentence"].startswith("amount: ")
    for part in ("of the rows as if multiplied by 10, at most", "values above", "are usual", "another unit"):
        assert part in found["sentence"]
    (found,) = findings(batch_of(times(0.2, 0.01), 1), past_of(), None, Integrity())
    assert "as if divided by 100" in found["sentence"]
    assert "values below" in found["sentence"]


def test_the_place_has_as_many_rows_as_the_sentence_says() -> None:
    draw = times(0.2, 10)
    (found,) = findings(batch_of(draw, 1), past_of(), None, Integrity())
    says = found["sentence"].partition("(")[2].partition(")")[0].split()
    count, place, usual = (float(says[at].replace(",", "")) for at in (0, 3, 5))
    assert np.count_nonzero(draw(np.random.default_rng(1), ROWS) > place) == pytest.approx(count, rel=0.05)
    ordinary = np.mean([np.count_nonzero(amounts(np.random.default_rng(seed), ROWS) > place) for seed in range(PAST)])
    assert usual == pytest.approx(ordinary, abs=1.0)


def test_who_is_told_of_a_held_batch_reads_all_of_it(tmp_path: Path) -> None:
    found = findings(batch_of(times(0.2, 10), 1), past_of(), None, Integrity())
    model = cast(Model, SimpleNamespace(name="shop", integrity=Integrity()))
    part = Part("2024-01", "a" * 64, ROWS)
    inputs = cast(Inputs, SimpleNamespace(partition="2024-01", batch=part, digest="b"))
    said = hold(Store(tmp_path).model("shop"), model, inputs, "d", found).message
    for part_of_it in ("amount:", "% of the rows as if multiplied by 10", "ordinary", "Next: deliver a corrected file"):
        assert part_of_it in said


GENUINE: dict[str, Draw] = {
    "as ever": amounts,
    "all half a deviation more": lambda random, rows: amounts(random, rows, 0.5),
    "all a bit less": lambda random, rows: amounts(random, rows, -0.125),
    "all nearly five times as much": lambda random, rows: amounts(random, rows, 1.9),
    "a larger spread": lambda random, rows: amounts(random, rows, 0.0, 1.25),
    "a smaller spread": lambda random, rows: amounts(random, rows, 0.1, 0.8),
    "heavier tails": lambda random, rows: np.exp(3 + 0.8 * random.standard_t(4, rows)),
    "a campaign": times(0.1, 3, 0.5),
    "a campaign in few rows": times(0.05, 4),
    "a long tail of larger ones": lambda random, rows: (
        amounts(random, rows) * np.exp(0.4 * random.exponential(1, rows))
    ),
}


@pytest.mark.parametrize("rows", [100, ROWS])
@pytest.mark.parametrize("name", list(GENUINE))
def test_what_has_really_changed_is_not_held(name: str, rows: int) -> None:
    history = past_of(rows=rows)
    assert ["mixed_units" in said_of(batch_of(GENUINE[name], seed, rows), history) for seed in SEEDS] == [False] * 20


@pytest.mark.parametrize("rows", [20_000])
@pytest.mark.parametrize(("share", "factor", "spread"), [(0.1, 5, 0.5), (0.2, 5, 0.0)])
def test_many_rows_tell_a_large_campaign_from_a_unit(share: float, factor: float, spread: float, rows: int) -> None:
    history = past_of()
    for seed in range(500, 505):
        assert "mixed_units" not in said_of(batch_of(times(share, factor, spread), seed, rows), history)


def test_batches_that_differ_by_themselves_are_not_held() -> None:
    def wobbling(random: np.random.Generator, rows: int) -> Numbers:
        return amounts(random, rows, 0.2 * random.standard_normal())

    history = past_of(wobbling)
    assert [said_of(batch_of(wobbling, seed), history) for seed in SEEDS] == [set()] * 20


def test_a_season_and_a_trend_are_not_held() -> None:
    def at(day: int) -> Profile:
        move = 0.3 * np.sin(2 * np.pi * day / 7) + 0.01 * day
        return batch_of(lambda random, rows: amounts(random, rows, move), day, 1000)

    year = [at(day) for day in range(50)]
    assert [said_of(year[day], year[:day]) for day in range(10, 50)] == [set()] * 40


def test_a_share_that_goes_up_and_down_may() -> None:
    """Shops sell by the piece and by the ten, now more of the one and now of the other."""

    def both(random: np.random.Generator, rows: int) -> Numbers:
        narrow = np.exp(3 + 0.3 * random.standard_normal(rows))
        return narrow * np.where(random.random(rows) < random.beta(4, 36), 10, 1)

    history = past_of(both)
    assert [said_of(batch_of(both, seed), history) for seed in SEEDS] == [set()] * 20


def test_one_of_two_kinds_that_becomes_more_frequent_is_not_held() -> None:
    """As if all rows were weighed by their size: a tenth of them were ten times as much all along."""

    def both(share: float) -> Draw:
        def draw(random: np.random.Generator, rows: int) -> Numbers:
            narrow = np.exp(3 + 0.345 * random.standard_normal(rows))
            return narrow * np.where(random.random(rows) < share, 10, 1)

        return draw

    history = past_of(both(0.1))
    assert [said_of(batch_of(both(0.2), seed), history) for seed in SEEDS] == [set()] * 20


def test_what_somebody_has_released_is_usual() -> None:
    history = past_of()
    assert "mixed_units" in said_of(batch_of(times(0.1, 10), 1), history)
    released = [*history, batch_of(times(0.1, 10), 1)]
    assert said_of(batch_of(times(0.1, 10), 2), released) == set()


def spoiled(values: Numbers, seed: int) -> Numbers:
    return values * np.where(np.random.default_rng(seed).random(len(values)) < 0.2, 10, 1)


SILENT: dict[str, Draw] = {
    "negative numbers": lambda random, rows: 500 * random.standard_normal(rows),
    "few different numbers": lambda random, rows: random.choice([1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0], rows),
    "small counts": lambda random, rows: random.poisson(4, rows).astype(float),
}


@pytest.mark.parametrize("name", list(SILENT))
def test_nothing_is_said_where_a_factor_makes_no_sense(name: str) -> None:
    draw = SILENT[name]
    batch = batch_of(lambda random, rows: spoiled(draw(random, rows), 1), 500)
    assert "mixed_units" not in {each["test"] for each in findings(batch, past_of(draw), None, Integrity())}


def test_nothing_is_said_after_few_batches_or_of_what_was_counted_coarsely() -> None:
    batch = batch_of(times(0.2, 10), 1)
    assert "mixed_units" in said_of(batch, past_of(batches=5))
    assert said_of(batch, past_of(batches=4)) == set()
    coarse = [replace(each, exact=False) for each in past_of(batches=5)]
    assert said_of(batch, coarse) == set()


def test_zeros_and_nulls_are_left_out() -> None:
    def sparse(random: np.random.Generator, rows: int) -> Numbers:
        kind = random.random(rows)
        return np.where(kind < 0.3, 0.0, np.where(kind < 0.5, np.nan, amounts(random, rows)))

    history = past_of(sparse)
    assert said_of(batch_of(sparse, 500), history) == set()
    assert "mixed_units" in said_of(batch_of(lambda random, rows: spoiled(sparse(random, rows), 1), 500), history)
    nothing = batch_of(lambda random, rows: np.zeros(rows), 500)
    assert "mixed_units" not in said_of(nothing, history)


def test_all_rows_in_another_unit_are_said_once() -> None:
    found = findings(batch_of(times(1.0, 10), 500), past_of(), None, Integrity())
    assert {finding["test"] for finding in found} == {"out_of_range", "unit"}


def test_a_column_that_hardly_counts_is_on_record() -> None:
    for share, holds in ((0.2, False), (0.7, True)):
        found = findings(batch_of(times(share, 10), 500), past_of(), {"amount": 0.0}, Integrity())
        assert [each["holds"] for each in found if each["test"] == "mixed_units"] == [holds], share
