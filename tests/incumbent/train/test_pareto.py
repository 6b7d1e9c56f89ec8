"""Which trials nobody beats, and which of them is taken."""

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from incumbent.records import Trial
from incumbent.train.pareto import choose_trial, pareto_set

pytestmark = pytest.mark.unit
ALL = ("quality", "latency", "size")


def trial(number: int, quality: float, latency: float = 0, size: float = 0, state: str = "complete") -> Trial:
    values = {"size": size, "quality": quality, "latency": latency}
    return Trial(number, "sampler", {}, state, 5, 9, "logloss", False, {} if state == "failed" else values, 1.0)


def auc(number: int, quality: float, size: float) -> Trial:
    return Trial(number, "sampler", {}, "complete", 5, 9, "auc", True, {"quality": quality, "size": size}, 1.0)


def test_with_quality_alone_the_best_is_taken_and_of_equals_the_first() -> None:
    trials = [trial(0, 0.5), trial(1, 0.4), trial(2, 0.4), trial(3, 0, state="failed"), trial(4, 0.401)]
    assert choose_trial(trials, ("quality",), 0.5).number == 1
    assert pareto_set(trials, ("quality",)) == (1, 2)


@pytest.mark.parametrize(("tolerance", "chosen"), [(0.0, 0), (0.01, 1), (0.03, 2), (0.5, 3)])
def test_a_little_quality_is_given_for_less_of_the_second_objective(tolerance: float, chosen: int) -> None:
    trials = [trial(0, 0.400, 90, 9), trial(1, 0.403, 50, 9), trial(2, 0.410, 20, 9), trial(3, 0.5, 1, 9)]
    assert choose_trial(trials, ALL, tolerance).number == chosen
    assert pareto_set(trials, ALL) == (0, 1, 2, 3)


def test_of_the_same_latency_the_smaller_is_taken() -> None:
    assert choose_trial([trial(0, 0.4, 7, 9), trial(1, 0.401, 7, 8)], ALL, 0.01).number == 1


def test_of_a_score_that_should_be_large_the_larger_is_better() -> None:
    trials = [auc(0, 0.80, 9), auc(1, 0.799, 5), auc(2, 0.7, 1), auc(3, 0.79, 5)]
    assert choose_trial(trials, ("quality", "size"), 0.002).number == 1
    assert choose_trial(trials, ("quality", "size"), 0.0).number == 0
    assert pareto_set(trials, ("quality", "size")) == (0, 1, 2)


TRIALS = st.lists(st.tuples(*[st.integers(0, 4).map(float)] * 3), min_size=1, max_size=12)


@given(TRIALS, st.floats(0, 0.9))
def test_the_set_is_that_of_optuna_and_the_choice_is_in_it(values: list[tuple[float, ...]], tolerance: float) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["minimize"] * 3)
    for each in values:
        study.add_trial(optuna.trial.create_trial(values=list(each)))
    trials = [trial(number, *each) for number, each in enumerate(values)]
    found = pareto_set(trials, ALL)
    assert found == tuple(sorted(each.number for each in study.best_trials))
    assert choose_trial(trials, ALL, tolerance).number in found
