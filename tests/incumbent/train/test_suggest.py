"""Drawing parameters: from the trials that are known, the seed and the number, and nothing else."""

from typing import Any

import numpy as np
import pytest

from incumbent.config import Range, Search
from incumbent.train.space import is_within, nearest
from incumbent.train.suggest import Space, suggest

pytestmark = pytest.mark.unit
SPACE: Space = {
    "max_depth": Range(low=3, high=10),
    "learning_rate": Range(low=0.01, high=1.0, log=True),
    "grow_policy": ("depthwise", "lossguide"),
}


def known(count: int) -> list[tuple[dict[str, Any], float]]:
    """Return trials of which the ones with a learning rate near 0.1 are the best."""
    found: list[tuple[dict[str, Any], float]] = []
    for number in range(count):
        params = suggest(SPACE, found, [], 7, number)
        found.append((params, float(abs(np.log10(params["learning_rate"]) + 1))))
    return found


def test_the_same_trials_and_number_draw_the_same_whoever_asks() -> None:
    trials = known(14)
    for known_by_then in ([], trials):
        other_order = suggest(dict(reversed(SPACE.items())), known_by_then, [], 7, 14)
        assert suggest(SPACE, known_by_then, [], 7, 14) == other_order
    assert known(14) == trials
    others = [
        suggest(SPACE, trials, [], 8, 14),
        suggest(SPACE, trials, [], 7, 15),
        suggest(SPACE, [], [], 7, 14),
    ]
    assert all(other != suggest(SPACE, trials, [], 7, 14) for other in others)


def test_what_is_drawn_lies_in_the_space_and_comes_nearer_to_what_is_good() -> None:
    trials = known(40)
    assert all(is_within(SPACE, params) for params, _ in trials)
    losses = [loss for _, loss in trials]
    assert np.median(losses[20:]) < 0.7 * np.median(losses[:10])


def test_trials_outside_the_space_are_known_to_nobody_and_refused_by_nobody() -> None:
    trials = known(12)
    outside = [({**trials[0][0], "max_depth": 20}, 0.0), ({"max_depth": 4}, 0.0)]
    assert suggest(SPACE, trials + outside, [], 7, 12) == suggest(SPACE, trials, [], 7, 12)


def test_what_has_begun_counts_too() -> None:
    trials = known(12)
    begun = [suggest(SPACE, trials, [], 7, 12)]
    assert suggest(SPACE, trials, begun, 7, 13) != suggest(SPACE, trials, [], 7, 13)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"max_depth": 6, "learning_rate": 0.3, "grow_policy": "lossguide"}, {}),
        ({"max_depth": 99, "learning_rate": 5, "grow_policy": "lossguide"}, {"max_depth": 10, "learning_rate": 1.0}),
        ({"max_depth": 6, "learning_rate": 0.3, "grow_policy": "other"}, None),
        ({"max_depth": "x", "learning_rate": 0.3, "grow_policy": "lossguide"}, None),
    ],
)
def test_nearest_point_of_the_space(params: dict[str, Any], expected: dict[str, Any] | None) -> None:
    found = nearest(SPACE, params)
    assert found == (None if expected is None else {**params, **expected})
    assert found is None or is_within(SPACE, found)


def test_the_default_space_can_be_drawn_from() -> None:
    space = Search().space_of("xgboost")
    assert is_within(space, suggest(space, [], [], 7, 0))
