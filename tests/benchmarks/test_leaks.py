"""The study's parts: a table is drawn anew by each seed, and a leak is planted beside its columns."""

import numpy as np
import pytest
from benchmarks.leak_plants import PLANTS, plant
from benchmarks.leak_tables import tables
from benchmarks.leaks import METHODS, Try, honest_named, missed

pytestmark = pytest.mark.unit


def test_a_seed_draws_the_same_rows_and_plants_the_same_leak() -> None:
    (iris,) = tables("iris")
    assert iris.draw(1).equals(iris.draw(1))
    assert not iris.draw(1).equals(iris.draw(2))
    for kind in PLANTS:
        rows = plant(iris.draw(1), kind, 1)
        assert rows.equals(plant(iris.draw(1), kind, 1))
        assert rows.drop(columns="planted").equals(iris.draw(1))
        assert rows["planted"].notna().all()


def test_an_encoding_holds_the_mean_label_of_its_rows() -> None:
    (diabetes,) = tables("diabetes")
    rows = plant(diabetes.draw(0), "target encoding", 0)
    assert np.allclose(rows.groupby("planted")["label"].mean(), sorted(rows["planted"].unique()))


def test_figures_are_shares_of_leaks_missed_and_of_honest_columns_named() -> None:
    tries = [Try("t", "copy", METHODS[0], found, named, 10) for found, named in ((True, ()), (False, ("x",)))]
    assert missed(tries, "copy", METHODS[0]) == 0.5
    assert honest_named(tries, METHODS[0]) == 1 / 20
