"""Rows that were set aside are judged again when a person asks, and what is good joins its batch, once."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.crashes import killed_at_each_point
from tests.incumbent.validate.conftest import (
    ROWS,
    Command,
    Deliver,
    Write,
    build_contract,
    read_here,
    small_model,
    write_delivery,
)
from tests.incumbent.validate.test_killed import content, store_in

from incumbent.cli import quarantine
from incumbent.config import Model
from incumbent.errors import BatchError, StoreError
from incumbent.records import Part, Revisit
from incumbent.store import ModelStore
from incumbent.store.check import check_model
from incumbent.store.tables import Table
from incumbent.validate import do_unanswered, ingest
from incumbent.validate.contract import SourceContract
from incumbent.validate.replay import replay_of
from incumbent.validate.revisits import answer, order, unanswered

pytestmark = pytest.mark.unit
MONTH = "2020-01"
TWICE = pa.array([0, 0, *range(2, ROWS)], pa.int64())


def ranged(high: float, **given: Any) -> SourceContract:
    return build_contract({"x": {"dtype": "float64", "min": 0, "max": high}}, **given)


def ask(store: ModelStore, contract: SourceContract, rule: str = "", corrected: bytes = b"", why: str = "r") -> Revisit:
    model = small_model()
    revisit = replay_of(store, model, contract, "events", MONTH, rule=rule, corrections=corrected, reason=why, by="ann")
    return order(store, revisit)[0]


def aside(store: ModelStore) -> list[tuple[int, str]]:
    rows = store.quarantine("events").read([MONTH], ["line", "rule"]).to_pylist()
    return [(row["line"], row["rule"]) for row in rows]


def digest(store: ModelStore) -> str:
    return store.batches("events").parts()[MONTH].digest


def test_a_wider_contract_gives_what_the_file_would_have_given(
    store: ModelStore, small: Model, deliver: Deliver, contract: Any
) -> None:
    whole = deliver(ranged(100)).digest
    # Gives the same rows as the next one, and another quarantine.
    deliver(ranged(14), x=pa.array([*map(float, range(ROWS - 1)), 19.5]))
    deliver(ranged(14))
    assert (store.batches("events").parts()[MONTH].rows, len(aside(store))) == (15, 5)
    revisit = ask(store, ranged(100))
    record = do_unanswered(store, small, "events", MONTH)
    assert record is not None and (record.rows, record.quarantined) == (ROWS, 0)
    assert (digest(store), aside(store)) == (whole, [])
    assert (answer(store, revisit) or {})["verdict"] == "done"
    assert check_model(store) == []


def test_a_replay_is_done_once_and_the_file_does_not_undo_it(
    store: ModelStore, small: Model, deliver: Deliver, write: Write
) -> None:
    deliver(ranged(14))
    ask(store, ranged(100))
    assert do_unanswered(store, small, "events", MONTH) is not None
    replayed = digest(store)
    assert do_unanswered(store, small, "events", MONTH) is None
    for again in (ranged(14), ranged(100), ranged(16)):  # a cleared run, also under another contract
        assert ingest(store, small, again, "events", MONTH, write()).digest == replayed
    assert digest(store) == replayed


def test_the_same_may_be_asked_for_again_once_the_file_is_back(
    store: ModelStore, small: Model, deliver: Deliver
) -> None:
    deliver(ranged(14))
    asked = ask(store, ranged(100))
    assert ask(store, ranged(100)) == asked, "it waits already"
    do_unanswered(store, small, "events", MONTH)
    replayed = digest(store)
    deliver(ranged(14), x=pa.array([1.0] * ROWS))
    deliver(ranged(14))
    assert ask(store, ranged(100)).number == 2
    do_unanswered(store, small, "events", MONTH)
    assert (digest(store), check_model(store)) == (replayed, [])


def test_only_rows_of_a_rule_are_replayed_and_rows_that_were_accepted_stay(
    store: ModelStore, small: Model, deliver: Deliver
) -> None:
    deliver(ranged(14), row=TWICE)
    assert aside(store) == [(1, "key.unique"), (2, "key.unique"), *((line, "x.range") for line in range(16, 21))]
    narrow = build_contract({"x": {"dtype": "float64", "min": 10, "max": 17}})  # sets accepted rows aside, if asked
    ask(store, narrow, rule="x.range")
    record = do_unanswered(store, small, "events", MONTH)
    assert record is not None and (record.rows, record.quarantined) == (16, 4)
    assert aside(store) == [(1, "key.unique"), (2, "key.unique"), (19, "x.range"), (20, "x.range")]
    assert record.failures == {"key.unique": 2, "x.range": 2}


def test_a_row_whose_key_was_accepted_meanwhile_stays_aside(store: ModelStore, small: Model, deliver: Deliver) -> None:
    deliver(ranged(14))
    corrected = json.dumps({"line": 20, "row": {"row": 0, "ts": "2020-01-01T00:00:00Z", "x": 1.0}}).encode()
    ask(store, ranged(14), corrected=corrected)
    record = do_unanswered(store, small, "events", MONTH)
    assert record is not None and (record.rows, (20, "key.unique") in aside(store)) == (15, True)


def test_other_rows_that_came_since_leave_nothing_to_replay(store: ModelStore, small: Model, deliver: Deliver) -> None:
    deliver(ranged(14))
    revisit = ask(store, ranged(100))
    new = deliver(ranged(14), x=pa.array([1.0] * ROWS))
    assert do_unanswered(store, small, "events", MONTH) == new
    assert (answer(store, revisit) or {})["verdict"] == "stale"
    assert (digest(store), unanswered(store, "events"), check_model(store)) == (new.digest, [], [])


def test_a_delivery_that_comes_during_a_replay_keeps_its_own_rows_aside(
    store: ModelStore, small: Model, deliver: Deliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(ranged(14))
    ask(store, ranged(100))
    prepare = Table.prepare

    def slow(table: Table, partition: str, rows: Any) -> Part:
        if table.name == "quarantine/events":
            monkeypatch.undo()
            deliver(ranged(14), x=pa.array([99.0, *[1.0] * (ROWS - 1)]))
        return prepare(table, partition, rows)

    monkeypatch.setattr(Table, "prepare", slow)
    do_unanswered(store, small, "events", MONTH)
    assert (aside(store), check_model(store)) == ([(1, "x.range")], [])


def test_an_expectation_of_the_users_own_decides_over_the_whole_batch(
    store: ModelStore, small: Model, deliver: Deliver
) -> None:
    deliver(ranged(14))
    before, mean = (
        digest(store),
        {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "x", "max_value": 8}},
    )
    revisit = ask(store, ranged(100, expectations=[mean]))
    with pytest.raises(BatchError, match="would not hold"):
        do_unanswered(store, small, "events", MONTH)
    assert (answer(store, revisit) or {})["verdict"] == "stopped"
    assert digest(store) == before


def replayed(root: Path) -> None:
    """Deliver a file with bad rows, then replay them under a wider contract."""
    store = store_in(root)
    with read_here():
        ingest(store, small_model(), ranged(14), "events", MONTH, write_delivery(root))
    if not store.records.names(Revisit.kind):
        ask(store, ranged(100))
    do_unanswered(store, small_model(), "events", MONTH)


@pytest.mark.parametrize("each_time", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_killed_anywhere_the_next_run_finishes_it(tmp_path: Path, each_time: bool) -> None:
    for point, root in killed_at_each_point(replayed, tmp_path, each_time=each_time):
        assert check_model(store_in(root)) == [], point
        replayed(root)  # the next run; what this process keeps in memory is of other folders
        assert check_model(store_in(root)) == [], point
        assert content(root) == content(tmp_path / "whole"), point


def test_the_commands_say_what_a_replay_gives_and_ask_for_it(
    store: ModelStore, deliver: Deliver, command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(ranged(14))
    words = (store.name, "events", MONTH)
    assert command(ranged(14), "quarantine", "list", store.name) == 0
    assert "2020-01      x.range 5" in capsys.readouterr().out
    assert command(ranged(14), "quarantine", "show", *words, "--limit", "1") == 0
    shown = capsys.readouterr().out
    assert 'row 16, key {"row":15}: x.range, outside 0 to 14, x = 15.0' in shown and "1 of 5 entries" in shown
    assert command(ranged(14), "quarantine", "replay", *words, "--reason", "no change") == 1
    assert "rows that are good now: 0; that stay set aside: 5: x.range 5" in capsys.readouterr().out
    assert command(ranged(17), "quarantine", "replay", *words, "--reason", "try", "--dry-run") == 0
    assert unanswered(store, "events") == []
    assert command(ranged(17), "quarantine", "replay", *words, "--reason", "two units more") == 0
    assert "rows that are good now: 3; that stay set aside: 2: x.range 2" in capsys.readouterr().out
    assert [each.reason for each in unanswered(store, "events")] == ["two units more"]
    assert do_unanswered(store, small_model(), "events", MONTH) is not None

    assert command(ranged(17), "quarantine", "show", *words, "--json") == 0
    entries = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for entry in entries:
        entry["row"]["x"] = 17
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(json.dumps(entry) for entry in entries))
    assert command(ranged(17), "quarantine", "replay", *words, "--reason", "typed wrong", "--rows", str(rows)) == 0
    assert "rows that are good now: 2; that stay set aside: 0" in capsys.readouterr().out
    do_unanswered(store, small_model(), "events", MONTH)
    assert command(ranged(17), "batch", "show", store.name, MONTH) == 0
    assert "(typed wrong): done. Replayed 2 rows into events 2020-01, 0 stay" in capsys.readouterr().out
    assert command(ranged(17), "quarantine", "show", *words) == 2


def test_the_same_order_is_not_given_again_when_it_was_done_meanwhile(
    store: ModelStore,
    deliver: Deliver,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    deliver(ranged(14))
    ask(store, ranged(17))
    tried = quarantine._tried

    def slow(*given: Any) -> Any:
        found = tried(*given)
        do_unanswered(store, small_model(), "events", MONTH)
        return found

    monkeypatch.setattr(quarantine, "_tried", slow)
    assert command(ranged(17), "quarantine", "replay", store.name, "events", MONTH, "--reason", "r") == 1
    assert "have changed since they were judged here" in capsys.readouterr().out
    assert len(store.records.names(Revisit.kind)) == 2, "one order and its answer"


def test_an_order_that_cannot_be_carried_out_is_answered(store: ModelStore, small: Model, deliver: Deliver) -> None:
    deliver(ranged(14))
    other = build_contract({"x": {"dtype": "int64"}})  # the table's x is float64
    revisit = ask(store, other)
    with pytest.raises(StoreError, match="other columns than the table"):
        do_unanswered(store, small, "events", MONTH)
    assert (answer(store, revisit) or {})["verdict"] == "stopped"
    assert do_unanswered(store, small, "events", MONTH) is None, "what comes next is not held up"


def test_such_an_order_is_not_even_written(
    store: ModelStore, deliver: Deliver, command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(ranged(14))
    other = build_contract({"x": {"dtype": "int64"}})
    assert command(other, "quarantine", "replay", store.name, "events", MONTH, "--reason", "r") == 3
    assert "other columns than the table" in capsys.readouterr().err
    assert unanswered(store, "events") == []
