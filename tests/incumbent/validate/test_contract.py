"""A contract that cannot be kept is refused where it is read, with the place that is to be corrected."""

from pathlib import Path

import pytest

from incumbent.errors import ConfigError
from incumbent.validate import load_contract

pytestmark = pytest.mark.unit


def test_a_key_column_that_may_be_null_is_refused_with_file_source_and_column(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(
        "sources:\n"
        "  truth: {key: [row], columns: {row: {dtype: int64}}}\n"
        "  events: {key: [row, tail], columns: {row: {dtype: int64}, tail: {dtype: string, nullable: true}}}\n"
    )
    with pytest.raises(ConfigError) as refused:
        load_contract(path)
    assert refused.value.where == f"{path}: sources.events"
    assert "key column 'tail' is nullable" in str(refused.value.expected)
