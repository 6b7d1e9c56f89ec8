"""An erasure that is killed is finished by the same call, wherever it was."""

from pathlib import Path

import pytest
from tests.crashes import changes, killed_at_each_point
from tests.incumbent.erase.conftest import (
    MODEL,
    PERSON,
    SQL,
    blobs_with,
    contract_at,
    deliver,
    events,
    everyday,
    seat,
)

from incumbent.erase import erase
from incumbent.store import ModelStore, Store
from incumbent.store.check import check_model
from incumbent.store.check_removals import FINISHED, GONE

pytestmark = pytest.mark.unit


def short_life(folder: Path) -> None:
    """Fill a store with one delivery, its features, and the predictions of a champion."""
    store = store_in(folder)
    deliver(store, folder, "prices", "", price=[1, 2, 3])
    deliver(store, folder, "events", "2020-01", **events())
    deliver(store, folder, "truth", "2020-01", customer=[PERSON], late=[True])
    definition = store.objects.put(SQL)
    seat(store, definition)
    everyday(store, "2020-01")


def store_in(root: Path) -> ModelStore:
    return Store(root / "store").model("small")


def erased(root: Path) -> None:
    """Erase the person from a store that has lived."""
    erase(store_in(root), MODEL, contract_at(root), [f"customer={PERSON}"], "asked to")


@pytest.mark.parametrize("each_time", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_killed_anywhere_the_next_call_finishes(tmp_path: Path, each_time: bool) -> None:
    (tmp_path / "lived").mkdir()
    short_life(tmp_path / "lived")
    passed = []
    for point, root in killed_at_each_point(erased, tmp_path, each_time=each_time, begun=tmp_path / "lived"):
        passed.append(point)
        broken = {violation.promise for violation in check_model(store_in(root))}
        assert broken <= {FINISHED, GONE}, point
        erased(root)
        assert check_model(store_in(root)) == [], point
        assert blobs_with(store_in(root), PERSON) == [], point
        assert not everyday(store_in(root), "2020-01"), point
    assert {"record erasures", "record removals", "record pins", "record profiles"} < changes(passed)
    assert {"commit of predictions", "removal of file of batches/events"} < changes(passed)
