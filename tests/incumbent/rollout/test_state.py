"""Where a rollout stands follows from what was found, whatever the order; it ends in the seat or it does not."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from incumbent.partitions import Grain
from incumbent.rollout import Plan, state_of

pytestmark = pytest.mark.unit
PLAN = Plan(
    "2013-02-r1", "v" * 64, 1, "r" * 64, "2013-01-01", "much more is known", "", ("customer",), (0.0, 0.1, 0.5), 7, 1,
    (), 0.01,
)  # fmt: skip
DAYS = [f"2013-01-{day:02d}" for day in range(2, 32)]


def day(partition: str, share: float, advantage: float = 0.0, **changed: Any) -> dict[str, Any]:
    units = [1000 - round(1000 * share), round(1000 * share)]
    found = {"partition": partition, "rollout": PLAN.id, "share": share, "judged": True, "rows": 1000}
    return {**found, "advantage": advantage, "error": 0.01, "df": 40.0, "units": units, "kpis": {}, **changed}


def lived(advantage: float = 0.0, days: int = 21, **changed: Any) -> dict[str, dict[str, Any]]:
    return {key: day(key, PLAN.steps[min(at // 7, 2)], advantage, **changed) for at, key in enumerate(DAYS[:days])}


def test_each_step_lasts_a_whole_cycle_of_judged_days() -> None:
    shares = [state_of(PLAN, lived(days=days), Grain.DAY).share for days in (0, 6, 7, 13, 14, 20)]
    assert shares == [0.0, 0.0, 0.1, 0.1, 0.5, 0.5]
    waiting = {key: {**each, "judged": False} for key, each in lived(days=7).items()}
    assert state_of(PLAN, waiting, Grain.DAY).step == 0
    assert "no outcomes" in state_of(PLAN, {}, Grain.DAY).sentence


def test_one_month_is_longer_than_a_cycle_of_a_week() -> None:
    found = {"2013-02": day("2013-02", 0.0)}
    assert state_of(PLAN, found, Grain.MONTH).step == 1
    assert state_of(replace(PLAN, cycles=5), found, Grain.MONTH).step == 0


def test_who_does_no_harm_gets_the_seat() -> None:
    state = state_of(PLAN, lived(advantage=0.002), Grain.DAY)
    assert (state.outcome, state.step) == ("promote", 3)
    assert "all 3 steps are over" in state.sentence and "better by 0.0020" in state.sentence


def test_who_is_worse_is_sent_back_soon() -> None:
    state = state_of(PLAN, lived(advantage=-0.02, days=6), Grain.DAY)
    assert (state.outcome, state.share) == ("retreat", 0.0)
    assert "the champion is better by 0.0200" in state.sentence


def test_an_equal_challenger_is_rarely_sent_back() -> None:
    rng = np.random.default_rng(5)
    back = 0
    for _ in range(2000):
        found = {key: {**each, "advantage": rng.normal(0, 0.01)} for key, each in lived().items()}
        back += state_of(PLAN, found, Grain.DAY).outcome == "retreat"
    assert back / 2000 <= 0.01


def test_groups_that_lost_different_rows_are_no_groups() -> None:
    found = lived(days=10)
    found[DAYS[8]] = day(DAYS[8], 0.1, units=[900, 40])
    state = state_of(PLAN, found, Grain.DAY)
    assert state.outcome == "retreat"
    assert "40 of 940 units" in state.sentence and "lost different rows" in state.sentence


def test_a_ratio_by_chance_is_no_mismatch() -> None:
    rng = np.random.default_rng(6)
    stopped = 0
    for _ in range(1000):
        found = lived()
        for each in found.values():
            mine = int(rng.binomial(1000, each["share"]))
            each["units"] = [1000 - mine, mine]
        stopped += state_of(PLAN, found, Grain.DAY).outcome == "retreat"
    assert stopped <= 5


def test_a_business_figure_that_falls_sends_back() -> None:
    lost = {"saved": {"lost": 3.0, "allowed": 1.0, "error": 0.4, "df": 40.0, "rows": 1000}}
    state = state_of(PLAN, lived(days=10, kpis=lost), Grain.DAY)
    assert state.outcome == "retreat" and "saved of the challenger's units" in state.sentence
    fine = {"saved": {**lost["saved"], "lost": 0.9}}
    assert state_of(PLAN, lived(days=10, kpis=fine), Grain.DAY).outcome == ""


def test_the_order_of_arrival_does_not_matter() -> None:
    found = lived(advantage=0.001)
    turned = dict(reversed(found.items()))
    assert state_of(PLAN, turned, Grain.DAY) == state_of(PLAN, found, Grain.DAY)
