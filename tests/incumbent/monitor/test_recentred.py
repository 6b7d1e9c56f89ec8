"""A new intercept: enough after label shift, not enough after anything else."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import kstest

from incumbent.monitor.recentred import label_facts, recentred

pytestmark = pytest.mark.unit
REFERENCE = {"value": 0.76, "error": 0.01}


def rows(seed: int, count: int = 4000, slope: float = 1.0, offset: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.normal(size=count)
    return (random.random(count) < expit(slope * x - 1 + offset)).astype(float), expit(x - 1)


def test_the_intercept_is_the_one_that_solves_the_equation() -> None:
    labels, said = rows(1, offset=0.8)
    wanted = brentq(lambda step: (labels - expit(logit(said) + step)).sum(), -5, 5)
    np.testing.assert_allclose(recentred("binary", labels, said), expit(logit(said) + wanted), atol=1e-7)


def test_classes_are_scaled_to_their_shares() -> None:
    random = np.random.default_rng(2)
    said = random.dirichlet([2.0, 3.0, 4.0], 500)
    labels = random.choice(3, 500, p=[0.6, 0.3, 0.1]).astype(float)
    moved = recentred("multiclass", labels, said)
    np.testing.assert_allclose(moved.mean(axis=0), np.bincount(labels.astype(int)) / 500, atol=1e-7)
    odds = (moved[:, 0] / moved[:, 1]) / (said[:, 0] / said[:, 1])
    np.testing.assert_allclose(odds, odds[0], rtol=1e-6)


def test_label_shift_leaves_no_slope_as_often_as_promised() -> None:
    p = [label_facts("binary", *rows(seed, 1000, offset=-1.0), None, REFERENCE)["slope_p"] for seed in range(500)]
    assert kstest(p, "uniform").pvalue > 0.001


def test_days_that_differ_do_not_look_like_a_slope() -> None:
    p = []
    for seed in range(200):
        random = np.random.default_rng(seed)
        days = np.repeat(np.arange(30), 40)
        x = random.normal(size=1200) + random.normal(size=30)[days]
        luck = 0.6 * random.normal(size=30)[days] * x
        labels = (random.random(1200) < expit(x - 1 + luck)).astype(float)
        p.append(label_facts("binary", labels, expit(x - 1), days, REFERENCE)["slope_p"])
    assert np.mean(np.array(p) < 0.01) < 0.05


def test_a_lost_relation_leaves_a_slope_and_a_worse_metric() -> None:
    found = label_facts("binary", *rows(5, slope=0.3), None, REFERENCE)
    assert found["slope_p"] < 1e-6
    assert found["corrected_z"] > 5


def test_of_a_number_the_mean_is_the_intercept() -> None:
    random = np.random.default_rng(3)
    said = random.normal(size=2000)
    labels = said + random.normal(size=2000) + 3
    found = label_facts("regression", labels, said, None, {"value": 1.0, "error": 0.02})
    assert found["gap"] == pytest.approx(3, abs=0.1)
    assert found["corrected"] == pytest.approx(1, abs=0.05)
    assert abs(found["corrected_z"]) < 3
    assert found["slope_p"] > 0.01


def test_several_classes_are_recentred_together() -> None:
    random = np.random.default_rng(4)
    said = random.dirichlet([2.0, 2.0, 2.0], 3000)
    tilted = said * [3.0, 1.0, 0.5]
    tilted /= tilted.sum(axis=1, keepdims=True)
    labels = np.array([random.choice(3, p=each) for each in tilted]).astype(float)
    loss = -np.log(said).mean()
    found = label_facts("multiclass", labels, said, None, {"value": loss, "error": 0.01})
    assert abs(found["gap_z"]) > 10
    assert found["slope_p"] > 0.01


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([], []),
        ([1.0], [0.5]),
        ([1.0] * 100, [0.5] * 100),  # one class
        ([0.0, 1.0] * 50, [0.5, float("nan")] * 50),
        ([0.0, float("nan")] * 50, [0.5, 0.5] * 50),
    ],
)
def test_labels_that_say_nothing_give_no_facts(labels: list[float], said: list[float]) -> None:
    assert label_facts("binary", np.array(labels), np.array(said), None, REFERENCE) == {}


def test_a_constant_score_has_no_slope() -> None:
    found = label_facts("binary", np.array([0.0, 1.0] * 50), np.full(100, 0.2), None, {"value": 0.5, "error": 0.01})
    assert found["slope_p"] == 1.0
    assert found["corrected"] == 0.5
