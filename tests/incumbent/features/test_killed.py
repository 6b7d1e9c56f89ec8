"""A process killed while it builds features leaves a sound store, and the next build finishes; a release as well."""

from pathlib import Path

import pyarrow as pa
import pytest
from tests.crashes import changes, killed_at_each_point
from tests.incumbent.validate.conftest import ROWS, build_contract, read_here, small_model, write_delivery
from tests.incumbent.validate.test_killed import content, store_in

from incumbent.features.build import build_window
from incumbent.features.holds import held
from incumbent.records import Hold, Revisit, digest_of
from incumbent.store.check import check_model
from incumbent.validate import do_unanswered, ingest
from incumbent.validate.replay import accepted_now
from incumbent.validate.revisits import RELEASE, order

pytestmark = pytest.mark.unit
MONTHS = ("2020-01", "2020-02")
MODEL = small_model().model_copy(update={"sources": {k: v for k, v in small_model().sources.items() if k != "prices"}})
SQL = b"SELECT row, ts, x FROM batch"
TABLE = digest_of(SQL)[:16]
BUILT = {f"{what} of features/{TABLE}" for what in ("making", "file", "commit")} | {
    "object",
    "record pins",
    "record profiles",
    "shared record feature_builds",
}
IN_ANOTHER_UNIT = pa.array([1000.0 * row for row in range(ROWS)])


def delivered(root: Path, month: str, **columns: pa.Array) -> None:
    with read_here():
        file = write_delivery(root, month, **columns)
        assert ingest(store_in(root), MODEL, build_contract(), "events", month, file).rows == ROWS


def built(root: Path) -> None:
    """Build the months that are there: the first makes the table."""
    store = store_in(root)
    build_window(store, MODEL, store.objects.put(SQL), MONTHS[-1])


def released(root: Path) -> None:
    """Build a month that is held, release it, and build it again."""
    built(root)
    store = store_in(root)
    if held(store, "events"):
        order(store, release(root))
    do_unanswered(store, MODEL, "events", MONTHS[1])
    built(root)


def release(root: Path) -> Revisit:
    record = accepted_now(store_in(root), MODEL, "events", MONTHS[1])
    assert record is not None
    return Revisit(
        action=RELEASE,
        source="events",
        partition=MONTHS[1],
        raw_digest=record.raw_digest,
        contract_digest=record.contract_digest,
        accepted={"partition": MONTHS[1], "digest": record.digest, "rows": record.rows},
        aside={},
        rule="",
        corrections="",
        reason="the unit has changed",
        by="ann",
    )


@pytest.mark.parametrize("each_time", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_build_that_is_killed_anywhere_breaks_no_promise_and_goes_on(tmp_path: Path, each_time: bool) -> None:
    begun = tmp_path / "begun"
    for month in MONTHS:
        delivered(begun, month)
    passed = []
    for point, root in killed_at_each_point(built, tmp_path, each_time=each_time, begun=begun):
        passed.append(point)
        assert check_model(store_in(root)) == [], point
        built(root)
        assert check_model(store_in(root)) == [], point
        assert content(root) == content(tmp_path / "whole"), point
    assert changes(passed) == BUILT


@pytest.mark.parametrize("each_time", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_release_that_is_killed_anywhere_lets_the_batch_go_on_once(tmp_path: Path, each_time: bool) -> None:
    begun = tmp_path / "begun"
    delivered(begun, MONTHS[0])
    built(begun)
    delivered(begun, MONTHS[1], x=IN_ANOTHER_UNIT)
    passed = []
    for point, root in killed_at_each_point(released, tmp_path, each_time=each_time, begun=begun):
        passed.append(point)
        assert check_model(store_in(root)) == [], point
        released(root)
        store = store_in(root)
        assert check_model(store) == [], point
        assert (len(store.records.all(Hold)), held(store, "events")) == (1, []), point
        assert set(store.features(TABLE).parts()) == set(MONTHS), point
        assert content(root) == content(tmp_path / "whole"), point
    assert changes(passed) == (BUILT | {"record holds", "record revisits"}) - {f"making of features/{TABLE}"}
