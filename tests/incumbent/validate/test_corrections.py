"""Rows that a person corrected stand for those that were set aside, or are refused with what is wrong with them."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from tests.incumbent.validate.conftest import (
    ROWS,
    Command,
    Deliver,
    build_contract,
)
from tests.incumbent.validate.test_replay import MONTH, aside, ask, digest, ranged

from incumbent.config import Model
from incumbent.errors import BatchError
from incumbent.store import ModelStore
from incumbent.validate import do_unanswered
from incumbent.validate.contract import SourceContract
from incumbent.validate.revisits import unanswered

pytestmark = pytest.mark.unit


HASHED = {"dtype": "int64", "hashed": True}


def test_corrected_rows_join(store: ModelStore, small: Model, deliver: Deliver) -> None:
    deliver(ranged(14))
    corrected = json.dumps({"line": 20, "row": {"row": 19, "ts": "2020-01-01T19:00:00Z", "x": 1.5}}).encode()
    ask(store, ranged(14), corrected=corrected)
    assert do_unanswered(store, small, "events", MONTH) is not None
    assert [line for line, _ in aside(store)] == [16, 17, 18, 19]
    rows = store.batches("events").read([MONTH]).to_pylist()
    assert {row["row"]: row["x"] for row in rows}[19] == 1.5


def test_a_masked_value_stays_as_it_was_delivered_and_a_pseudonym_is_hashed_once(
    store: ModelStore, small: Model, deliver: Deliver, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    def private(high: float) -> SourceContract:
        mail = {"dtype": "string", "sensitive": True}
        return build_contract({"row": HASHED, "mail": mail, "x": {"dtype": "float64", "max": high}})

    mails = pa.array([f"{row}@x.org" for row in range(ROWS)])
    whole = deliver(private(99), mail=mails).digest
    deliver(private(14), mail=mails)
    assert command(private(14), "quarantine", "show", store.name, "events", MONTH, "--json") == 0
    shown = capsys.readouterr().out
    assert "***" in shown and "@x.org" not in shown
    ask(store, private(99), corrected=shown.encode())
    record = do_unanswered(store, small, "events", MONTH)
    assert record is not None and (record.rows, *record.masked, *record.hashed) == (ROWS, "mail", "row")
    assert digest(store) == whole


def test_values_that_no_json_number_is_stay_what_they_were(store: ModelStore, small: Model, deliver: Deliver) -> None:
    odd = [float("inf"), float("nan"), 0.1 + 0.2, *map(float, range(3, ROWS))]
    bad = build_contract({"x": {"dtype": "float64", "min": 3}})
    deliver(bad, x=pa.array(odd))
    assert len({line for line, _ in aside(store)}) == 3
    ask(store, build_contract())
    record = do_unanswered(store, small, "events", MONTH)
    assert record is not None and record.failures == {"x.finite": 2}
    assert store.batches("events").read([MONTH]).to_pylist()[0]["x"] == 0.1 + 0.2


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("no json", "this is no corrected row"),
        ('{"line": 3, "row": {"row": 1, "ts": null, "x": 1}}', "stands for none"),
        ('{"line": 16, "row": {"row": 1, "x": 1}}', "not in both: ts"),
        ('{"line": 16, "row": {"row": 1, "ts": "2020-01-01T00:00:00Z", "x": "much"}}', "does not fit its column"),
    ],
)
def test_corrected_rows_that_cannot_be_are_refused(
    store: ModelStore,
    deliver: Deliver,
    command: Command,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    line: str,
    said: str,
) -> None:
    deliver(ranged(14))
    rows = tmp_path / "rows.jsonl"
    rows.write_text(line)
    words = ("quarantine", "replay", store.name, "events", MONTH, "--reason", "r", "--rows", str(rows))
    assert command(ranged(14), *words) == 2
    assert said in capsys.readouterr().err
    assert unanswered(store, "events") == []


def test_a_hashed_value_is_not_corrected_in_the_clear(store: ModelStore, deliver: Deliver) -> None:
    contract = build_contract({"row": HASHED, "x": {"dtype": "float64", "max": 14}})
    deliver(contract)
    entry = store.quarantine("events").read([MONTH], ["row"]).to_pylist()[0]
    row = json.loads(entry["row"]) | {"row": "1234", "x": 1.0}
    with pytest.raises(BatchError, match="a hashed value cannot be corrected here") as refused:
        ask(store, contract, corrected=json.dumps({"line": 16, "row": row}).encode())
    assert "1234" not in str(refused.value)


def test_what_was_masked_when_it_came_is_not_stored_as_its_mask(
    store: ModelStore, small: Model, deliver: Deliver
) -> None:
    def contract(sensitive: bool, high: float) -> SourceContract:
        mail = {"dtype": "string", "sensitive": sensitive}
        return build_contract({"mail": mail, "x": {"dtype": "float64", "max": high}})

    mails = pa.array([f"{row}@x.org" for row in range(ROWS)])
    deliver(contract(True, 14), mail=mails)
    shown = {"line": 20, "row": {"row": 19, "ts": "2020-01-01T19:00:00Z", "mail": "***", "x": 1.0}}
    ask(store, contract(False, 14), corrected=json.dumps(shown).encode())
    assert do_unanswered(store, small, "events", MONTH) is not None
    rows = store.batches("events").read([MONTH]).to_pylist()
    assert {row["row"]: row["mail"] for row in rows}[19] == "19@x.org"
