"""A process killed while it takes a snapshot, or takes away what nothing needs, leaves a store that goes on."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.crashes import changes, killed_at_each_point
from tests.incumbent.erase.conftest import SQL as LIVED_SQL
from tests.incumbent.erase.conftest import lived
from tests.incumbent.snapshot.conftest import MODEL, SQL, built, deliver
from tests.incumbent.validate.conftest import read_here
from tests.incumbent.validate.test_killed import content, store_in

from incumbent.records import Snapshot, digest_of
from incumbent.retrain.requests import MANUAL, open_request
from incumbent.snapshot import take
from incumbent.store.check import check_model
from incumbent.store.vacuum import vacuum

pytestmark = pytest.mark.unit
MONTHS = ("2020-01", "2020-02")


def taken(root: Path) -> None:
    """Ask for a training, and take what it sees."""
    store = store_in(root)
    request, _ = open_request(store, MONTHS[-1], MANUAL, {}, degraded=False, message="m")
    take(store, MODEL, store.objects.put(SQL), MONTHS[-1], request.id, {})


def cleaned(root: Path) -> None:
    """Take away, the day after tomorrow, all that nothing needs then."""
    vacuum(store_in(root), 0, datetime.now(UTC) + timedelta(days=2))


@pytest.mark.parametrize("each_time", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_snapshot_that_is_killed_anywhere_is_taken_once(tmp_path: Path, each_time: bool) -> None:
    begun = tmp_path / "begun"
    for month in MONTHS:
        deliver(store_in(begun), month)
        built(store_in(begun), month)
    passed = []
    for point, root in killed_at_each_point(taken, tmp_path, each_time=each_time, begun=begun):
        passed.append(point)
        assert check_model(store_in(root)) == [], point
        taken(root)
        assert check_model(store_in(root)) == [], point
        assert content(root) == content(tmp_path / "whole"), point
    assert changes(passed) == {"record requests", "object", "record snapshots", "record pins"}
    assert len(store_in(tmp_path / "whole").records.names(Snapshot.kind)) == 1


@pytest.mark.parametrize("each_time", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_vacuum_that_is_killed_anywhere_is_finished_by_the_next(tmp_path: Path, each_time: bool) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    with read_here():
        lived(store_in(begun), begun)
    passed = []
    for point, root in killed_at_each_point(cleaned, tmp_path, each_time=each_time, begun=begun):
        passed.append(point)
        assert check_model(store_in(root)) == [], point
        cleaned(root)
        assert check_model(store_in(root)) == [], point
        assert content(root) == content(tmp_path / "whole"), point
    tables = ("batches/events", "quarantine/events", f"features/{digest_of(LIVED_SQL)[:16]}", "predictions")
    assert changes(passed) == {"record removals", *(f"removal of file of {table}" for table in tables)}
