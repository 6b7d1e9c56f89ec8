"""The policy: a request on evidence, once per reason, cooled down, and the same in any order."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incumbent.config import Budget, load_model
from incumbent.error_budget import Spent
from incumbent.partitions import Grain
from incumbent.retrain import Decision, History, PastRequest, decide
from incumbent.retrain.rows import training_rows

pytestmark = pytest.mark.unit

SHIPPED = load_model(Path(__file__).parents[3] / "include" / "models" / "flights_delay").model
MODEL = SHIPPED.model_copy(update={"retrain": SHIPPED.retrain.model_copy(update={"growth": None})})
MONTHS = [f"2013-{month:02d}" for month in range(1, 13)]


def performance(z: float, judged: bool = True, value: float = 0.7) -> dict[str, Any]:
    """Return a verdict whose mean is so many errors higher than is tolerated."""
    return {
        "judged": judged,
        "metric": "auc",
        "value": value,
        "error": 0.01,
        "rows": 20_000,
        "df": 1e6,
        "borrowed": False,
        "misses": {"": {"estimate": 0.01 * z + 0.005, "error": 0.01}},
        "slack": 0.005,
        "reference": {"value": 0.7, "error": 0.01, "clusters": 1e6, "rows": 20_000},
    }


def asked(*requests: tuple[str, str]) -> list[PastRequest]:
    return [PastRequest(partition, verdict) for partition, verdict in requests]


def candidate(*months: str) -> dict[str, dict[str, Any]]:
    return {month: {"tier": "retrain candidate", "sentence": "the score moved"} for month in months}


def rule(decision: Decision, name: str) -> Mapping[str, Any]:
    return next(each for each in (*decision.evidence["asks"], *decision.evidence["holds"]) if each["rule"] == name)


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
    again = decide(MODEL, "2013-01", history(**cold, requests=asked(("2013-01", "reject"))))
    assert (again.reason, "was tried" in again.message) == ("", True)


def test_a_cold_start_asks_for_nothing_while_a_request_is_open() -> None:
    cold = {"generation": 0, "promoted_partition": ""}
    for month in MONTHS[2:]:
        waiting = decide(MODEL, month, history(**cold, requests=asked(("2013-02", ""))))
        assert (waiting.reason, "the request of 2013-02 is not answered yet" in waiting.message) == ("", True)
    for answer in ("failed", "reject"):
        assert decide(MODEL, "2013-03", history(**cold, requests=asked(("2013-02", answer)))).reason == "cold_start"
    mixed = [("2013-01", "failed"), ("2013-02", ""), ("2013-03", "reject")]
    assert "of 2013-02 is not" in decide(MODEL, "2013-04", history(**cold, requests=asked(*mixed))).message


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
    assert (large.reason, large.degraded) == ("performance", True)
    fired = [ask for ask in large.evidence["asks"] if ask["fired"]]
    assert [(ask["channel"], ask["since"]) for ask in fired] == [("more than predicted", "2013-03")]
    assert "2013-03: retrain for performance. since 2013-03 the mean outcome is 0.0430 above what" in large.message
    other = next(ask for ask in large.evidence["asks"] if ask.get("channel") == "less than predicted")
    assert "0.0430 above what was predicted" in other["says"], "where the mean lies, and not what the channel looks for"
    small = {month: performance(2.2) for month in MONTHS[1:6]}
    reasons = [decide(MODEL, month, history(performance=small)).reason for month in MONTHS[1:6]]
    assert reasons == ["", "", "performance", "performance", "performance"], "2.2 times the root of 3 is 3.8"


def test_a_change_is_dated_and_measured() -> None:
    fallen = {month: performance(0.0, value=0.70 if month < "2013-06" else 0.64) for month in MONTHS[1:8]}
    found = decide(MODEL, "2013-08", history(performance=fallen))
    ranking = found.evidence["asks"][0]
    assert (ranking["fired"], ranking["since"]) == (True, "2013-06")
    # Six hundredths between a mean of five errors of .01 (four months and the reference) and one of three.
    assert ranking["error"] == pytest.approx(0.01 * np.sqrt(1 / 5 + 1 / 3), abs=1e-6)
    assert ranking["value"] == pytest.approx(0.06 / ranking["error"], abs=1e-3)
    assert "auc since 2013-06 0.640, before 0.700" in found.message
    assert decide(MODEL, "2013-09", history(performance=fallen)).reason == "", "September is not judged yet"


def test_what_the_champion_was_trained_on_is_not_judged() -> None:
    scored_again = {"2013-01": performance(4.5), "2013-02": performance(3.4)}
    assert decide(MODEL, "2013-02", history(performance=scored_again)).reason == ""
    assert decide(MODEL, "2013-02", history(performance=scored_again, promoted_partition="2012-12")).reason != ""


def test_a_label_with_other_classes_begins_a_series_of_its_own() -> None:
    other = {**performance(2.0), "misses": {"late": {"estimate": 0.0, "error": 0.01}}}
    found = decide(MODEL, "2013-03", history(performance={"2013-02": performance(9.0), "2013-03": other}))
    assert (found.reason, len(found.evidence["asks"])) == ("", 6)


def test_drift_asks_when_two_of_three_partitions_have_it() -> None:
    assert decide(MODEL, "2013-03", history(drift=candidate("2013-03"))).reason == ""
    found = decide(MODEL, "2013-04", history(drift=candidate("2013-02", "2013-04") | {"2013-03": {"tier": "none"}}))
    assert (found.reason, found.degraded) == ("drift", False)
    assert "drift in 2 of the last 3 partitions: the score moved" in found.message
    later = decide(MODEL, "2013-05", history(drift=candidate("2013-02", "2013-04") | {"2013-05": {"tier": "none"}}))
    assert later.reason == "", "the newest has none"
    warned = {month: {"tier": "warning", "sentence": "x"} for month in MONTHS}
    assert decide(MODEL, "2013-05", history(drift=warned)).reason == ""
    before = decide(MODEL, "2013-03", history(drift={key: {"tier": "drift"} for key in ("2013-02", "2013-03")}))
    assert before.reason == "drift", "as records of before call it"


def test_drift_waits_for_outcomes_that_the_champion_has_not_seen() -> None:
    drift = candidate("2013-02", "2013-03")
    waiting = decide(MODEL, "2013-03", history(drift=drift, labelled={"2013-01": 20_000}))
    assert (waiting.reason, "waiting for outcomes" in waiting.message) == ("", True)
    few = {"2013-02": 150, "2013-03": 60}  # of which the newest days are the gates'
    assert decide(MODEL, "2013-03", history(drift=drift, rarer=few)).reason == ""
    assert decide(MODEL, "2013-03", history(drift=drift, rarer={**few, "2013-03": 70})).reason == "drift"


def test_a_labelled_alarm_waits_for_rows_since_its_change() -> None:
    fallen = {month: performance(0.0, value=0.7 if month < "2013-06" else 0.6) for month in MONTHS[1:6]}
    found = decide(MODEL, "2013-06", history(performance=fallen, rarer={"2013-05": 4000, "2013-06": 150}))
    assert (found.reason, rule(found, "new_rows")["value"]) == ("", 110)
    assert found.degraded


def test_a_fall_that_is_over_asks_for_nothing() -> None:
    values = dict(zip(MONTHS[1:8], (0.7, 0.7, 0.7, 0.7, 0.64, 0.64, 0.68), strict=True))
    fallen = {month: performance(0.0, value=value) for month, value in values.items()}
    found = decide(MODEL, "2013-08", history(performance=fallen))
    assert (found.reason, rule(found, "performance")["value"] > 3.6) == ("", True)
    assert (rule(found, "performance")["last"], rule(found, "performance")["newest"] > 0) == (0.68, True)
    still = decide(MODEL, "2013-08", history(performance={**fallen, "2013-08": performance(0.0, value=0.66)}))
    assert still.reason == "performance"


def test_a_fall_that_was_over_does_not_make_an_alarm_of_one_poor_month() -> None:
    values = dict(zip(MONTHS[1:9], (0.7, 0.6, 0.6, 0.7, 0.7, 0.7, 0.7, 0.67), strict=True))
    found = decide(MODEL, "2013-09", history(performance={key: performance(0.0, value=values[key]) for key in values}))
    assert (found.reason, found.degraded) == ("", False)
    ranking = rule(found, "performance")
    assert (ranking["since"], ranking["value"] < 3.6) == ("2013-09", True), "September alone, and it is not sure"
    lost = {**values, "2013-09": 0.64}
    again = decide(MODEL, "2013-09", history(performance={key: performance(0.0, value=lost[key]) for key in lost}))
    assert (again.reason, rule(again, "performance")["since"]) == ("performance", "2013-09")


def test_what_no_training_would_take_is_no_growth() -> None:
    two = SHIPPED.model_copy(update={"train": SHIPPED.train.model_copy(update={"window": 2})})
    assert decide(SHIPPED, "2013-04", history(promoted_partition="2013-02")).reason == "growth"
    found = decide(two, "2013-04", history(promoted_partition="2013-02"))
    assert (found.reason, rule(found, "growth")["value"] < 1.1) == ("", True)
    since = {"promoted_partition": "2013-05", "since": "2013-04-01"}
    assert [decide(SHIPPED, key, history(**since)).reason for key in ("2013-05", "2013-06")] == ["", "growth"]
    assert decide(SHIPPED, "2013-06", history(**since)).evidence["since"] == "2013-04-01"


def test_a_challenger_that_was_refused_while_nothing_was_wrong_does_not_hold_up_an_alarm() -> None:
    alarm = {"performance": {"2013-03": performance(9.0)}, "promoted_partition": "2013-01"}
    refused = [PastRequest("2013-02", "reject", "growth"), PastRequest("2013-02", "reject", "growth")]
    assert decide(MODEL, "2013-03", history(**alarm, requests=refused)).reason == "performance"
    by_alarm = [replace(each, reason="performance") for each in refused]
    assert "cooling down" in decide(MODEL, "2013-03", history(**alarm, requests=by_alarm)).message


def test_much_more_to_learn_from_than_at_the_last_request_ends_the_doubling() -> None:
    months = {month: performance(0.0, value=0.7 if month < "2013-05" else 0.6) for month in MONTHS[1:8]}
    refused = [PastRequest("2013-05", "reject", "performance", learned="2013-05")] * 2
    given_ = history(performance=months, requests=refused)
    assert decide(SHIPPED, "2013-06", given_).reason == "performance", "2.3 times the rows since the change"
    thin = {**given_.labelled, "2013-06": 1000}
    assert "cooling down" in decide(SHIPPED, "2013-06", replace(given_, labelled=thin)).message


def test_the_rows_since_the_change_make_a_second_candidate() -> None:
    fallen = {month: performance(0.0, value=0.7 if month < "2013-06" else 0.6) for month in MONTHS[1:7]}
    assert decide(MODEL, "2013-07", history(performance=fallen)).evidence["since"] == "2013-06-01"
    few = dict.fromkeys(MONTHS, 20_000) | {"2013-06": 500, "2013-07": 400}
    assert "since" not in decide(MODEL, "2013-07", history(performance=fallen, labelled=few)).evidence
    without = MODEL.model_copy(update={"retrain": MODEL.retrain.model_copy(update={"since_change": False})})
    assert "since" not in decide(without, "2013-07", history(performance=fallen)).evidence


def test_a_cause_that_no_training_cures_is_not_trained_on() -> None:
    said = {"retrains": False, "cause": "bad_data", "answer": "repair", "sentence": "Bad data: hour is in minutes."}
    found = decide(MODEL, "2013-03", history(performance={"2013-03": performance(9.0)}, diagnoses={"2013-03": said}))
    assert (found.reason, rule(found, "diagnosis")["fired"]) == ("", True)
    assert found.message.startswith("2013-03: Bad data: hour is in minutes. ")


def test_an_upstream_change_that_nobody_repairs_is_learned_where_labels_say_that_it_harms() -> None:
    said = {"retrains": False, "cause": "upstream_change", "answer": "repair", "sentence": "Only east moved."}
    worse = {key: performance(9.0) for key in MONTHS[1:6]}
    reasons = {
        key: decide(MODEL, key, history(performance=worse, diagnoses=dict.fromkeys(MONTHS[1:6], said))).reason
        for key in MONTHS[1:6]
    }
    assert list(reasons.values()) == ["", "", "", "performance", "performance"]
    between = dict.fromkeys(MONTHS[1:6], said) | {"2013-04": {**said, "cause": "bad_data"}}
    assert decide(MODEL, "2013-06", history(performance=worse, diagnoses=between)).reason == ""
    moved = history(drift=candidate(*MONTHS[1:6]), diagnoses=dict.fromkeys(MONTHS[1:6], said))
    assert decide(MODEL, "2013-06", moved).reason == "", "it does no harm that anybody knows of"


SHIFTED = {"retrains": False, "cause": "label_shift", "answer": "recalibrate", "sentence": "A new base rate."}


def test_where_a_new_intercept_may_be_enough_it_is_asked_for_first() -> None:
    seen = {"performance": {key: performance(9.0 * (key > "2013-02")) for key in MONTHS[1:3]},
            "diagnoses": {"2013-03": SHIFTED}}  # fmt: skip
    found = decide(MODEL, "2013-03", history(**seen))
    assert (found.reason, found.evidence["recalibrate"]) == ("performance", "2013-03-01")
    assert "recalibrate first" in found.message and "is not tried" not in found.message
    outgrown = decide(SHIPPED, "2013-03", history(**seen))
    assert (outgrown.reason, "recalibrate" in outgrown.evidence) == ("performance", False), "it has learned a third"
    assert "A new intercept alone is not tried: there is 3.70 times as much to learn from" in outgrown.message
    seen["promoted_partition"] = "2013-02"
    assert (
        "recalibrate"
        in decide(
            SHIPPED, "2013-03", history(**seen, labelled={**dict.fromkeys(MONTHS, 20_000), "2013-01": 40_000})
        ).evidence
    )
    few = dict.fromkeys(MONTHS, 20_000) | {"2013-03": 900}
    assert "too few rows since the change" in decide(MODEL, "2013-03", history(**seen, labelled=few)).message
    other = MODEL.model_copy(update={"train": MODEL.train.model_copy(update={"estimator": "lightgbm"})})
    assert "lightgbm does not go on from a version" in decide(other, "2013-03", history(**seen)).message


def test_a_recalibration_that_was_not_enough_is_followed_by_a_training_at_once() -> None:
    def after(verdict: str) -> Decision:
        past = [PastRequest("2013-03", verdict, "performance", recalibrates=True)]
        seen = {"performance": {"2013-03": performance(9.0)}, "diagnoses": {"2013-03": SHIFTED}}
        return decide(MODEL, "2013-03", history(**seen, requests=past))

    for verdict in ("reject", "insufficient_evidence", "failed"):
        assert (after(verdict).reason, "recalibrate" in after(verdict).evidence) == ("performance", False)
        assert "one was tried since" in after(verdict).message
    assert (after("").reason, rule(after(""), "recalibration")["fired"]) == ("", True), "it goes on"


def test_an_outgrown_champion_gets_another_intercept_once_its_training_was_refused() -> None:
    seen = {"performance": {key: performance(9.0 * (key > "2013-02")) for key in MONTHS[1:4]},
            "diagnoses": {"2013-04": SHIFTED}}  # fmt: skip

    def after(*past: PastRequest) -> Decision:
        return decide(SHIPPED, "2013-04", history(**seen, requests=past))

    refused = PastRequest("2013-03", "reject", "performance", learned="2013-03")
    assert "recalibrate" in after(refused).evidence, "it waits for no cooldown"
    for other in (replace(refused, reason="growth"), replace(refused, partition="2013-02"),
                  replace(refused, verdict="failed"), replace(refused, verdict="")):  # fmt: skip
        assert "recalibrate" not in after(other).evidence
    tried = PastRequest("2013-04", "reject", "performance", recalibrates=True)
    held = after(replace(refused, partition="2013-04"), tried)
    assert (held.reason, rule(held, "cooldown")["fired"]) == ("", True)
    assert "A new intercept alone is not tried: one was tried" in held.message


def test_a_recalibration_waits_for_what_it_would_spend_itself() -> None:
    """Its gates have 1 % also of a degraded champion, the training after it 5 %."""
    seen = {"performance": {"2013-03": performance(9.0)}, "diagnoses": {"2013-03": SHIFTED}}

    def found(alpha: float, *past: PastRequest) -> Decision:
        spent = (Spent("2013-02-r1", "2013-03-01", alpha),)
        return decide(MODEL, "2013-03", history(**seen, spent=spent, requests=past))

    assert (found(0.24).reason, found(0.24).degraded) == ("performance", True)
    assert "recalibrate" in found(0.24).evidence, "24 and 1 of 26 %"
    assert (found(0.255).reason, rule(found(0.255), "error_budget")["fired"]) == ("", True)
    refused = PastRequest("2013-03", "reject", "performance", recalibrates=True)
    assert (found(0.24, refused).reason, rule(found(0.24, refused), "error_budget")["fired"]) == ("", True), "24 and 5"
    assert found(0.21, refused).reason == "performance"


def test_the_age_of_a_recalibration_is_that_of_its_trees() -> None:
    aged = MODEL.model_copy(update={"retrain": MODEL.retrain.model_copy(update={"max_age_days": 150})})
    found = decide(aged, "2013-07", history(promoted_partition="2013-06", trained_partition="2013-01"))
    assert (found.reason, rule(found, "age")["value"]) == ("age", 181)
    grown = decide(SHIPPED, "2013-07", history(promoted_partition="2013-06", trained_partition="2013-03"))
    assert (grown.reason, round(rule(grown, "growth")["value"], 2)) == ("growth", 2.46)


def test_a_harmless_shift_is_not_trained_on_unless_labels_say_that_it_harms() -> None:
    said = {"retrains": False, "cause": "covariate_shift", "answer": "watch", "sentence": "A harmless shift."}
    about: dict[str, Any] = {"diagnoses": {"2013-03": said}, "drift": candidate("2013-02", "2013-03")}
    assert decide(MODEL, "2013-03", history(**about)).reason == ""
    assert decide(MODEL, "2013-03", history(**about, performance={"2013-03": performance(9.0)})).reason != ""
    unknown = {"2013-03": {**said, "cause": "unknown"}}
    assert decide(MODEL, "2013-03", history(**{**about, "diagnoses": unknown})).reason == "drift"


def test_a_champion_grows_old_only_if_somebody_says_so() -> None:
    assert decide(MODEL, "2013-12", history()).reason == ""
    aged = MODEL.model_copy(update={"retrain": MODEL.retrain.model_copy(update={"max_age_days": 150})})
    reasons = [decide(aged, month, history()).reason for month in ("2013-05", "2013-06")]
    assert reasons == ["", "age"], "120 and 150 days after January"


def test_a_champion_that_knows_far_less_than_there_is_to_know_is_challenged() -> None:
    assert decide(SHIPPED, "2013-02", history()).reason == "growth", "seven weeks where it had three"
    later = history(promoted_partition="2013-03")
    reasons = [decide(SHIPPED, month, later).reason for month in ("2013-04", "2013-05")]
    assert reasons == ["", "growth"], "1.36 and 1.73 times"
    held = decide(SHIPPED, "2013-05", replace(later, probation=True))
    assert held.reason == "growth", "a probation is no reason to know less"
    broken = {"2013-05": {"retrains": False, "cause": "bad_data", "answer": "repair", "sentence": "Bad data."}}
    assert decide(SHIPPED, "2013-05", replace(later, diagnoses=broken)).reason == ""


def test_growth_is_asked_for_when_outcomes_come() -> None:
    labelled = dict.fromkeys(MONTHS[:3], 20_000)
    reasons = [decide(SHIPPED, month, history(labelled=labelled)).reason for month in ("2013-03", "2013-04")]
    assert reasons == ["growth", ""], "April is scored, and its outcomes are not in"


def test_from_the_same_rows_the_same_model_would_come() -> None:
    moved = candidate("2013-04", "2013-05")
    refused = [PastRequest("2013-04", "reject", "drift", learned="2013-03")]
    waiting = decide(MODEL, "2013-06", history(drift={**moved, **candidate("2013-06")}, requests=refused,
                     labelled=dict.fromkeys(MONTHS[:3], 20_000)))  # fmt: skip
    assert (waiting.reason, rule(waiting, "new_rows")["value"]) == ("", 0)
    known = dict.fromkeys(MONTHS[:4], 20_000)
    later = decide(MODEL, "2013-06", history(drift=candidate("2013-05", "2013-06"), requests=refused, labelled=known))
    assert (later.reason, rule(later, "new_rows")["value"]) == ("drift", 14_667)


def test_growth_asks_again_only_when_so_much_more_is_known_than_was_tried() -> None:
    def asks(month: str, *requests: PastRequest, **changes: Any) -> str:
        return decide(SHIPPED, month, history(requests=requests, **changes)).reason

    first = PastRequest("2013-01", "promote", learned="2013-01")
    refused = PastRequest("2013-03", "reject", "growth", learned="2013-03")
    assert [asks(month, first, refused) for month in MONTHS[3:5]] == ["", "growth"]
    assert asks("2013-04", first, replace(refused, verdict="failed")) == "growth", "nobody was tried"
    assert asks("2013-04", first, replace(refused, learned="")) == "growth", "it came from shadow: nobody was trained"
    seated = {
        "promoted_partition": "2013-05",
        "requests": (first, refused, PastRequest("2013-05", "promote")),
    }
    assert decide(SHIPPED, "2013-06", history(**seated)).reason == "growth", "it knows March and no more"
    known = dict.fromkeys(MONTHS[:2], 20_000)
    reasons = [asks(month, first, labelled=known) for month in MONTHS[1:3]]
    assert reasons == ["growth", ""], "March's own outcomes are not in: nothing is new"
    windowed = SHIPPED.model_copy(update={"train": SHIPPED.train.model_copy(update={"window": 2})})
    tried = history(requests=(first, PastRequest("2013-03", "reject", learned="2013-03")))
    assert decide(windowed, "2013-09", tried).reason == "", "what it forgets does not count"


def test_refusals_of_growth_and_of_alarms_do_not_delay_each_other() -> None:
    alarm = {month: performance(9.0) for month in MONTHS}
    grown = (PastRequest("2013-02", "reject", "growth"), PastRequest("2013-04", "reject", "growth"))
    assert decide(MODEL, "2013-05", history(performance=alarm, requests=grown)).reason == "performance"
    refused = asked(("2013-04", "reject"), ("2013-05", "reject"), ("2013-06", "reject"))
    cooling = history(performance=alarm, requests=refused)
    assert decide(MODEL, "2013-07", cooling).reason == "", "112 days"
    found = decide(SHIPPED, "2013-07", cooling)
    assert (found.reason, found.degraded, "since" in found.evidence) == ("growth", True, False)
    assert not any(hold["fired"] for hold in found.evidence["holds"])


def test_nobody_is_trained_whom_no_gate_might_judge() -> None:
    alarm = {"performance": {"2013-05": performance(9.0)}}
    spent = tuple(Spent(f"2013-0{month}-r1", f"2013-0{month + 1}-01", 0.07) for month in (2, 3, 4))
    assert decide(MODEL, "2013-05", history(**alarm, spent=spent)).reason == "performance", "21 and 5 of 26 %"
    found = decide(MODEL, "2013-05", history(**alarm, spent=(*spent, Spent("2013-05-r1", "2013-06-01", 0.01))))
    assert found.reason == ""
    assert found.message.startswith("2013-05: 0.22 of the year's error budget of 0.26 are spent: ")
    assert "may be judged from 2014-03-01 on" in found.message


def test_a_probation_stops_drift_and_no_labelled_alarm() -> None:
    moved = history(drift=candidate("2013-02", "2013-03"), probation=True)
    assert "the champion is on probation" in decide(MODEL, "2013-03", moved).message
    worse = history(performance={"2013-03": performance(9.0)}, probation=True)
    assert decide(MODEL, "2013-03", worse).reason == "performance"


def test_nobody_is_trained_who_could_not_get_the_seat_for_a_rollout_goes_on() -> None:
    worse = history(performance={"2013-03": performance(9.0)}, rollout="2013-02-r1")
    assert decide(MODEL, "2013-03", worse).message.startswith("2013-03: rollout 2013-02-r1 goes on. ")
    assert decide(MODEL, "2013-03", replace(worse, rollout="")).reason == "performance"


def test_the_budget_is_a_bucket_from_which_an_alarm_may_borrow() -> None:
    days = MODEL.model_copy(
        update={"grain": Grain.DAY, "retrain": MODEL.retrain.model_copy(update={"cooldown_days": 0})}
    )
    labelled = {f"2013-03-{day:02d}": 4000 for day in range(1, 31)}
    quiet: dict[str, Any] = {"promoted_partition": "2013-02-01", "labelled": labelled}

    def found(key: str, requests: list[PastRequest], alarm: bool) -> Decision:
        verdicts: dict[str, Any] = (
            {"performance": {key: performance(9.0)}} if alarm else {"drift": candidate("2013-03-09", key)}
        )
        return decide(days, key, history(**quiet, **verdicts, requests=requests))

    spent = asked(("2013-03-09", "promote"), ("2013-03-09", "promote"))
    assert found("2013-03-10", spent[:1], alarm=False).reason == "drift"
    held = found("2013-03-10", spent, alarm=False)
    assert (held.reason, "the budget of 2 trainings in 7 days is used up" in held.message) == ("", True)
    assert found("2013-03-10", spent, alarm=True).reason == "performance"
    assert found("2013-03-10", [*spent, *spent[:1]], alarm=True).reason == ""
    assert found("2013-03-13", spent, alarm=False).reason == "drift", "two in seven days are one in three and a half"


def test_hours_and_money_are_limits_too() -> None:
    limits = Budget(days=60, core_hours=1.5)
    frugal = MODEL.model_copy(update={"retrain": MODEL.retrain.model_copy(update={"budget": limits})})
    spent = [PastRequest("2013-03", "promote", core_hours=1.0), PastRequest("2013-04", "promote", core_hours=0.6)]
    alarm = {"2013-05": performance(9.0), "2013-06": performance(9.0)}
    stopped = decide(frugal, "2013-05", history(performance=alarm, requests=spent))
    assert "0.60 of 1.5" not in stopped.message
    assert decide(frugal, "2013-05", history(performance=alarm, requests=spent)).reason == "performance"
    dear = [*spent[:1], PastRequest("2013-04", "promote", core_hours=1.6)]
    stopped = decide(frugal, "2013-05", history(performance=alarm, requests=dear))
    assert "1.60 of 1.5 core_hours in 60 days are spent" in stopped.message
    assert decide(frugal, "2013-06", history(performance=alarm, requests=dear)).reason == "performance"


def test_a_degraded_champion_is_so_until_three_partitions_are_calm() -> None:
    losses = [0.0, 9.0, -1.0, -1.0, -1.0, 0.0]
    verdicts = {month: performance(z) for month, z in zip(MONTHS[1:], losses, strict=False)}
    states = [decide(MODEL, month, history(performance=verdicts)).evidence["state"] for month in MONTHS[1:7]]
    assert states == ["healthy", "degraded", "degraded", "degraded", "healthy", "healthy"]
    assert decide(MODEL, "2013-04", history(performance=verdicts)).degraded


def test_the_state_says_what_is_going_on() -> None:
    def state(**changes: Any) -> str:
        return str(decide(MODEL, "2013-03", history(**changes)).evidence["state"])

    assert state(performance={"2013-03": performance(3.0)}) == "suspect"
    assert state(drift={"2013-03": {"tier": "warning", "sentence": "x"}}) == "suspect"
    assert state(requests=asked(("2013-02", ""))) == "training"
    assert state(probation=True) == "probation"
    assert state() == "healthy"


def test_two_candidates_of_the_last_three_ask() -> None:
    tiers = [
        "retrain candidate",
        "none",
        "retrain candidate",
        "warning",
        "none",
        "retrain candidate",
        "retrain candidate",
    ]
    drift = {month: {"tier": tier, "sentence": month} for month, tier in zip(MONTHS[1:], tiers, strict=False)}
    reasons = [decide(MODEL, month, history(drift=drift)).reason for month in MONTHS[1:8]]
    assert reasons == ["", "", "drift", "", "", "", "drift"]
    gap = {month: drift[month] for month in (MONTHS[1], MONTHS[3], MONTHS[7])}
    assert decide(MODEL, MONTHS[3], history(drift=gap)).reason == "drift", "of those that were judged"
    backfilled = {**drift, MONTHS[9]: drift[MONTHS[1]]}
    assert decide(MODEL, MONTHS[1], history(drift=backfilled)).reason == "", "later ones do not count"


def test_each_refused_challenger_doubles_the_cooldown() -> None:
    alarm = {month: performance(9.0) for month in MONTHS}

    def asks(month: str, *requests: tuple[str, str]) -> bool:
        return decide(MODEL, month, history(performance=alarm, requests=asked(*requests))).reason != ""

    assert asks("2013-05", ("2013-04", "promote"))
    assert asks("2013-05", ("2013-04", "reject"))  # 28 days, and May has 31
    refused = [("2013-03", "insufficient_evidence"), ("2013-04", "reject")]
    assert not asks("2013-05", *refused)  # 56 days
    assert asks("2013-06", *refused)
    assert asks("2013-05", ("2013-03", "reject"), ("2013-04", "promote"))
    # Only a gate's no doubles it: not a request that is open or has failed, nor one that is gated again.
    assert asks("2013-05", ("2013-02", "failed"), ("2013-03", ""), ("2013-04", "stale"), ("2013-04", "reject"))


def test_a_cooldown_is_over_at_its_hour_and_not_before() -> None:
    hourly = MODEL.model_copy(
        update={"grain": Grain.HOUR, "retrain": MODEL.retrain.model_copy(update={"cooldown_days": 1})}
    )
    keys = ("2013-03-01T03", "2013-03-02T01", "2013-03-02T02")
    verdicts = candidate("2013-03-01T02", *keys)
    given_ = history(
        promoted_partition="2013-02-01T00",
        labelled={"2013-02-02T00": 500, "2013-02-10T00": 1},
        drift=verdicts,
        requests=asked(("2013-03-01T02", "promote")),
    )
    early, late, over = (decide(hourly, key, given_) for key in keys)
    assert (early.reason, late.reason, over.reason) == ("", "", "drift")
    assert "cooling down for 1 more day." in early.message
    assert "cooling down for 1 more day." in late.message, "an hour is left, and less than a day is said as one"


def test_many_refusals_are_a_long_time_and_no_error() -> None:
    refused = asked(*[("2013-03", "reject")] * 200)
    found = decide(MODEL, "2013-05", history(performance={"2013-05": performance(9.0)}, requests=refused))
    assert (found.reason, "cooling down" in found.message) == ("", True)


@settings(deadline=None)
@given(st.permutations(MONTHS), st.lists(st.floats(-3, 5), min_size=12, max_size=12))
def test_arrival_order_does_not_matter(order: list[str], losses: list[float]) -> None:
    verdicts = {month: performance(z) for month, z in zip(MONTHS, losses, strict=True)}
    shuffled = {month: verdicts[month] for month in order}
    for month in MONTHS:
        assert decide(MODEL, month, history(performance=verdicts)) == decide(
            MODEL, month, history(performance=shuffled)
        )


@settings(deadline=None)
@given(st.lists(st.floats(-3, 5), min_size=12, max_size=12), st.integers(0, 10))
def test_later_verdicts_do_not_change_an_earlier_decision(losses: list[float], cut: int) -> None:
    verdicts = {month: performance(z) for month, z in zip(MONTHS, losses, strict=True)}
    known = {month: verdicts[month] for month in MONTHS[: cut + 1]}
    month = MONTHS[cut]
    assert decide(MODEL, month, history(performance=known)) == decide(MODEL, month, history(performance=verdicts))
