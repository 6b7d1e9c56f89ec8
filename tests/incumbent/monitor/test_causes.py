"""The diagnosis: the cause that was made is the cause that is named, and only real shift asks for a training."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from causes import TRUTHS, told, world

from incumbent.diagnosis import CAUSES, Diagnosis, Evidence, again, diagnose

pytestmark = pytest.mark.unit


def confusion(seeds: range) -> Counter[tuple[str, str, str]]:
    """Return how often each cause was taken for which, with which answer."""
    found = [(cause, told(seed, cause)) for cause in TRUTHS for seed in seeds]
    return Counter((cause, diagnosis.cause, diagnosis.answer) for cause, diagnosis in found)


def test_each_cause_is_named() -> None:
    assert confusion(range(1)) == {(cause, *truth): 1 for cause, truth in TRUTHS.items()}


@pytest.mark.slow
def test_each_cause_is_named_nearly_always() -> None:
    table = confusion(range(100, 125))
    for cause, truth in TRUTHS.items():
        assert table[(cause, *truth)] >= 24, {key: count for key, count in table.items() if key[0] == cause}


def test_every_cause_has_a_world() -> None:
    assert {cause for cause, _ in TRUTHS.values()} == set(CAUSES)


def test_only_real_shift_asks_for_a_training_and_faults_page_the_data_owner() -> None:
    for cause in ("bad_data", "one source"):
        found = told(1, cause)
        assert (found.retrains, found.notify, found.answer) == (False, "data owner", "repair"), found.sentence
    shifted = told(1, "concept_drift")
    assert (shifted.retrains, shifted.notify) == (True, "model owner")
    assert told(1, "label_shift").retrains is False
    assert told(1, "moved and judged fine").notify == "nobody"


def test_the_columns_that_moved_most_come_first_with_their_source() -> None:
    found = told(2, "one source")
    assert [(column["column"], column["sources"]) for column in found.columns] == [
        ("wind", ("weather",)), ("temp", ("weather",)),
    ] or {column["column"] for column in found.columns} == {"temp", "wind"}  # fmt: skip
    assert found.columns[0]["effect"] >= found.columns[1]["effect"]


def test_columns_by_which_a_classifier_tells_the_batch_are_named_where_no_test_alarms() -> None:
    evidence = world(2, "one shop")
    quiet = replace(evidence, drift={**evidence.drift, "features": []})
    assert {column["column"] for column in diagnose(quiet).columns} >= {"x", "y"}


def test_a_source_that_moves_alone_may_be_a_season_until_enough_is_known() -> None:
    evidence = world(1, "one source")
    early = replace(evidence, drift={**evidence.drift, "batches": 11})
    assert diagnose(early).cause == "covariate_shift"
    assert "only columns of weather moved" in diagnose(evidence).sentence


def test_a_record_is_replayed_to_the_same_diagnosis() -> None:
    for cause in ("one shop", "label_shift", "costly", "none"):
        found = told(3, cause)
        plain = json.loads(json.dumps(found.to_json()))
        assert again(plain).to_json() == found.to_json()
        assert Diagnosis.from_json(plain).cause == found.cause


def test_what_earlier_batches_add_up_to_may_be_told_later() -> None:
    evidence = world(4, "moved and judged fine")
    calm = replace(evidence, drift={"tier": "none", "batches": 24, "features": [], "score": {}})
    found = diagnose(calm)
    assert found.cause == "none"
    later = again(found.to_json(), {"rank": "ranking: z 1.4, sum 6.6"})
    assert (later.cause, later.retrains) == ("concept_drift", True)
    assert "sum 6.6" in later.sentence


def test_an_estimate_clears_no_alarm() -> None:
    evidence = replace(world(1, "costly"), drift={"tier": "drift", "batches": 24, "features": []}, segments=())
    harmless = replace(evidence, estimate={"metric": "auc", "change": 0.001, "cost": "harmless"})
    assert diagnose(harmless).retrains is True
    assert diagnose(harmless).cost["verdict"] == "harmless"
    quiet = replace(harmless, drift={"tier": "none", "batches": 24, "features": []})
    assert diagnose(replace(quiet, estimate={"metric": "auc", "change": -0.2, "cost": "costly"})).retrains is False


def plain(**changes: Any) -> Evidence:
    return Evidence("2013-07", 3, "v", 1000, **changes)


@pytest.mark.parametrize(
    ("evidence", "cause"),
    [
        (plain(), "unknown"),  # nothing is known
        (replace(plain(), rows=0), "unknown"),
        (replace(plain(), rows=1, drift={"tier": "drift"}), "unknown"),
        (plain(drift={"tier": "none", "basis": "insufficient data"}), "unknown"),
        (plain(drift={"tier": "none", "basis": "scores missing"}), "unknown"),
        (plain(drift={"tier": "none"}), "none"),
        (plain(drift={"tier": "drift"}), "covariate_shift"),
        (plain(drift={"tier": "drift", "score": {"effect": None}, "features": []}), "covariate_shift"),
        (plain(drift={"tier": "none"}, performance={"judged": False, "z": {}, "value": None}), "none"),
        (plain(drift={"tier": "none"}, performance={"judged": True, "z": {}, "value": None, "metric": "auc"}), "none"),
        (plain(drift={"tier": "none", "diversity": {"state": "collapsed", "sentence": "All alike."}}), "unknown"),
        (plain(integrity=({"test": "nulls"},)), "bad_data"),
        (plain(drift={"tier": "none"}, integrity=({"test": "nulls", "holds": False},)), "none"),
    ],
)
def test_odd_evidence_has_a_named_cause(evidence: Evidence, cause: str) -> None:
    found = diagnose(evidence)
    assert found.cause == cause
    assert found.retrains is (cause == "covariate_shift")
    assert Diagnosis.from_json(found.to_json()).sentence == found.sentence


def test_a_label_shift_says_what_the_metric_was_and_that_its_fall_is_not_sure() -> None:
    evidence = plain(
        drift={"tier": "none"},
        performance={"judged": True, "z": {"cal_low": 3.7}, "value": 0.67, "metric": "auc"},
        reference={"value": 0.772, "error": 0.026},
        labels={
            "gap": -0.072, "gap_z": -4.5, "slope_p": 0.0128, "metric": "auc", "corrected": 0.67, "corrected_z": 2.84,
        },
    )  # fmt: skip
    found = diagnose(evidence)
    assert found.sentence == (
        "2013-07: label shift: the outcomes are -0.072 off the mean prediction (-4.5 errors); "
        "a new intercept leaves nothing to explain (p 0.013; below 0.01 it would); "
        "with it the auc is 0.670 (gated at 0.772): not surely worse (z 2.8, limit 3.6). "
        "Enough: recalibrate. Told: the model owner."
    )
    better = diagnose(replace(evidence, labels={**evidence.labels, "corrected": 0.78, "corrected_z": -0.2}))
    assert "with it the auc is 0.780 (gated at 0.772): no worse." in better.sentence


def test_no_alarm_is_said_plainly() -> None:
    assert diagnose(plain(drift={"tier": "none"})).sentence == (
        "2013-07: no alarm of the inputs; no outcomes yet. Nothing to do."
    )
