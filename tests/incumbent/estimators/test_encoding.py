"""Rows become the same numbers at training and scoring, whatever their order or gaps."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from compared import Compared

from incumbent.errors import ModelError, TrainingError
from incumbent.estimators.encoding import Encoder

pytestmark = pytest.mark.unit

ROWS = pa.table(
    {
        "carrier": ["UA", "AA", None, "UA"],
        "hour": pa.array([5, None, 7, 8], pa.int64()),
        "wet": pa.array([True, False, None, True]),
    }
)


@pytest.fixture
def encoder() -> Encoder:
    return Encoder.learn(ROWS, ("carrier", "hour", "wet"))


def test_codes_are_positions_in_the_sorted_training_levels(encoder: Encoder) -> None:
    assert encoder.categories == {"carrier": ("AA", "UA")}
    assert encoder.types == ["c", "q", "q"]
    expected = [[1, 5, 1], [0, np.nan, 0], [np.nan, 7, np.nan], [1, 8, 1]]
    np.testing.assert_array_equal(encoder.matrix(ROWS), np.array(expected, dtype=np.float32))


def test_an_unseen_level_is_missing_and_not_a_neighbour(encoder: Encoder) -> None:
    rows = pa.table({"carrier": ["ZZ", "AA"], "hour": [1, 2], "wet": [True, False]})
    np.testing.assert_array_equal(encoder.matrix(rows)[:, 0], np.array([np.nan, 0], dtype=np.float32))


def test_columns_are_taken_by_name(encoder: Encoder) -> None:
    reordered = ROWS.select(["wet", "carrier", "hour"]).append_column("other", pa.array([1, 2, 3, 4]))
    np.testing.assert_array_equal(encoder.matrix(reordered), encoder.matrix(ROWS))


def test_a_missing_feature_is_named(encoder: Encoder) -> None:
    with pytest.raises(ModelError) as caught:
        encoder.matrix(ROWS.drop_columns(["hour"]))
    assert caught.value.where == "feature hour"


def test_a_number_that_became_text_is_refused(encoder: Encoder) -> None:
    rows = ROWS.set_column(1, "hour", pa.array(["5", "6", "7", "8"]))
    with pytest.raises(ModelError) as caught:
        encoder.matrix(rows)
    assert (caught.value.where, caught.value.expected) == ("feature hour", "a number")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (np.inf, "1 infinite and 0 larger values"),
        (-np.inf, "1 infinite and 0 larger values"),
        (-3.5e38, "0 infinite and 1 larger values"),
    ],
)
def test_an_infinite_value_names_its_column(value: float, found: str) -> None:
    rows = pa.table({"speed": [1.0, value, 3.0]})
    with pytest.raises(TrainingError) as caught:
        Encoder.learn(rows, ("speed",)).matrix(rows)
    assert caught.value.where == "feature speed"
    assert caught.value.found == found


def test_the_largest_number_that_estimators_take_is_taken() -> None:
    rows = pa.table({"speed": [float(np.finfo(np.float32).max)]})
    assert Encoder.learn(rows, ("speed",)).matrix(rows)[0, 0] == np.finfo(np.float32).max


def test_many_columns_are_found_without_comparing_each_with_each() -> None:
    names = tuple(Compared(f"f{number}") for number in range(300))
    rows = pa.table({f"f{number}": [1.0] for number in range(300)})
    Compared.times = 0
    assert Encoder(names, {}).matrix(rows).shape == (1, 300)
    assert Compared.times < 10 * 300
