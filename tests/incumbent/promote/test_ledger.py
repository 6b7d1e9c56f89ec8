"""The ledger has one winner per generation, forgets nothing and repeats nothing."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from incumbent.errors import ConfigError, StoreError
from incumbent.promote import champion, ledger, promote, rollback
from incumbent.records import GateReport, ModelVersion
from incumbent.store import Store
from incumbent.store.check import check_model
from incumbent.store.check_ledger import check_ledger

pytestmark = pytest.mark.unit


def test_promoted_then_already_then_stale(seat: Any) -> None:
    first, rival = seat.report("a"), seat.report("b")
    outcome = promote(seat.store, first, "cold start", "2013-01", approved_by="ann")
    assert outcome.kind == "promoted"
    assert champion(seat.store) == outcome.promotion
    assert (outcome.promotion.generation, outcome.promotion.previous) == (1, 0)
    assert outcome.promotion.request == "request-a"
    assert promote(seat.store, first, "other words", "2013-09") == replace(outcome, kind="already")
    stale = promote(seat.store, rival, "drift", "2013-01")
    assert (stale.kind, stale.promotion) == ("stale", None)
    assert len(ledger(seat.store)) == 1
    assert check_ledger(seat.store) == check_model(seat.store) == []


@pytest.mark.parametrize("verdict", ["reject", "insufficient_evidence"])
def test_without_passed_gates_nothing_is_written(seat: Any, verdict: str) -> None:
    assert promote(seat.store, seat.report("a", verdict), "wish", "2013-01").kind == "not_passed"
    assert ledger(seat.store) == []


def test_an_old_report_never_takes_the_seat_back(seat: Any) -> None:
    """A run of last spring, cleared and run again, leaves today's champion alone."""
    spring = seat.report("spring")
    promote(seat.store, spring, "spring", "2013-03")
    today = promote(seat.store, seat.report("autumn"), "autumn", "2013-09").promotion
    assert promote(seat.store, spring, "spring", "2013-03").kind == "already"
    assert champion(seat.store) == today


def test_evidence_that_is_not_there_is_refused(seat: Any) -> None:
    report = seat.report("a")
    with pytest.raises(StoreError, match="the gate report is not recorded"):
        promote(seat.store, replace(report, sentence="never recorded"), "x", "2013-01")
    ahead = replace(report, champion_generation=4, champion="f" * 64)
    seat.store.records.put(ahead.id, ahead)
    with pytest.raises(StoreError, match="does not hold the champion"):
        promote(seat.store, ahead, "x", "2013-01")
    seat.store.objects.blobs.path(seat.store.objects.key(report.candidate)).write_bytes(b"altered")
    with pytest.raises(StoreError, match="other content"):
        promote(seat.store, report, "x", "2013-01")
    assert ledger(seat.store) == []


def race(root: str, report: dict[str, Any], start: float) -> str:
    store = Store(root).model("flights_delay")
    time.sleep(max(start - time.time(), 0))
    return promote(store, GateReport.from_json(report), "race", "2013-02").kind


def test_of_sixteen_processes_exactly_one_wins(seat: Any, tmp_path: Path) -> None:
    promote(seat.store, seat.report("a"), "cold start", "2013-01")
    reports = [seat.report(f"racer{number}") for number in range(16)]
    with ProcessPoolExecutor(16) as pool:
        start = time.time() + 2.0
        kinds = [
            future.result()
            for future in [pool.submit(race, str(tmp_path), report.to_json(), start) for report in reports]
        ]
    assert sorted(kinds) == ["promoted"] + ["stale"] * 15
    assert champion(seat.store).version == reports[kinds.index("promoted")].candidate
    assert check_ledger(seat.store) == []


def test_rollback_is_a_new_generation_that_cites_the_old_report(seat: Any) -> None:
    old, new = seat.report("a"), None
    promote(seat.store, old, "cold start", "2013-01")
    new = seat.report("b")
    promote(seat.store, new, "better", "2013-02")
    entry = rollback(seat.store, 1, "complaints", approved_by="ann")
    assert (entry.generation, entry.previous, entry.action) == (3, 2, "rollback")
    assert (entry.version, entry.gate_report) == (old.candidate, old.id)
    assert rollback(seat.store, 1, "retried") == entry
    assert champion(seat.store) == entry
    assert promote(seat.store, new, "again", "2013-02").kind == "already"
    assert promote(seat.store, seat.report("c", against=2), "gated before it", "2013-03").kind == "stale"
    assert check_ledger(seat.store) == check_model(seat.store) == []
    with pytest.raises(ConfigError, match="no such generation") as caught:
        rollback(seat.store, 9, "typo")
    assert str(seat.store.records.blobs.folder / "promotions") in caught.value.next_step


