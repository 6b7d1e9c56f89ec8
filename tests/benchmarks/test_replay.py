"""A replay of some weeks of flights: who scores what, when it is known, and what nobody may learn from noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from benchmarks.replay.history import History, read_history
from benchmarks.replay.null import days_dealt_anew, labels_dealt_anew
from benchmarks.replay.play import metric, play
from benchmarks.replay.policies import UNGATED, Never, Ours, Schedule, Thresholds
from benchmarks.replay.production import Production
from benchmarks.replay.state import Ask, Days, State
from benchmarks.replay.table import Result, in_hindsight, mean, regret, shared
from benchmarks.replay.trainings import Trainings, Version
from benchmarks.replay.world import EPOCH, World
from tests.incumbent.validate.conftest import read_here

from demo import raw_data
from incumbent.config import load_model
from incumbent.evaluate import Verdict
from incumbent.partitions import Grain, end_of

pytestmark = pytest.mark.unit
MODELS = Path(__file__).parents[2] / "include" / "models"
MONTHS = ("2013-01", "2013-02", "2013-03")
ROUNDS = 5
SHARE = 0.25
DEFAULTS = ("gates", "monitor", "retrain", "integrity")


def test_flights_override_no_default_of_a_decision() -> None:
    for name in ("flights_delay", "flights_airtime"):
        given = yaml.safe_load((MODELS / name / "model.yaml").read_text())
        assert not given.keys() & set(DEFAULTS), name
        assert given["evaluate"].keys() <= {"cluster"}, name  # how rows share their luck is a fact


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("replay")


@pytest.fixture(scope="module")
def history(cache: Path) -> History:
    """Three months of a quarter of the flights."""
    with read_here():
        return read_history(load_model(MODELS / "flights_delay"), sampled("flights_delay", cache / "raw"), cache)


def sampled(name: str, raw: Path, months: tuple[str, ...] = MONTHS) -> Path:
    """Drop some months of some flights, each with its outcome."""
    folder = raw / name
    for month in months:
        for source in load_model(MODELS / name).model.sources:
            if source in raw_data.KEYED:
                file = raw_data.write_partition(folder, source, month)
                if source != "weather":
                    rows = pd.read_parquet(file)
                    kept = np.random.default_rng(7).random(len(rows)) < SHARE  # the same of both: same order
                    pq.write_table(pa.Table.from_pandas(rows[kept], preserve_index=False), file)
    for source in raw_data.ONCE:
        raw_data.write_once(folder, source)
    return raw


def first_days(history: History, days: int, cache: Path) -> History:
    """Return a history that ends earlier."""
    rows = history.table()
    before = pc.less(rows["local_date"], pa.scalar(date(2013, 1, 1) + timedelta(days=days)))
    file = cache / f"first-{days}.parquet"
    pq.write_table(rows.filter(before), file)
    return replace(history, file=file, digest=f"{history.digest}, first {days} days")


@contextmanager
def asking() -> Iterator[list[tuple[str, bool]]]:
    """Note when a policy is asked."""
    asked: list[tuple[str, bool]] = []
    asks = Ours.asks

    def noted(self: Ours, production: Production, state: State, partition: str, *, is_known: bool) -> Ask | None:
        asked.append((partition, is_known))
        return asks(self, production, state, partition, is_known=is_known)

    with patch.object(Ours, "asks", noted):
        yield asked


def lived(history: History, grain: Grain, cache: Path, *policies: object, rounds: int = ROUNDS) -> list[State]:
    world = World.of(history, grain)
    trainings, production = Trainings(world, cache, rounds), Production(world, cache, looks_for_leaks=False)
    return [play(world, policy, trainings, production) for policy in policies]  # type: ignore[arg-type]


def test_rows_are_those_of_production_in_time_order(history: History) -> None:
    rows = history.table()
    assert rows.num_rows == pytest.approx(SHARE * 80_789, rel=0.03)
    assert "departures_in_hour" in history.features
    assert not {"label", "known", "local_date", "time_hour", "carrier"} & set(history.features)
    days = np.asarray(rows["local_date"].cast(pa.int32()))
    assert (np.diff(days) >= 0).all()
    landed = np.isfinite(np.asarray(rows["label"], dtype=float))
    assert landed.mean() == pytest.approx(0.96, abs=0.02)
    assert all(rows["known"].to_pylist())


def test_a_grain_cuts_the_same_rows_elsewhere(history: History) -> None:
    for grain, count in ((None, 3), (Grain.WEEK, 13), (Grain.DAY, 90)):
        world = World.of(history, grain)
        assert len(world.partitions) == count
        assert sorted(np.concatenate(list(world.partitions.values())).tolist()) == list(range(len(world.labels)))
        assert next(iter(world.partitions)) == world.model.start


def test_nobody_scores_or_trains_on_what_was_not_known(history: History, cache: Path) -> None:
    trained: list[tuple[str, date]] = []

    class Watched(Schedule):
        def judge(
            self, production: Production, state: State, challengers: Sequence[Version], days: Days, ask: Ask
        ) -> tuple[Verdict, Version]:
            trained.append((ask.message[:10], date.fromisoformat(challengers[0].train_until)))
            return UNGATED, challengers[0]

    days = first_days(history, 45, cache)
    (state,) = lived(days, Grain.DAY, cache, Watched("each week", Grain.WEEK, holds_out=False))
    world = World.of(days, Grain.DAY)
    assert len(trained) == 5
    for partition, until in trained:
        assert until == end_of(partition, Grain.DAY).date()
    for partition, generation in state.scored.items():
        # Outcomes of the day before come a day late, when this day is scored already.
        seen = date.fromisoformat(state.seats[generation].version.train_until)
        assert seen <= end_of(partition, Grain.DAY).date() - timedelta(days=1 + world.model.label.delay_days)
    assert all(value is None for key, value in state.values.items() if key not in state.scored)


def test_a_fit_learns_from_the_days_it_is_told_and_is_made_once(history: History, cache: Path) -> None:
    world = World.of(history)
    trainings = Trainings(world, cache, ROUNDS)
    version = trainings.fit(date(2013, 2, 1))
    expected = world.labelled(np.flatnonzero(world.days < (date(2013, 2, 1) - EPOCH).days))
    assert version.train_rows == len(expected)
    assert version.scores.shape == world.labels.shape
    with patch.object(Trainings, "_make", side_effect=AssertionError("made again")):
        assert (trainings.fit(date(2013, 2, 1)).scores == version.scores).all()
        with pytest.raises(AssertionError, match="made again"):
            trainings.fit(date(2013, 2, 2))
        with pytest.raises(AssertionError, match="made again"):
            Trainings(world, cache, ROUNDS + 1).fit(date(2013, 2, 1))
        with pytest.raises(AssertionError, match="made again"):
            Trainings(world.with_other_labels(1), cache, ROUNDS).fit(date(2013, 2, 1))


def test_a_recalibration_changes_the_intercept_alone(history: History, cache: Path) -> None:
    world = World.of(history, Grain.MONTH)
    trainings = Trainings(world, cache, ROUNDS)
    base = trainings.fit(date(2013, 2, 1))
    days = (date(2013, 2, 1), date(2013, 2, 20))
    found = trainings.recalibrate(base, days[1], days[0])
    odds = [np.log(each.scores / (1 - each.scores)) for each in (found, base)]
    assert np.ptp(odds[0] - odds[1]) < 1e-4
    rows = world.labelled(world.between(*days))
    assert found.scores[rows].mean() == pytest.approx(world.labels[rows].mean(), abs=1e-5)
    assert abs(base.scores[rows].mean() - world.labels[rows].mean()) > 1e-3
    assert (found.manifest.recalibrated, found.manifest.base) == (True, base.digest)
    assert trainings.recalibrate(base, days[1], days[0]).core_s == found.core_s, "made once"


def test_policies_differ_in_what_they_do(history: History, cache: Path) -> None:
    with asking() as asked:
        ours, never, each, fell = lived(
            history, Grain.WEEK, cache, Ours(), Never(), Schedule("each week", Grain.WEEK), Thresholds()
        )
    assert len(never.seats) == 1
    assert [each.reason for each in never.trainings][-1] == "cold_start"
    assert len(each.seats) == len(each.trainings) == 12  # a first week has no rows that are old enough
    assert 1 <= len(ours.seats) <= len(ours.trainings) < len(each.trainings)
    assert ours.drift.keys() == ours.scored.keys() >= ours.performance.keys()
    assert not each.drift
    assert fell.trainings[0].reason == "schedule"
    first = next(key for key, value in ours.values.items() if value is not None)
    assert (first, False) in asked
    assert all(is_known for key, is_known in asked if key < first)  # nothing is scored, so nobody looks


def test_a_champion_that_loses_its_seat_leaves_it_to_the_one_before(history: History, cache: Path) -> None:
    @dataclass(frozen=True)
    class Watched(Schedule):
        watches: bool = True

        def asks(self, production: Production, state: State, partition: str, *, is_known: bool) -> Ask | None:
            asked = super().asks(production, state, partition, is_known=is_known)
            return asked if len(state.seats) < 2 else None

    def lost(self: Production, state: State) -> str:
        return "it was worse" if len(state.seats) == 2 and len(state.scored) == 4 else ""

    with patch.object(Production, "rolls_back", lost):
        (state,) = lived(history, Grain.WEEK, cache, Watched("two", Grain.WEEK))
    first, second, back = state.seats.values()
    assert (back.generation, back.previous, back.is_back, state.rollbacks) == (3, 2, True, 1)
    assert back.version is first.version is not second.version
    assert [each["shadow"] for each in state.shadow.values()] == [first.version.digest] * len(state.shadow)
    assert Result.of("two", state).promotions == 2
    gains = in_hindsight(World.of(history, Grain.WEEK), state)
    assert gains.keys() == {2, 3}
    both = [key for key, generation in state.scored.items() if generation == 3]
    world = World.of(history, Grain.WEEK)
    better = [(metric(world, key, first.version) or 0) - (metric(world, key, second.version) or 0) for key in both]
    assert gains[3] == pytest.approx(np.mean(better))


def test_a_table_compares_policies_on_partitions_that_all_have_scored(history: History) -> None:
    model = World.of(history).model
    late = Result("late", {"2013-01": None, "2013-02": None, "2013-03": 0.7}, 1, 1, 1, 0, 1.0)
    early = Result("early", {"2013-01": None, "2013-02": 0.5, "2013-03": 0.8}, 2, 2, 2, 0, 1.0)
    partitions = shared([late, early])
    assert partitions == ["2013-03"]
    assert mean(early, partitions) == 0.8
    assert regret(model, late, early, partitions) == pytest.approx(0.1)
    minutes = World.of(history).model.model_copy(update={"task": "regression"})
    assert regret(minutes, late, early, partitions) == pytest.approx(-0.1)  # less is better


def test_nothing_is_promoted_where_nothing_can_be_learned(history: History, cache: Path) -> None:
    (true,) = lived(history, Grain.WEEK, cache, Never(), rounds=40)
    assert true.seats  # with the true labels somebody is
    found = labels_dealt_anew(first_days(history, 42, cache), Grain.WEEK, range(2), cache, rounds=40)
    assert found.seeds == 2
    assert found.judged == 2 * 6  # a first model is tried each week
    assert (found.promoted, found.batches) == (0, 0)


def test_days_dealt_anew_are_alike_and_keep_their_truth(history: History, cache: Path) -> None:
    world = World.of(history, Grain.WEEK)
    other = world.dealt_anew(1)
    assert {key: len(each) for key, each in other.partitions.items()} == {
        key: len(each) for key, each in world.partitions.items()
    }
    assert (other.labels == world.labels)[np.isfinite(world.labels)].all()
    late = [np.nanmean(here.labels[places]) for here in (world, other) for places in here.partitions.values()]
    half = len(late) // 2
    assert np.std(late[half:]) < np.std(late[:half]) / 3
    found = days_dealt_anew(history, Grain.WEEK, range(1), cache, ROUNDS)
    assert found.batches >= 8
    assert found.alarms_in_100 == 100 * (found.alarmed + found.held) / found.batches


def test_a_regression_is_replayed_too(cache: Path, tmp_path: Path) -> None:
    folder = load_model(MODELS / "flights_airtime")
    with read_here():
        found = read_history(folder, sampled("flights_airtime", tmp_path / "raw", MONTHS[:2]), tmp_path)
    ours, each = lived(found, Grain.WEEK, tmp_path, Ours(), Schedule("each week", Grain.WEEK), rounds=40)
    assert ours.seats
    assert all(value is None or 5 < value < 200 for value in each.values.values())  # minutes
    results = [Result.of("ours", ours), Result.of("each", each)]
    partitions = shared(results)
    assert len(partitions) > 4
    assert regret(World.of(found).model, results[0], results[1], partitions) == pytest.approx(
        mean(results[0], partitions) - mean(results[1], partitions)
    )
