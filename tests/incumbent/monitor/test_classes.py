"""Several classes: drift of each probability, log loss, the mean of each class, and alarms that mean something."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from small_training import CLASSES

from incumbent.classes import score_names
from incumbent.config import Monitor
from incumbent.features.profile import Profile, profile
from incumbent.monitor import (
    DriftVerdict,
    PerformanceVerdict,
    baseline,
    drift_verdict,
    metric_rows,
    performance_verdict,
)
from incumbent.monitor.report import write
from incumbent.retrain import History
from incumbent.retrain.channels import channels
from incumbent.stats import of_worst

pytestmark = pytest.mark.unit
Floats = npt.NDArray[np.float64]
SETTINGS = Monitor()
UNEQUAL = np.array([0.5, 0.0, -2.0])
NAMES = score_names(CLASSES)


def softmax(margins: Floats) -> Floats:
    powers: Floats = np.exp(margins)
    return powers / powers.sum(axis=1, keepdims=True)


def said(seed: int, rows: int, shift: Floats | float = 0.0) -> Floats:
    return softmax(np.random.default_rng(seed).normal(size=(rows, 3)) + UNEQUAL + shift)


def batch(seed: int, rows: int = 4000, shift: Floats | float = 0.0) -> Profile:
    random = np.random.default_rng(seed)
    columns = {"x": random.normal(10, 1, rows), **dict(zip(NAMES, said(seed, rows, shift).T, strict=True))}
    return profile(pa.table(columns), list(columns))


def drift(found: Profile, references: int = 20) -> DriftVerdict:
    reference = [batch(seed) for seed in range(references)]
    return drift_verdict("2013-02", 1, "v", found, reference, {"x": 1.0}, SETTINGS, NAMES)


def test_the_same_kind_of_batch_is_no_drift() -> None:
    assert [drift(batch(seed)).tier for seed in range(100, 130)] == ["none"] * 30
    assert [drift(batch(seed, rows=100)).tier for seed in range(200, 230)] == ["none"] * 30


def test_a_class_whose_probabilities_move_is_named() -> None:
    verdict = drift(batch(9, shift=np.array([0.0, 0.0, 0.8])))
    assert (verdict.tier, verdict.score["column"]) == ("retrain candidate", "score of class lost")
    assert verdict.score["alpha"] == SETTINGS.alpha / 2 / 3 / 2, "of which half is for a window of one"
    assert verdict.sentence.startswith("2013-02: the score of class lost moved by 0.")
    assert all(alarm["feature"] == "x" for alarm in verdict.features), "a score is no feature"
    swapped = drift(batch(9, shift=np.array([-0.6, 0.6, 0.0])))
    assert swapped.tier == "retrain candidate"
    assert swapped.score["column"] in NAMES[:2]


def world(seed: int, rows: int = 6000, truth: Floats | float = 0.0, slope: float = 1.0) -> tuple[Any, Any, Any]:
    """Return labels, predictions and clusters; the truth may differ from what is predicted."""
    random = np.random.default_rng(seed)
    margins = random.normal(size=(rows, 3)) + UNEQUAL
    real = softmax(slope * margins + truth)
    labels = np.minimum((random.random(rows)[:, None] > real.cumsum(axis=1)).sum(axis=1), 2)
    return labels.astype(float), softmax(margins), np.arange(rows) % 30


REFERENCE = baseline("multiclass", *world(3), CLASSES)


def performance(seed: int, reference: dict[str, Any] = REFERENCE, **changes: Any) -> PerformanceVerdict:
    return performance_verdict(
        "2013-02", 1, "v", "multiclass", *world(seed, **changes), 1.0, reference, SETTINGS, CLASSES
    )  # fmt: skip


def test_it_is_judged_by_log_loss_and_says_how_often_it_was_right() -> None:
    labels, predictions, _ = world(5)
    found = performance(5)
    assert (found.metric, found.judged) == ("logloss", True)
    assert found.value == pytest.approx(-np.log(predictions[np.arange(6000), labels.astype(int)]).mean())
    assert found.accuracy == pytest.approx((predictions.argmax(axis=1) == labels).mean())
    shares = np.bincount(labels.astype(int)) / 6000
    assert found.trivial == pytest.approx(-(shares * np.log(shares)).sum())
    assert found.value < found.trivial
    assert f"accuracy {found.accuracy:.1%}, mean of class " in found.sentence
    rows = metric_rows(found).to_pylist()
    assert [row["metric"] for row in rows] == ["logloss", "trivial_logloss", "accuracy"]
    assert rows[2]["value"] == found.accuracy


def test_an_unchanged_world_has_small_losses() -> None:
    losses = [max(performance(seed).z.values()) for seed in range(10, 40)]
    assert max(losses) < SETTINGS.alarm_z


def test_an_unchanged_world_does_not_add_up_to_an_alarm() -> None:
    """The worst of three classes is above nothing in most partitions: its sum must not grow by itself."""
    months = [f"2013-{month:02d}" for month in range(1, 13)] + [f"2014-{month:02d}" for month in range(1, 13)]
    verdicts = {month: performance(500 + seed, rows=3000).to_json() for seed, month in enumerate(months)}
    alarms = 0
    for month in months:
        found = channels(History(1, "2012-12", performance=verdicts), month, SETTINGS.alarm_z)
        alarms += sum(channel.fired for channel in found)
    assert alarms == 0
    random = np.random.default_rng(3)
    independent = [of_worst(list(random.normal(size=5))) for _ in range(4000)]
    assert np.mean(independent) < 0.1
    assert np.mean(np.array(independent) > 2) == pytest.approx(0.0228, abs=0.008)


@pytest.mark.parametrize("number", range(3), ids=CLASSES)
def test_a_class_that_came_more_often_shows_in_the_channels(number: int) -> None:
    shift = np.zeros(3)
    shift[number] = 0.8
    found = performance(5, truth=shift)
    assert found.z["cal_high"] > SETTINGS.alarm_z, "of this class more than predicted"
    assert found.z["cal_low"] > SETTINGS.alarm_z, "and of another less"
    rare = performance(5, truth=np.array([0.0, 0.0, -1.5]))
    assert "mean of class lost off by +0.0" in rare.sentence


def test_lost_knowledge_shows_in_its_channel() -> None:
    assert performance(5, slope=0.3).z["rank"] > SETTINGS.alarm_z


def test_a_partition_of_one_day_borrows_the_errors_of_each_class_from_the_gate_rows() -> None:
    labels, predictions, _ = world(5, rows=500)
    arguments = ("2013-02-01", 1, "v", "multiclass", labels, predictions, np.zeros(500, dtype=np.int64), 1.0)
    found = performance_verdict(*arguments, REFERENCE, SETTINGS, CLASSES)
    assert found.judged and found.error is not None
    assert found.error >= REFERENCE["error"] * np.sqrt(30)
    wide = {**REFERENCE, "miss_errors": dict.fromkeys(CLASSES, 10.0)}
    assert performance_verdict(*arguments, wide, SETTINGS, CLASSES).z["cal_high"] < 0
    new = {**REFERENCE, "miss_errors": {"early": 0.01}}
    assert performance_verdict(*arguments, new, SETTINGS, CLASSES).judged, "classes that the gates did not know"


def test_classes_that_a_partition_does_not_hold_are_judged_all_the_same() -> None:
    labels, predictions, clusters = world(5)
    keep = labels == 1
    arguments = (labels[keep], predictions[keep], clusters[keep])
    found = performance_verdict(
        "2013-02", 1, "v", "multiclass", *arguments, 1.0, REFERENCE, SETTINGS, CLASSES
    )  # fmt: skip
    assert found.judged
    assert found.trivial == 0.0
    assert found.z["cal_high"] > SETTINGS.alarm_z
    assert np.isfinite(list(found.z.values())).all()


@pytest.mark.slow
def test_the_page_says_which_score_it_was(tmp_path: Any) -> None:
    rows = pa.table({"x": np.linspace(0, 1, 300)})
    verdict = {**drift(batch(9, shift=np.array([0.0, 0.0, 0.8]))).to_json()}
    write(tmp_path / "page.html", rows, rows, ["x"], verdict, 100)
    assert "Score of class lost: effect 0." in (tmp_path / "page.html").read_text()
