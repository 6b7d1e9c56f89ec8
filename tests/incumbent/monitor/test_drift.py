"""Drift: quiet on batches of the same kind, loud when the scores move, honest about little evidence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from incumbent.config import Monitor
from incumbent.features.profile import Profile, profile
from incumbent.monitor import DriftVerdict, Judged, Reference, drift_verdict, reference_of
from incumbent.partitions import Grain
from incumbent.records import canonical_json
from incumbent.stats.shape import Moved, Wobble, p_value

pytestmark = pytest.mark.unit

SETTINGS = Monitor()
IMPORTANCE = {"x": 0.7, "level": 0.29, "unused": 0.01}
GOLDEN = Path(__file__).parents[2] / "golden"


def batch(seed: int, rows: int = 5000, shift: float = 0.0, score_shift: float = 0.0, unused: float = 0.0) -> Profile:
    random = np.random.default_rng(seed)
    table = pa.table(
        {
            "x": random.normal(10 + shift, 1, rows),
            "level": random.choice(["a", "b", "c"], rows),
            "unused": random.normal(unused, 1, rows),
            "score": random.beta(2 + score_shift, 5, rows),
        }
    )
    return profile(table, table.column_names)


@pytest.fixture(scope="module")
def references() -> list[Profile]:
    return [batch(seed) for seed in range(24)]


def judged(found: Profile, reference: list[Profile] | Reference, **more: Any) -> DriftVerdict:
    return drift_verdict("2013-02", 1, "v", found, reference, IMPORTANCE, SETTINGS, **more)


def test_the_same_kind_of_batch_is_no_drift(references: list[Profile]) -> None:
    known = reference_of(references)
    found = [judged(batch(seed), known) for seed in range(100, 130)]
    assert {(verdict.tier, verdict.notify, verdict.window) for verdict in found} == {("none", "nobody", 0)}
    assert {verdict.basis for verdict in found} == {"calibrated"}


def test_moved_scores_are_a_candidate(references: list[Profile]) -> None:
    verdict = judged(batch(9, score_shift=1.5), references)
    assert (verdict.tier, verdict.notify, verdict.window) == ("retrain candidate", "model owner", 1)
    assert verdict.score["effect"] > SETTINGS.score_tolerance
    assert verdict.score["p"] < verdict.score["alpha"]
    little = judged(batch(9, rows=20_000, score_shift=0.2), references)
    assert (little.tier, little.notify, little.score["large"]) == ("warning", "channel", False)
    assert SETTINGS.warn_score_tolerance < little.score["effect"] < SETTINGS.score_tolerance


def test_features_count_by_their_importance(references: list[Profile]) -> None:
    known = reference_of(references)
    tiers = {shift: judged(batch(9, shift=shift), known).tier for shift in (0.3, 0.6)}
    assert tiers == {0.3: "warning", 0.6: "retrain candidate"}
    unused = judged(batch(9, unused=2.0), known)
    assert (unused.tier, unused.notify, unused.features[0]["feature"]) == ("info", "nobody", "unused")
    assert "which the champion hardly uses" in unused.sentence
    nobody_knows = drift_verdict("2013-02", 1, "v", batch(9, unused=2.0), known, {}, SETTINGS)
    assert nobody_knows.tier == "retrain candidate"


@pytest.mark.parametrize(("number", "basis"), [(1, "uncalibrated"), (2, "provisionally"), (19, "provisionally")])
def test_little_evidence_is_said_and_never_asks_for_a_retraining(
    references: list[Profile], number: int, basis: str
) -> None:
    verdict = judged(batch(9, shift=3, score_shift=3), references[:number])
    assert (verdict.tier, verdict.batches) == ("warning", number)
    assert verdict.basis.startswith(basis)
    assert verdict.sentence.endswith(f"{number} past partition{'s' * (number > 1)}.")
    assert verdict.basis.capitalize() in verdict.sentence


def test_one_rule_for_few_and_many_rows(references: list[Profile]) -> None:
    known = reference_of(references)
    assert {judged(batch(seed, rows=50), known).tier for seed in range(300, 340)} == {"none"}
    assert judged(batch(7, rows=400_000), known).tier == "none"
    assert judged(batch(7, rows=300, shift=1.0), known).tier == "retrain candidate"


@pytest.mark.parametrize("rows", [0, 1])
def test_too_little_data_is_no_verdict(rows: int) -> None:
    found = judged(batch(1, rows=rows), [batch(2)])
    assert (found.tier, found.basis, found.notify) == ("none", "insufficient data", "nobody")
    assert "not enough data" in found.sentence
    assert judged(batch(1), [batch(2, rows=0)]).basis in ("insufficient data", "uncalibrated")


def test_a_champion_without_a_profile_is_no_verdict() -> None:
    found = judged(batch(1), [])
    assert (found.tier, found.basis) == ("none", "no reference")


def test_scores_that_are_missing_are_told_and_ask_for_nothing(references: list[Profile]) -> None:
    rows = pa.table({"x": np.random.default_rng(1).normal(10, 1, 900), "score": [np.nan] * 300 + [0.3] * 600})
    found = drift_verdict("2013-02", 1, "v", profile(rows, rows.column_names), references, IMPORTANCE, SETTINGS)
    assert (found.tier, found.basis, found.notify) == ("warning", "scores missing", "channel")
    assert "300 scores are missing" in found.sentence
    rows = pa.table({"x": [10.0] * 300, "score": [np.nan] * 300})
    found = drift_verdict("2013-02", 1, "v", profile(rows, rows.column_names), references, IMPORTANCE, SETTINGS)
    assert (found.tier, found.basis) == ("warning", "scores missing")


def with_score(values: pa.Array) -> Profile:
    table = pa.table({"s": values, "score": np.linspace(0, 1, len(values))})
    return profile(table, table.column_names)


EMPTY = pa.array([None] * 500, pa.string())


@pytest.mark.parametrize(
    ("reference", "found", "expected"),
    [
        (["JFK"] * 500, ["JFK"] * 500, "none"),
        (["JFK"] * 500, ["???"] * 500, "warning"),  # all of it new
        (["#1A", "#2B"] * 250, ["#1A", "#2B"] * 250, "none"),  # levels that look like bin numbers
        ([3.0] * 500, [3.0] * 500, "none"),  # constant
        ([3.0] * 500, [4.0] * 500, "warning"),
        ([1.0, 2.0] * 250, [2.0] * 500, "warning"),
        (EMPTY, EMPTY, "none"),
        (EMPTY, ["JFK"] * 500, "warning"),
        (["JFK"] * 500, EMPTY, "warning"),
        ([3.0] * 500, ["3"] * 500, "warning"),
        (["3"] * 500, [3.0] * 500, "warning"),
    ],
)
def test_odd_columns_are_judged(reference: object, found: object, expected: str) -> None:
    batches = [with_score(pa.array(values)) for values in (found, *[reference] * 5)]
    verdict = drift_verdict("2013-02", 1, "v", batches[0], batches[1:], {"s": 1.0}, SETTINGS)
    assert verdict.tier == expected
    canonical_json(verdict)


def test_one_class_of_score_is_judged_too() -> None:
    rows = pa.table({"x": np.arange(300.0), "score": np.ones(300)})
    same = profile(rows, rows.column_names)
    assert drift_verdict("2013-02", 1, "v", same, [same] * 3, {"x": 1.0}, SETTINGS).tier == "none"


def test_batches_that_always_differ_are_ordinary() -> None:
    wobbling = [batch(seed, score_shift=seed % 5 * 0.5) for seed in range(25)]
    found = judged(batch(99, score_shift=1.6), wobbling)
    assert found.tier == "none"
    assert found.score["ordinary"] > 0.03


def one(partition: str, found: Profile, known: Reference, tier: str = "none") -> Judged:
    return Judged(partition, tier, known.count(found))


def test_a_slow_ramp_is_found_by_the_longer_windows(references: list[Profile]) -> None:
    known, later, windows = reference_of(references), [], {}
    for day in range(30):
        key, found = f"2013-01-{day + 1:02d}", batch(1000 + day, rows=500, shift=0.02 * day)
        verdict = drift_verdict(key, 1, "v", found, known, IMPORTANCE, SETTINGS, later=later)
        windows[day] = verdict.window
        later.append(one(key, found, known, verdict.tier))
    first = next(day for day, window in windows.items() if window)
    assert 4 < first < 22
    assert windows[first] in (4, 16)


def test_later_partitions_and_the_order_of_arrival_do_not_matter(references: list[Profile]) -> None:
    known, random = reference_of(references), np.random.default_rng(3)
    keys = [f"2013-01-{day:02d}" for day in range(1, 31)]
    later = [one(key, batch(day, rows=800, shift=0.02 * day), known) for day, key in enumerate(keys)]
    arguments: tuple[Any, ...] = ("2013-01-20", 1, "v", batch(7, shift=0.2), known, IMPORTANCE, SETTINGS)
    straight = drift_verdict(*arguments, later=later[:19], grain=Grain.DAY)
    shuffled = [later[at] for at in random.permutation(30)]
    assert drift_verdict(*arguments, later=shuffled, grain=Grain.DAY) == straight


def test_partitions_that_alarmed_are_no_good_ones(references: list[Profile]) -> None:
    known = reference_of(references[:3])
    later = [
        one(f"2013-01-{day:02d}", batch(50 + day), known, "warning" if day % 2 else "none") for day in range(1, 29)
    ]
    found = drift_verdict("2013-02-01", 1, "v", batch(9), known, IMPORTANCE, SETTINGS, later=later)
    assert found.batches == 3 + 14
    assert found.past == tuple(f"2013-01-{day:02d}" for day in range(2, 29, 2))


def test_seasons_are_compared_with_themselves() -> None:
    """A weekend that differs as every weekend does is no drift; one that is like a Monday is."""
    days = [f"2013-01-{day:02d}" for day in range(1, 32)]
    shifts = {day: 1.5 * (np.datetime64(day).astype("datetime64[D]").astype(int) % 7 in (2, 3)) for day in days}
    reference = reference_of([batch(at, shift=shifts[day]) for at, day in enumerate(days[:28])], days[:28])
    weekend = [day for day in days if shifts[day]]
    assert {np.datetime64(day).item().weekday() for day in weekend} == {5, 6}
    args: tuple[Any, ...] = (reference, IMPORTANCE, SETTINGS)
    usual = drift_verdict("2013-02-02", 1, "v", batch(90, shift=1.5), *args, grain=Grain.DAY)
    assert (usual.tier, usual.seasonal, usual.batches) == ("none", True, 28)
    odd = drift_verdict("2013-02-02", 1, "v", batch(90, shift=0.0), *args, grain=Grain.DAY)
    assert odd.tier == "retrain candidate"
    blind = drift_verdict("2013-02-02", 1, "v", batch(90, shift=0.0), *args)
    assert (blind.tier, blind.seasonal) == ("none", False), "without seasons weekends make anything ordinary"


def test_a_verdict_can_be_computed_again_from_its_own_numbers(references: list[Profile]) -> None:
    found = judged(batch(9, shift=0.5, score_shift=0.5), references)
    assert found.features
    for test in (found.score, *found.features):
        moved = Moved(test["x2"], test["df"], test["scale"])
        assert p_value(moved, test["tolerance"], Wobble(test["ordinary"], test["freedom"])) == pytest.approx(
            test["p"], rel=1e-3
        )
        assert round(moved.effect, 6) == test["effect"]


def test_a_reference_survives_storage(references: list[Profile]) -> None:
    known = reference_of(references[:3], ["2013-01", "2013-02", "2013-03"], {"x": [(9.5, 1.0), (10.5, 2.0)]})
    assert known.cells["x"].edges == (9.5, 10.5)
    assert Reference.from_json(json.loads(canonical_json(known.to_json()))) == known


def test_a_column_that_is_gone_and_one_that_is_new_are_left_out(references: list[Profile]) -> None:
    found = batch(9)
    other = Profile({**{name: found.columns[name] for name in ("x", "score")}, "new": found.columns["x"]})
    assert judged(other, references).tier == "none"


def test_records_of_earlier_releases_stay_readable() -> None:
    old = DriftVerdict.from_json(json.loads((GOLDEN / "drift-verdict-1.json").read_text()))
    assert (old.tier, old.batches, old.basis, old.notify, old.window) == ("drift", 2, "", "nobody", 0)
    stored = json.loads((GOLDEN / "drift-verdict-2.json").read_text())
    assert DriftVerdict.from_json(stored).to_json() == stored


def test_the_golden_verdict_is_what_is_judged_today() -> None:
    known = reference_of([batch(seed, rows=300) for seed in range(20)])
    found = drift_verdict("2013-02", 3, "v", batch(9, rows=300, shift=1.0), known, IMPORTANCE, SETTINGS)
    stored = json.loads((GOLDEN / "drift-verdict-2.json").read_text())
    assert {**found.to_json(), "score": 0, "features": 0} == {**stored, "score": 0, "features": 0}
    assert found.score == pytest.approx(stored["score"], rel=1e-6)
