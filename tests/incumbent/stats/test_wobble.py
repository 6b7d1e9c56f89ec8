"""How much good batches differ is learned from them, within their season, and forgets nothing that is not known."""

import numpy as np
import pytest

from incumbent.stats.shape import moved
from incumbent.stats.wobble import PRIOR_FREEDOM, against, wobble_of

pytestmark = pytest.mark.unit
CELLS = np.arange(10)
ROWS = 20_000


def tilted(random: np.random.Generator, tilt: float, rows: int = ROWS) -> np.ndarray:
    shares = np.exp(tilt * np.linspace(-1, 1, 10))
    return random.multinomial(rows, shares / shares.sum()).astype(float)


def size_of(tilt: float) -> float:
    shares = np.exp(tilt * np.linspace(-1, 1, 10))
    return float(((shares / shares.sum() - 0.1) ** 2 / 0.1).sum())


def test_batches_of_one_urn_do_not_wobble_and_two_of_them_promise_nothing() -> None:
    random = np.random.default_rng(1)
    past = np.stack([tilted(random, 0) for _ in range(40)])
    found = wobble_of(past, np.zeros(40, int), CELLS, 1, 0.01)
    assert found.effect == pytest.approx(PRIOR_FREEDOM * 0.01 / found.freedom, abs=1e-4)
    assert found.freedom == pytest.approx(PRIOR_FREEDOM + 39, abs=0.5)
    few = wobble_of(past[:2], np.zeros(2, int), CELLS, 1, 0.01)
    assert (few.freedom, few.effect) == (pytest.approx(PRIOR_FREEDOM + 1, abs=0.1), pytest.approx(0.008, abs=1e-3))
    for none in (past[:1], past[:0], np.zeros((5, 10))):
        found = wobble_of(none, np.zeros(len(none), int), CELLS, 1, 0.01)
        assert (found.effect, found.freedom) == (0.01, PRIOR_FREEDOM)


def test_the_ordinary_effect_is_found() -> None:
    random = np.random.default_rng(2)
    tilts = random.normal(0, 0.15, 400)
    past = np.stack([tilted(random, tilt) for tilt in tilts])
    found = wobble_of(past, np.zeros(400, int), CELLS, 1, 0.01)
    assert found.effect == pytest.approx(np.mean([size_of(tilt) for tilt in tilts]), rel=0.1)


def test_partitions_that_resemble_their_neighbours_make_windows_differ_more() -> None:
    random = np.random.default_rng(3)
    alone = np.stack([tilted(random, tilt) for tilt in random.normal(0, 0.15, 400)])
    alike = np.stack([tilted(random, tilt) for tilt in np.repeat(random.normal(0, 0.15, 100), 4)])
    seasons = np.zeros(400, int)
    one, four = (wobble_of(alike, seasons, CELLS, length, 0.0).effect for length in (1, 4))
    assert four == pytest.approx(one, rel=0.2)
    assert wobble_of(alone, seasons, CELLS, 4, 0.0).effect == pytest.approx(one / 4, rel=0.4)


def test_what_differs_by_season_is_no_wobble() -> None:
    random = np.random.default_rng(4)
    seasons = np.arange(140) % 7
    past = np.stack([tilted(random, 0.3 * (season - 3)) for season in seasons])
    within = wobble_of(past, seasons, CELLS, 1, 0.0)
    assert within.effect < 1e-3
    assert wobble_of(past, np.zeros(140, int), CELLS, 1, 0.0).effect > 0.1
    assert within.freedom == pytest.approx(PRIOR_FREEDOM + 140 - 7, abs=1)


def test_a_window_is_compared_with_its_own_seasons_in_its_own_proportions() -> None:
    random = np.random.default_rng(5)
    seasons = np.arange(140) % 7
    past = np.stack([tilted(random, 0.3 * (season - 3)) for season in seasons])
    own = np.array([[5, 6, 0, 1]])
    window = np.stack(
        [tilted(random, 0.3 * (season - 3), rows) for season, rows in zip(own[0], (9000, 500, 500, 3000), strict=True)]
    )
    found = against(past, seasons, window[None], own, inside=False)
    assert moved(found.reference[0], window.sum(axis=0)).effect < 2e-3
    assert moved(past.sum(axis=0), window.sum(axis=0)).effect > 0.02
    weights = window.sum(axis=1) / window.sum()
    assert found.reference.sum() == pytest.approx(20 * ROWS / (weights**2).sum())
    assert found.shared[0] == pytest.approx((weights**2).sum() / 20)


def test_without_seasons_it_is_all_of_the_past() -> None:
    random = np.random.default_rng(6)
    past = np.stack([tilted(random, 0) for _ in range(5)])
    window = np.stack([tilted(random, 0) for _ in range(4)])
    found = against(past, np.zeros(5, int), window[None], np.zeros((1, 4), int), inside=False)
    np.testing.assert_allclose(found.reference[0], past.sum(axis=0))
    assert found.shared[0] == pytest.approx(1 / 5)


def test_of_a_season_that_was_never_seen_nothing_is_expected() -> None:
    past = np.full((3, 10), 5.0)
    found = against(past, np.array([1, 1, 2]), past[None, :1], np.array([[3]]), inside=False)
    assert found.reference.sum() == 0
