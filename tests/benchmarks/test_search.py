"""The study's parts: all methods see the same trials, and a round is learned once."""

from pathlib import Path

import pytest
from benchmarks.leak_tables import tables
from benchmarks.search import FREE, METHODS, OWN, PATIENT, TO_THE_END, study
from benchmarks.search_problem import Problem, Told

pytestmark = pytest.mark.unit


def test_a_round_is_learned_once_and_told_from_the_beginning(tmp_path: Path) -> None:
    problem = Problem(tables("diabetes")[0], 0, tmp_path)
    curve = problem.curve({"max_depth": 2})
    assert problem.curve({"max_depth": 2}) is curve
    losses = curve.upto(9)
    assert curve.upto(5) == losses[:5]
    assert (len(curve.losses), len(curve.seconds), curve.rounds.done) == (9, 9, 9)
    assert curve.cost(5) < curve.cost(9)
    told = Told(curve)
    told.add()
    assert (told.done, told.score("validation")) == (1, losses[0])


def test_no_method_finds_more_in_the_same_trials_than_there_is() -> None:
    found = study(tables("diabetes")[0], 0, trials=4)
    whole = found[TO_THE_END]
    assert found.keys() == {TO_THE_END, *METHODS, FREE}
    assert all(found[method].best >= whole.best for method in METHODS)
    assert all(found[method].rounds <= whole.rounds == 4 * 200 for method in METHODS)
    assert found[OWN].rounds <= found[PATIENT].rounds < whole.rounds
