"""Means and shares with an error that knows the clusters."""

import numpy as np
import pytest
from scipy import stats

from incumbent.stats import mean_difference, relative_difference

pytestmark = pytest.mark.unit


def test_independent_rows_give_the_paired_t_test() -> None:
    values = np.random.default_rng(1).normal(0.2, 1, 60)
    ours, peer = mean_difference(values), stats.ttest_1samp(values, 0, alternative="greater")
    assert ours.t == pytest.approx(peer.statistic)
    assert ours.p == pytest.approx(peer.pvalue)
    assert (ours.lower(0.05), np.inf) == pytest.approx(tuple(peer.confidence_interval(0.95)))


def test_equal_clusters_give_the_t_test_of_their_means() -> None:
    values = np.random.default_rng(2).normal(0.2, 1, (7, 50)) + np.arange(7)[:, None]
    ours = mean_difference(values.ravel(), np.repeat(np.arange(7), 50))
    peer = stats.ttest_1samp(values.mean(axis=1), 0, alternative="greater")
    assert (ours.clusters, ours.df) == (7, 6)
    assert ours.t == pytest.approx(peer.statistic)
    assert ours.p == pytest.approx(peer.pvalue)


def test_the_share_has_a_calibrated_error() -> None:
    rng = np.random.default_rng(5)
    estimates, covered = [], 0
    clusters = np.repeat(np.arange(25), 40)
    for _ in range(400):
        day = np.repeat(rng.gamma(2, 1, 25), 40)
        first, second = day * rng.gamma(2, 0.55, 1000), day * rng.gamma(2, 0.5, 1000)
        change = relative_difference(first, second, clusters)
        estimates.append(change.estimate)
        covered += change.lower(0.05) <= 0.1 <= change.upper(0.05)
    assert np.mean(estimates) == pytest.approx(0.1, abs=0.01)
    assert 0.86 <= covered / 400 <= 0.94


def test_what_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="two clusters"):
        mean_difference([1.0, 2.0], np.array([4, 4]))
    with pytest.raises(ValueError, match="positive second mean"):
        relative_difference([1.0, 2.0], [0.0, 0.0])
    with pytest.raises(ValueError, match="as long as the rows"):
        mean_difference([1.0, 2.0], np.array([1]))
