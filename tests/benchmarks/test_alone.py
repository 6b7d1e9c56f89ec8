"""What is timed is twenty columns, and commands that come to a verdict."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks import alone

pytestmark = pytest.mark.unit


def test_the_commands_come_to_a_verdict_on_twenty_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "TRIES", 1)
    alone.write(tmp_path, 3000)
    assert pq.read_table(tmp_path / "a.parquet").num_columns == 20
    for command in alone.COMMANDS.values():
        wall, processor = alone.timed(command, tmp_path)
        assert wall > 0 and processor > 0
    with pytest.raises(RuntimeError, match=r"nothing\.parquet"):
        alone.timed("leaks nothing.parquet --target y", tmp_path)
