"""AUC and its errors against all pairs, a textbook DeLong, and simulation."""

import numpy as np
import pytest

from incumbent.stats import auc, auc_influence, paired_auc_difference

pytestmark = pytest.mark.unit


def all_pairs(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    positives, negatives = scores[labels == 1], scores[labels == 0]
    return (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)


def textbook_delong(labels: np.ndarray, a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """DeLong, DeLong and Clarke-Pearson 1988: S10 / m + S01 / n of the pair matrices."""
    matrices = [all_pairs(labels, scores) for scores in (a, b)]
    v10 = np.array([matrix.mean(axis=1) for matrix in matrices])
    v01 = np.array([matrix.mean(axis=0) for matrix in matrices])
    covariance = np.cov(v10) / v10.shape[1] + np.cov(v01) / v01.shape[1]
    contrast = np.array([1, -1])
    return matrices[0].mean() - matrices[1].mean(), float(np.sqrt(contrast @ covariance @ contrast))


@pytest.mark.parametrize("seed", range(5))
def test_auc_equals_all_pairs_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 300)
    scores = rng.integers(0, 12, 300) / 12 + 0.1 * labels.round()
    scores = np.round(scores, 1)
    area, psi = auc_influence(labels, scores)
    assert area == pytest.approx(all_pairs(labels, scores).mean(), abs=1e-12)
    assert auc(labels, scores) == area
    assert psi.sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_independent_rows_give_delongs_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = (rng.random(250) < 0.3).astype(float)
    a = np.round(rng.normal(labels, 1), 1)
    b = np.round(a + rng.normal(0, 0.5, 250), 1)
    difference = paired_auc_difference(labels, a, b)
    estimate, error = textbook_delong(labels, a, b)
    assert difference.estimate == pytest.approx(estimate, abs=1e-12)
    assert difference.error == pytest.approx(error, rel=1e-9)


def test_clusters_of_one_row_are_nearly_delong() -> None:
    rng = np.random.default_rng(3)
    labels = (rng.random(2000) < 0.3).astype(float)
    a, b = rng.normal(labels, 1), rng.normal(labels, 1)
    alone = paired_auc_difference(labels, a, b)
    clustered = paired_auc_difference(labels, a, b, np.arange(2000))
    assert clustered.error == pytest.approx(alone.error, rel=0.01)


def test_the_clustered_error_is_right_where_delongs_is_three_times_too_small() -> None:
    """Days whose luck is shared: the mean clustered variance meets the simulated one."""
    rng = np.random.default_rng(11)
    days, per_day = 20, 100
    clusters = np.repeat(np.arange(days), per_day)
    estimates, clustered, alone = [], [], []
    for _ in range(300):
        x, y = rng.normal(size=(2, days * per_day))
        luck = np.repeat(rng.normal(0, 1.0, days), per_day)
        labels = (rng.random(clusters.size) < 1 / (1 + np.exp(1 - x - y - luck * (x - y)))).astype(float)
        difference = paired_auc_difference(labels, x, y, clusters)
        estimates.append(difference.estimate)
        clustered.append(difference.error**2)
        alone.append(paired_auc_difference(labels, x, y).error ** 2)
    truth = np.std(estimates)
    assert abs(np.mean(estimates)) < 3 * truth / np.sqrt(300)
    assert np.sqrt(np.mean(clustered)) == pytest.approx(truth, rel=0.1)
    assert np.sqrt(np.mean(alone)) < truth / 3


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(ValueError, match="1 scores are not finite"):
        auc([0, 1], [0.1, float("nan")])
    with pytest.raises(ValueError, match="at least one row of each class"):
        auc([1, 1], [0.1, 0.2])
    with pytest.raises(ValueError, match="labels must be 0 or 1"):
        auc([0, 2], [0.1, 0.2])
    with pytest.raises(ValueError, match="equally long"):
        auc([0, 1, 1], [0.1, 0.2])


def test_identical_scores_tie_exactly() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.integers(0, 2, 100), rng.random(100)
    tie = paired_auc_difference(labels, scores, scores, np.repeat(np.arange(10), 10))
    assert (tie.estimate, tie.error, tie.t, tie.p, tie.lower(0.01)) == (0.0, 0.0, 0.0, 1.0, 0.0)
