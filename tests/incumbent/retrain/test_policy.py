"""The policy: a request on evidence, once per reason, cooled down, and the same in any order."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incumbent.config import load_model
from incumbent.partitions import Grain
from incumbent.retrain import History, decide
from incumbent.retrain.policy import training_rows

pytestmark = pytest.mark.unit

MODEL = load_model(Path(__file__).parents[3] / "include" / "models" / "flights_delay").model
MONTHS = [f"2013-{month:02d}" for month in range(1, 13)]


def performance(z: float, judged: bool = True) -> dict[str, Any]:
    return {"judged": judged, "z": {"rank": 0.0, "cal_high": z, "cal_low": -z}}


def history(**changes: Any) -> History:
    usual: dict[str, Any] = {
        "generation": 1,
        "promoted_partition": "2013-01",
        "labelled": dict.fromkeys(MONTHS, 20_000),
    }
    return History(**{**usual, **changes})


def test_a_cold_start_asks_when_outcomes_are_in_and_only_once() -> None:
    cold = {"generation": 0, "promoted_partition": ""}
    assert decide(MODEL, "2013-01", history(**cold, labelled={})).reason == ""
    assert decide(MODEL, "2013-01", history(**cold)).reason == "cold_start"
    again = decide(MODEL, "2013-01", history(**cold, requests=[("2013-01", "reject")]))
    assert (again.reason, "was tried" in again.message) == ("", True)


def test_a_cold_start_asks_for_nothing_while_a_request_is_open() -> None:
    cold = {"generation": 0, "promoted_partition": ""}
    for month in MONTHS[2:]:
        waiting = decide(MODEL, month, history(**cold, requests=[("2013-02", "")]))
        assert (waiting.reason, "the request of 2013-02 is not answered yet" in waiting.message) == ("", True)
    for answer in ("failed", "reject"):
        assert decide(MODEL, "2013-03", history(**cold, requests=[("2013-02", answer)])).reason == "cold_start"
    mixed = [("2013-01", "failed"), ("2013-02", ""), ("2013-03", "reject")]
    assert "of 2013-02 is not" in decide(MODEL, "2013-04", history(**cold, requests=mixed)).message


def test_a_cold_start_waits_until_rows_are_left_to_train_on() -> None:
    weekly = MODEL.model_copy(update={"grain": Grain.WEEK, "start": "2013-01-07"})
    weeks = ["2013-01-07", "2013-01-14"]
    first = decide(weekly, weeks[0], history(generation=0, labelled={weeks[0]: 6000}))
    assert (first.reason, "0 of the 1000 labelled rows" in first.message) == ("", True), "all of them are gate rows"
    second = decide(weekly, weeks[1], history(generation=0, labelled=dict.fromkeys(weeks, 6000)))
    assert second.reason == "cold_start"
    few = decide(weekly, weeks[1], history(generation=0, labelled=dict.fromkeys(weeks, 700)))
    assert (few.reason, "600 of the 1000 labelled rows" in few.message) == ("", True), "a day of embargo"


def test_training_rows_are_older_than_gates_and_embargo() -> None:
    assert training_rows(MODEL, {}) == 0
    january = MODEL.model_copy(update={"evaluate": MODEL.evaluate.model_copy(update={"embargo_days": 3})})
    assert training_rows(january, {"2013-01": 31_000}) == 21_000
    windowed = january.model_copy(update={"train": MODEL.train.model_copy(update={"window": 1})})
    assert training_rows(windowed, {"2012-12": 5, "2013-01": 31_000}) == 21_000


def test_no_alarm_is_no_request_and_says_so() -> None:
    found = decide(MODEL, "2013-03", history(performance={"2013-03": performance(1.0)}))
    assert (found.reason, found.degraded, found.message) == ("", False, "2013-03: no alarm, no retraining.")


def test_one_large_loss_or_a_sum_of_small_ones_is_a_labelled_alarm() -> None:
    large = decide(MODEL, "2013-03", history(performance={"2013-03": performance(3.8)}))
    assert (large.reason, large.degraded, large.evidence["alarms"]) == ("performance", True, ["cal_high"])
    small = {month: performance(2.2) for month in MONTHS[1:6]}
    reasons = [decide(MODEL, month, history(performance=small)).reason for month in MONTHS[1:6]]
    assert reasons == ["", "", "", "performance", "performance"]


def test_drift_waits_for_outcomes_that_the_champion_has_not_seen() -> None:
    drift = {"2013-02": {"tier": "drift", "sentence": "the score moved"}}
    waiting = decide(MODEL, "2013-02", history(drift=drift, labelled={"2013-01": 20_000}))
    assert (waiting.reason, "waiting for outcomes" in waiting.message) == ("", True)
    found = decide(MODEL, "2013-02", history(drift=drift))
    assert (found.reason, found.degraded) == ("drift", False)
    warned = {"2013-02": {"tier": "warning", "sentence": "x"}}
    assert decide(MODEL, "2013-02", history(drift=warned)).reason == ""


def test_each_refused_challenger_doubles_the_cooldown() -> None:
    alarm = {month: performance(9.0) for month in MONTHS}

    def asked(month: str, *requests: tuple[str, str]) -> bool:
        return decide(MODEL, month, history(performance=alarm, requests=list(requests))).reason != ""

    assert asked("2013-05", ("2013-04", "promote"))
    assert asked("2013-05", ("2013-04", "reject"))  # 28 days, and May has 31
    refused = [("2013-03", "insufficient_evidence"), ("2013-04", "reject")]
    assert not asked("2013-05", *refused)  # 56 days
    assert asked("2013-06", *refused)
    assert asked("2013-05", ("2013-03", "reject"), ("2013-04", "promote"))
    # Only a gate's no doubles it: not a request that is open or has failed, nor one that is gated again.
    assert asked("2013-05", ("2013-02", "failed"), ("2013-03", ""), ("2013-04", "stale"), ("2013-04", "reject"))


def test_a_cooldown_is_over_at_its_hour_and_not_before() -> None:
    hourly = MODEL.model_copy(
        update={"grain": Grain.HOUR, "retrain": MODEL.retrain.model_copy(update={"cooldown_days": 1})}
    )
    asked, verdicts = "2013-03-01T02", {}
    for key in ("2013-03-01T03", "2013-03-02T01", "2013-03-02T02"):
        verdicts[key] = {"tier": "drift", "sentence": "the score moved"}
    given_ = history(
        promoted_partition="2013-02-01T00",
        labelled={"2013-02-02T00": 500},
        drift=verdicts,
        requests=[(asked, "promote")],
    )
    early, late, over = (decide(hourly, key, given_) for key in sorted(verdicts))
    assert (early.reason, late.reason, over.reason) == ("", "", "drift")
    assert "cooling down for 1 more day." in early.message
    assert "cooling down for 1 more day." in late.message, "an hour is left, and less than a day is said as one"


def test_many_refusals_are_a_long_time_and_no_error() -> None:
    refused = [("2013-03", "reject")] * 200
    found = decide(MODEL, "2013-05", history(performance={"2013-05": performance(9.0)}, requests=refused))
    assert (found.reason, "cooling down" in found.message) == ("", True)


@given(st.permutations(MONTHS), st.lists(st.floats(-3, 5), min_size=12, max_size=12))
def test_arrival_order_does_not_matter(order: list[str], losses: list[float]) -> None:
    verdicts = {month: performance(z) for month, z in zip(MONTHS, losses, strict=True)}
    shuffled = {month: verdicts[month] for month in order}
    for month in MONTHS:
        assert decide(MODEL, month, history(performance=verdicts)) == decide(
            MODEL, month, history(performance=shuffled)
        )


@given(st.lists(st.floats(-3, 5), min_size=12, max_size=12), st.integers(0, 10))
def test_later_verdicts_do_not_change_an_earlier_decision(losses: list[float], cut: int) -> None:
    verdicts = {month: performance(z) for month, z in zip(MONTHS, losses, strict=True)}
    known = {month: verdicts[month] for month in MONTHS[: cut + 1]}
    month = MONTHS[cut]
    assert decide(MODEL, month, history(performance=known)) == decide(MODEL, month, history(performance=verdicts))
