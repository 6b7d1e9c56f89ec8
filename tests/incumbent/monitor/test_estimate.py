"""The estimate without labels: right under covariate shift, blind to concept drift, and never a number of nothing."""

import numpy as np
import pyarrow as pa
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import binomtest

from incumbent.monitor.domain import tell_apart
from incumbent.monitor.estimate import Estimate, Known, Recalibration, estimate, estimate_rows, recalibrate
from incumbent.monitor.metrics import SCHEMA
from incumbent.stats import auc, class_losses

pytestmark = pytest.mark.unit
GATED = {"value": 0.77, "error": 0.005}


def world(
    seed: int, count: int = 2500, shift: float = 0.0, slope: float = 1.2, days: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    random = np.random.default_rng(seed)
    x = random.normal(size=count) + shift
    codes = np.arange(count) % days if days else None
    luck = 0.0 if codes is None else 0.6 * random.normal(size=days)[codes]
    labels = (random.random(count) < expit((slope + luck) * x - 1)).astype(float)
    return labels, expit(1.6 * (1.2 * x - 1) + 0.3), codes  # a model that is too sure, and too high


def found(seed: int, **batch: float) -> tuple[Estimate, np.ndarray, np.ndarray]:
    days = {"days": int(batch["days"])} if "days" in batch else {}
    known = recalibrate("binary", Known(*world(seed, **days)))
    labels, scores, codes = world(10_000 + seed, **batch)  # type: ignore[arg-type]
    return estimate("2013-07", 3, "v", "binary", scores, known, GATED, codes), labels, scores


@pytest.mark.parametrize("batch", [{}, {"shift": 0.7}, {"shift": -0.7}, {"days": 10}], ids=str)
def test_the_interval_holds_the_realised_auc_as_often_as_it_says(batch: dict[str, float]) -> None:
    inside = 0
    for seed in range(250):
        guess, labels, scores = found(seed, **batch)
        assert guess.low is not None and guess.high is not None
        inside += guess.low <= auc(labels, scores) <= guess.high
    assert binomtest(inside, 250, 0.95).pvalue > 0.001, inside


def test_several_classes_have_the_log_loss() -> None:
    inside = 0
    for seed in range(150):
        random = np.random.default_rng(seed)
        sides = []
        for shift in (0.0, 0.5):
            x = random.normal(size=(1500, 2)) + shift
            levels = np.column_stack([x[:, 0], x[:, 1], -x.sum(axis=1) / 2])
            chance = np.exp(levels) / np.exp(levels).sum(axis=1, keepdims=True)
            labels = (chance.cumsum(axis=1) > random.random((1500, 1))).argmax(axis=1).astype(float)
            said = chance**1.5
            sides.append((labels, said / said.sum(axis=1, keepdims=True)))
        known = recalibrate("multiclass", Known(*sides[0]))
        guess = estimate("p", 1, "v", "multiclass", sides[1][1], known, {"value": 0.9, "error": 0.01})
        realised = float(class_losses(*sides[1]).mean())
        inside += bool(guess.low <= realised <= guess.high)  # type: ignore[operator]
    assert binomtest(inside, 150, 0.95).pvalue > 0.001, inside


def test_the_recalibration_is_that_of_a_logistic_regression() -> None:
    labels, scores, _ = world(3)
    level = logit(np.clip(scores, 1e-6, 1 - 1e-6))

    def loss(theta: np.ndarray) -> float:
        said = theta[0] * level + theta[1]
        prior = 0.5 * ((theta[0] - 1) ** 2 + theta[1] ** 2)
        return float(np.logaddexp(0, said).sum() - labels @ said + prior)

    best = minimize(loss, [1.0, 0.0], tol=1e-10).x
    np.testing.assert_allclose(recalibrate("binary", Known(labels, scores)).theta, best, atol=1e-4)


def test_the_expected_auc_is_the_mean_over_labels_that_are_drawn() -> None:
    random = np.random.default_rng(1)
    scores = np.round(random.random(200), 1)  # with ties
    sure = Recalibration("fitted", (1.0, 0.0), ((0.0, 0.0), (0.0, 0.0)), df=1000)
    guess = estimate("p", 1, "v", "binary", scores, sure, GATED)
    drawn = [auc((random.random(200) < np.clip(scores, 1e-6, 1)).astype(float), scores) for _ in range(4000)]
    assert guess.value == pytest.approx(np.mean(drawn), abs=0.002)
    assert guess.error == pytest.approx(np.std(drawn), rel=0.1)


def test_gate_rows_count_by_how_much_they_look_like_the_batch() -> None:
    """Where only one kind of rows is left, and the champion is worse on that kind, plain CBPE is wrong."""
    random = np.random.default_rng(5)

    def rows(count: int, share: float) -> tuple[pa.Table, np.ndarray, np.ndarray]:
        kind, x = random.random(count) < share, random.normal(size=count)
        labels = (random.random(count) < expit(np.where(kind, 0.3, 2.0) * x)).astype(float)
        return pa.table({"x": x, "kind": kind}), labels, expit(1.5 * x)

    table, labels, scores = rows(8000, 0.2)
    batch, truth, said = rows(4000, 0.95)
    domain = tell_apart(table, batch, ["x", "kind"], threads=1)
    at = domain.reference_rows
    plain = recalibrate("binary", Known(labels, scores))
    like = recalibrate("binary", Known(labels[at], scores[at], weights=domain.weights))
    gated = {"value": auc(labels, scores), "error": 0.005}
    realised = auc(truth, said)
    wrong, right = (estimate("p", 1, "v", "binary", said, each, gated) for each in (plain, like))
    assert wrong.value - realised > 0.1  # type: ignore[operator]
    assert right.low < realised < right.high  # type: ignore[operator]
    assert (right.reweighted, right.cost) == (True, "costly")
    assert 0.1 < right.effective < 0.6


def test_it_is_blind_to_concept_drift_and_says_so() -> None:
    guess, labels, scores = found(1, slope=0.1)
    assert auc(labels, scores) < 0.6 < guess.low  # type: ignore[operator]
    assert guess.cost != "costly"
    assert "blind to concept drift" in guess.sentence


def test_a_batch_unlike_the_gate_rows_is_refused() -> None:
    labels, scores, _ = world(1)
    weights = np.full(len(labels), 1e-3)
    weights[:20] = 1.0
    known = recalibrate("binary", Known(labels, scores, weights=weights / weights.mean()))
    guess = estimate("p", 1, "v", "binary", scores, known, GATED)
    assert (guess.state, guess.value) == ("too unlike", None)
    assert "like 1.0% of the gate rows, 10% are needed" in guess.sentence


def test_a_quarantined_batch_is_never_estimated() -> None:
    labels, scores, _ = world(1)
    known = recalibrate("binary", Known(labels, scores))
    assert estimate("p", 1, "v", "binary", scores, known, GATED, quarantined=True).state == "quarantined"


@pytest.mark.parametrize(
    ("task", "labels", "known", "scores", "state"),
    [
        ("regression", [0.0, 1.0] * 100, [0.5] * 200, [0.5] * 200, "regression"),
        ("binary", [], [], [0.5] * 200, "insufficient data"),
        ("binary", [1.0] * 200, [0.5] * 200, [0.5] * 200, "insufficient data"),
        ("binary", [0.0, 1.0] * 100, [float("nan")] * 200, [0.5] * 200, "insufficient data"),
        ("binary", [0.0, 1.0] * 100, [0.5] * 200, [float("nan")] * 200, "insufficient data"),
        ("binary", [0.0, 1.0] * 100, [0.5] * 200, [], "insufficient data"),
        ("binary", [0.0, 1.0] * 100, [0.5] * 200, [0.5], "insufficient data"),
        ("binary", [0.0, 1.0] * 100, [0.5] * 200, [0.5] * 200, "estimated"),  # constant
        ("binary", [0.0, 1.0] * 100, [0.0, 1.0] * 100, [0.0, 1.0] * 100, "estimated"),  # certain
    ],
)
def test_odd_input_has_a_named_state(
    task: str, labels: list[float], known: list[float], scores: list[float], state: str
) -> None:
    fitted = recalibrate(task, Known(np.array(labels), np.array(known)))
    guess = estimate("p", 1, "v", task, np.array(scores), fitted, GATED)
    assert guess.state == state
    assert (guess.value is not None) == (state == "estimated")
    assert (guess.cost == "unknown") == (state != "estimated")
    assert estimate_rows(guess).num_rows == (state == "estimated")
    assert Estimate.from_json(guess.to_json()).to_json() == guess.to_json()


def test_what_is_recorded_gives_the_same_estimate() -> None:
    labels, scores, codes = world(1, days=10)
    fitted = recalibrate("binary", Known(labels, scores, codes))
    assert fitted.shared > 0
    again = Recalibration.from_plain(
        {**vars(fitted), "theta": list(fitted.theta), "covariance": [list(each) for each in fitted.covariance]}
    )
    assert again == fitted
    rows = estimate_rows(estimate("p", 3, "v", "binary", scores, fitted, GATED))
    assert rows.schema == SCHEMA
    assert rows["metric"].to_pylist() == ["estimated_auc"]
