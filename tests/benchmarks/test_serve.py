"""What is asked is what both servers can answer, and without the load tool nothing is claimed."""

import sys
from pathlib import Path

import pytest

from benchmarks import score_table, serve, serve_table
from incumbent.serve.online import Online
from incumbent.validate.contract import load_contract

pytestmark = pytest.mark.unit


def test_live_rows_are_answered_and_the_champion_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_table, "ROUNDS", 3)
    serve_table.build(tmp_path, 500)
    store, folder = serve_table.opened(tmp_path)
    online = Online(folder, load_contract(folder.contract_path), store, is_only=True)
    online.refresh()
    row = serve_table.live_row(3, 500)
    asked = online.parsed(serve.json.dumps({"row": row}).encode())
    assert online.from_published(asked) is None
    assert online.published.rows == 500
    before = online.seat.taken().answers([online.live_row(asked)])[0]
    serve_table.seat(tmp_path, 2)
    assert online.refresh()
    after = online.seat.taken().answers([online.live_row(asked)])[0]
    assert (before["generation"], after["generation"]) == (1, 2)
    frame = serve._frame(row)["dataframe_split"]
    assert (len(frame["columns"]), len(frame["data"][0])) == (len(score_table.FEATURES), len(score_table.FEATURES))


def test_without_the_load_tool_a_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert list(serve.measure()) == []
    assert "cannot be installed, and nothing is measured" in capsys.readouterr().out


def test_quantiles_are_of_milliseconds_and_failures_are_counted() -> None:
    answers = [(at / 1000, 200 if at else 503, "") for at in range(101)]
    assert serve._at(answers, 0.5) == pytest.approx(50)
    assert serve._at(answers, 0.99) == pytest.approx(99)
    assert serve._failed(answers) == 1
