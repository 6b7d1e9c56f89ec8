"""Groups of rows by a column's values, as people may see them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from incumbent.evaluate.groups import groups_of

pytestmark = pytest.mark.unit


def found(values: list[Any], kind: pa.DataType | None = None, masked: bool = False) -> list[str]:
    """Return the name of each row's group."""
    column = pa.chunked_array([pa.array(values, kind)])
    groups = groups_of("x", column, masked)
    assert groups.codes.min(initial=0) >= 0
    return [groups.names[code] for code in groups.codes]


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["b", "a", None, "b"], ["b", "a", "no value", "b"]),
        ([3, 1, None, 3], ["3", "1", "no value", "3"]),
        ([0.5, float("nan"), None, 2.0], ["0.5", "no value", "no value", "2"]),
        ([True, False, None], ["true", "false", "no value"]),
        ([None, None], ["no value", "no value"]),
        ([], []),
    ],
)
def test_each_value_is_a_group(values: list[Any], names: list[str]) -> None:
    assert found(values, pa.string() if not any(values) and None in values and len(values) == 2 else None) == names


def test_a_number_with_many_values_has_quarters() -> None:
    names = found([*range(100), None])
    assert names[:25] == ["up to 24.75"] * 25
    assert names[25:50] == ["24.75 to 49.5"] * 25
    assert names[75:] == ["above 74.25"] * 25 + ["no value"]


def test_a_text_with_many_values_has_the_commonest() -> None:
    rare = [f"rare {number}" for number in range(40)]
    common = [f"common {number}" for number in range(19)]
    names = found([*rare, *common, *common])
    assert set(names[:40]) == {"other values"}
    assert names[40:] == [*common, *common]


@pytest.mark.parametrize("column", [["w", "m", "m", "m", None, None], [7, 5, 5, 5, None, None]])
def test_values_that_are_not_shown_are_numbered_by_their_size(column: list[Any]) -> None:
    assert found(column, masked=True) == ["group 3", "group 1", "group 1", "group 1", "group 2", "group 2"]
    assert set(found([f"somebody {number}" for number in range(30)], masked=True)) == {
        f"group {number}" for number in range(1, 21)
    }


def test_chunks_and_dictionaries_are_one_column() -> None:
    chunks = pa.chunked_array([pa.array(["a", "b"]).dictionary_encode(), pa.array(["b", None]).dictionary_encode()])
    groups = groups_of("x", chunks.cast(pa.string()), False, named=True)
    assert (groups.names, groups.codes.tolist(), groups.named) == (("a", "b", "no value"), [0, 1, 1, 2], True)
    assert np.issubdtype(groups.codes.dtype, np.integer)
