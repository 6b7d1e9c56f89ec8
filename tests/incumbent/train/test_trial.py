"""When a trial ends: by itself, given up, or cut."""

from collections.abc import Sequence

import pytest

from incumbent.train.trial import WARM_UP, Asked, Curve, is_hopeless, learn

pytestmark = pytest.mark.unit


class Drawn:
    """Rounds whose scores are drawn beforehand."""

    metric = "logloss"

    def __init__(self, scores: Sequence[float], *, larger_is_better: bool = False) -> None:
        self._scores, self.larger_is_better, self.done = scores, larger_is_better, 0

    def add(self) -> bool:
        self.done += 1
        return True

    def score(self, rows: str) -> float:
        assert rows == "validation"
        return self._scores[self.done - 1]

    def save(self) -> bytes:
        return b""

    def finish(self, rounds: int) -> bytes:
        return b""


FAST = [0.4 + 0.3 * 0.9**count for count in range(300)]  # there after some sixty rounds
SLOW = [0.3 + 0.4 * 0.99**count for count in range(300)]  # behind for the first hundred, and better in the end
STEPS = [SLOW[count - count % 20] for count in range(300)]  # stands still for twenty rounds at a time
POOR = [0.5 + 0.2 * 0.9**count for count in range(300)]


def learned(scores: Sequence[float], best: float | None = None, patience: int | None = 20, most: int = 300) -> Curve:
    return learn(Drawn(scores), most, patience, Asked(1, "sampler", {}, best))


def test_a_trial_that_cannot_reach_the_best_is_given_up() -> None:
    assert learned(POOR).state == "complete"
    curve = learned(POOR, best=0.4)
    assert curve.state == "given_up"
    assert WARM_UP < len(curve.scores) < 150


def test_one_that_learns_slowly_is_not_given_up_for_being_behind() -> None:
    assert SLOW[100] > FAST[100]
    assert learned(SLOW, best=min(FAST)) == Curve(SLOW, "complete")


def test_one_that_stands_still_for_a_while_is_not() -> None:
    assert learned(STEPS, best=min(FAST), patience=40).state == "complete"


def test_one_that_has_too_few_rounds_left_for_its_speed_is() -> None:
    assert learned(SLOW, best=min(FAST), most=100).state == "given_up"


def test_no_trial_is_given_up_before_the_warm_up() -> None:
    assert not is_hopeless([1.0] * (WARM_UP - 1), 1, 0.1)
    assert is_hopeless([1.0] * 3 * WARM_UP, 1, 0.1)


def test_a_trial_ends_when_its_score_gets_no_better() -> None:
    scores = [0.5, 0.4, 0.45, 0.46, 0.47, 0.1]
    assert learned(scores, patience=3, most=6) == Curve(scores[:5], "complete")
    assert learned(scores, patience=None, most=6) == Curve(scores, "complete")


def test_of_a_score_that_should_be_large_the_same_holds() -> None:
    for scores, state in ((POOR, "given_up"), (SLOW, "complete")):
        rounds = Drawn([1 - score for score in scores], larger_is_better=True)
        assert learn(rounds, 300, 20, Asked(1, "sampler", {}, best=0.4 - 1)).state == state


def test_a_trial_is_cut_when_its_seconds_are_over() -> None:
    now = iter(range(1000))
    curve = learn(Drawn(SLOW), 300, 20, Asked(1, "sampler", {}, seconds=7.0), clock=lambda: float(next(now)))
    assert curve == Curve(SLOW[:7], "cut")
