"""Rows on both sides of a split are counted and shown."""

import pyarrow as pa
import pytest

from incumbent.errors import ConfigError
from incumbent.leaks import key_overlap

pytestmark = pytest.mark.unit
TRAIN = pa.table({"id": [1, 2, 2, None], "site": ["a", "a", "b", "c"], "day": [1, 2, 3, 4]})


def test_shared_keys_are_counted_by_row() -> None:
    test = pa.table({"id": [2, 2, 9, None], "site": ["b", "b", "a", "c"], "day": [4, 5, 6, 7]})
    found = key_overlap(TRAIN, test, ["id", "site"])
    assert (found.train, found.test, found.shared, found.rows, found.share) == (3, 2, 1, 2, 0.5)
    assert (found.examples, found.late_train, found.clean) == (("2, b",), None, False)
    assert key_overlap(TRAIN, test.slice(2), ["id"]).clean


def test_training_rows_as_new_as_test_rows_are_counted() -> None:
    later, beside = (pa.table({"id": [8, 9], "day": days}) for days in ([5, 6], [4, 9]))
    assert key_overlap(TRAIN, later, ["id"], "day").clean
    found = key_overlap(TRAIN, beside, ["id"], "day")
    assert (found.late_train, found.rows, found.clean) == (1, 0, False)


@pytest.mark.parametrize(
    ("test", "keys", "words"),
    [
        (pa.table({"x": [1]}), ["id"], "key column is missing"),
        (pa.table({"id": ["1"]}), ["id"], "two types"),
        (TRAIN, [], "no key is given"),
    ],
)
def test_keys_that_cannot_be_compared_are_an_error(test: pa.Table, keys: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        key_overlap(TRAIN, test, keys)