def pins(seat: Any) -> list[str]:
    return [name for name in seat.store.records.names("pins") if name.startswith("rollback-")]


def test_a_rollback_run_that_is_cleared_changes_nothing(seat: Any) -> None:
    """Also after a promotion, when its version holds the seat no more."""
    for name in ("a", "b"):
        promote(seat.store, seat.report(name), "better", "2013-02")
    entry = rollback(seat.store, 1, "complaints", run="manual__1")
    assert entry.generation == 3
    promote(seat.store, seat.report("c"), "better", "2013-03")
    assert rollback(seat.store, 1, "complaints", run="manual__1") == entry
    assert (champion(seat.store).generation, len(pins(seat))) == (4, 1)
    assert rollback(seat.store, 1, "again", run="manual__2").generation == 5, "another run is another rollback"
    assert check_ledger(seat.store) == check_model(seat.store) == []


def test_a_rollback_that_found_nothing_to_do_stays_so(seat: Any) -> None:
    promote(seat.store, seat.report("a"), "cold start", "2013-01")
    assert rollback(seat.store, 1, "hasty", run="manual__1").generation == 1
    promote(seat.store, seat.report("b"), "better", "2013-02")
    assert rollback(seat.store, 1, "hasty", run="manual__1").generation == 1
    assert champion(seat.store).generation == 2


def test_a_crash_between_ledger_and_pin_makes_no_second_generation(seat: Any) -> None:
    for name in ("a", "b"):
        promote(seat.store, seat.report(name), "better", "2013-02")
    entry = rollback(seat.store, 1, "complaints", run="manual__1")
    (pin,) = pins(seat)
    seat.store.records.blobs.path(seat.store.records.key("pins", pin)).unlink()
    promote(seat.store, seat.report("c"), "better", "2013-03")
    assert rollback(seat.store, 1, "complaints", run="manual__1") == entry
    assert (champion(seat.store).generation, pins(seat)) == (4, [pin])


def test_check_names_every_broken_promise(seat: Any) -> None:
    report = seat.report("a")
    promote(seat.store, report, "cold start", "2013-01")
    good = seat.report("b")
    promote(seat.store, good, "better", "2013-02")
    records = seat.store.records
    assert check_ledger(seat.store) == []

    path = records.blobs.path(records.key("promotions", "000002"))
    kept = path.read_bytes()
    for field, value, promise in (
        ("gate_report", "0" * 64, "nothing is promoted without passed gates"),
        ("version", report.candidate, "nothing is promoted without passed gates"),
        ("action", "rollback", "a rollback cites"),
        ("previous", 0, "generations are 1, 2, 3"),
    ):
        path.unlink()
        records.put_plain("promotions", "000002", {**records_plain(kept), field: value})
        assert promise in check_ledger(seat.store)[0].promise, field
    path.rename(path.with_name("000003.json"))
    assert any("without gaps" in violation.promise for violation in check_ledger(seat.store))
    path.with_name("000003.json").unlink()

    rejected = seat.report("c", "reject", against=1)
    records.put_plain(
        "promotions", "000002", {**records_plain(kept), "gate_report": rejected.id, "version": rejected.candidate}
    )
    assert "verdict reject" in check_ledger(seat.store)[0].found
    path.unlink()
    path.write_bytes(kept)
    seat.store.objects.blobs.path(seat.store.objects.key(good.candidate)).write_bytes(b"altered")
    assert [violation.where for violation in check_ledger(seat.store)] == ["promotions/000002"]
    records.blobs.remove(records.key(ModelVersion.kind, good.candidate))
    assert "record is missing" in check_ledger(seat.store)[0].found


def records_plain(data: bytes) -> dict[str, Any]:
    import json

    return json.loads(data)
