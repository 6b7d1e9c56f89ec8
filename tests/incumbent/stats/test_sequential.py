"""Evidence that may be looked at after every batch keeps its promise, and still finds what is there."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from incumbent.stats import Measured, advantage, e_value, gathered, measured_advantage, paired_auc_difference

pytestmark = pytest.mark.unit


def trial(random: np.random.Generator, clusters: int, gain: float = 0.0, batches: int = 20) -> list[Measured]:
    """Return paired differences of batches, each the mean of some clusters whose spread is all that is known."""
    found = []
    for _ in range(batches):
        each = random.normal(gain / math.sqrt(clusters), 1.0, clusters)
        error = float(each.std(ddof=1)) / math.sqrt(clusters) if clusters > 1 else 0.0
        found.append(Measured(float(each.mean()), error, clusters, clusters - 1))
    return found


def ever(series: list[Measured], level: float) -> int:
    """Return after how many batches the evidence first reaches a level; 0 if never."""
    z = gathered(series).z
    return next((end for end in range(1, len(z) + 1) if e_value(z[:end]) >= level), 0)


def test_one_look_has_a_mean_of_one_under_no_difference() -> None:
    mean, _ = integrate.quad(lambda z: e_value([z]) * stats.norm.pdf(z), -12, 14)
    assert mean == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("clusters", [1, 5, 7, 500])
def test_equal_models_reach_the_level_at_most_as_often_as_is_promised(clusters: int) -> None:
    random = np.random.default_rng(7)
    reached = sum(bool(ever(trial(random, clusters), 100)) for _ in range(600))
    assert reached <= stats.binom.isf(1e-3, 600, 0.01)


def test_a_worse_model_is_found_in_four_batches() -> None:
    """A loss of .01 of AUC on 2,000 rows at a correlation of .95 is 1.76 errors."""
    random = np.random.default_rng(8)
    found = [ever(trial(random, 500, gain=1.76), 100) for _ in range(200)]
    assert all(found)
    assert np.median(found) <= 4


def test_days_are_looked_at_five_at_a_time() -> None:
    random = np.random.default_rng(9)
    series = trial(random, 1, gain=0.5, batches=12)
    found = gathered(series)
    assert (len(found.z), found.waiting, found.rows) == (2, 2, 12)
    five = [each.value for each in series[:5]]
    assert stats.norm.sf(found.z[0]) == pytest.approx(stats.ttest_1samp(five, 0, alternative="greater").pvalue)
    assert found.estimate == pytest.approx(np.mean([each.value for each in series]))


def test_nothing_gathered_is_no_evidence() -> None:
    assert (gathered([]).e, gathered([]).waiting) == (1.0, 0)
    assert gathered([Measured(0.0, 0.0, 10, 9)]).z == (0.0,)
    assert e_value([37.0] * 50) > 1e300


def test_an_advantage_is_of_the_task() -> None:
    random = np.random.default_rng(10)
    labels = (random.random(500) < 0.3).astype(float)
    better, worse = labels * 0.5 + random.random(500), random.random(500)
    assert advantage("binary", labels, better, worse, None) == paired_auc_difference(labels, better, worse)
    truth = random.normal(size=500)
    found = advantage("regression", truth, truth + 0.5, truth + 1.0, None)
    assert found.estimate == pytest.approx(0.75), "a quarter of the squared error"
    several = np.eye(3)[random.integers(0, 3, 500)] * 0.4 + 0.2
    assert advantage("multiclass", several.argmax(axis=1).astype(float), several, several, None).estimate == 0


def test_what_is_known_of_its_error_goes_by_clusters_or_by_the_rarer_class() -> None:
    random = np.random.default_rng(11)
    labels, scores = np.zeros(300), random.random(300)
    labels[:12] = 1
    other = random.random(300)
    assert measured_advantage("binary", labels, scores, other, None).df == 11
    assert measured_advantage("binary", labels, scores, other, np.arange(300) % 7).df == 6
    one_day = measured_advantage("binary", labels, scores, other, np.zeros(300, dtype=np.int64))
    assert (one_day.df, one_day.error, one_day.rows) == (0, 0.0, 300)
