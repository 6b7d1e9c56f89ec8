"""A process killed while it scores leaves what was published before, or the whole of what it published."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
from tests.crashes import changes, killed_at, killed_at_each_point
from tests.incumbent.features.test_killed import MODEL, SQL, delivered
from tests.incumbent.validate.test_killed import content, store_in

from incumbent.features.build import build_window
from incumbent.records import GateReport, ModelVersion, Promotion, Snapshot
from incumbent.retrain.requests import finish, open_request
from incumbent.score import rows as score_rows
from incumbent.score import score
from incumbent.store import ModelStore, generation_name
from incumbent.store.check import check_model
from incumbent.store.crash_points import AT

pytestmark = pytest.mark.unit
KEY = "2020-01"
REQUEST = f"{KEY}-r1"
VERSION = b"a model"
MIDDLE = "the middle of a batch"
SCORED = {f"{what} of {table}" for what in ("making", "file", "commit") for table in ("predictions", "unscored")} | {
    "record pins",
    "record score_acts",
}


def predict(version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
    values = np.linspace(0, 1, rows.num_rows)
    values[0] = np.nan
    return values


def seated(root: Path) -> None:
    """Deliver a month, build its features, and give the seat to a version."""
    delivered(root, KEY)
    store = store_in(root)
    definition, digest = store.objects.put(SQL), store.objects.put(VERSION)
    build_window(store, MODEL, definition, KEY)
    snapshot = Snapshot("small", KEY, definition, (), (), {}, {}, "2020-01-25", "2020-01-25", "2020-02-01")
    version = ModelVersion(
        digest, "small", "xgboost", "binary", definition, snapshot.id, ("x",), {}, {}, 1, 1, "2020-01-25", {"x": 1.0}
    )
    report = GateReport("small", KEY, digest, "", 0, snapshot.id, REQUEST, "promote", (), "Promoted.")
    request, _ = open_request(store, KEY, "manual", {}, degraded=False, message="by hand")
    assert request.id == REQUEST
    for name, record in ((snapshot.id, snapshot), (digest, version), (report.id, report)):
        store.records.put(name, record)
    finish(store, REQUEST, "promote", 1, digest)
    promotion = Promotion(1, digest, 0, report.id, "promote", "first", REQUEST, KEY)
    store.records.put(generation_name(1), promotion)


def scored(root: Path) -> None:
    """Score as the schedule does, then again on purpose."""
    store = store_in(root)
    score(store, MODEL, KEY, predict, run="scheduled")
    score(store, MODEL, KEY, predict, generation=1, run="by hand")


def published(store: ModelStore) -> list[str]:
    return sorted(json.dumps(row, default=str) for row in store.predictions.read().to_pylist())


@pytest.mark.parametrize("each_time", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_scoring_that_is_killed_anywhere_is_published_once(tmp_path: Path, each_time: bool) -> None:
    begun, passed = tmp_path / "begun", []
    seated(begun)
    for point, root in killed_at_each_point(scored, tmp_path, each_time=each_time, begun=begun):
        passed.append(point)
        store = store_in(root)
        assert check_model(store) == [], point
        assert store.predictions.parts() == {} or len(published(store)) == published_rows(tmp_path), point
        scored(root)
        assert check_model(store) == [], point
        assert content(root) == content(tmp_path / "whole"), point
    assert changes(passed) == SCORED


def scored_and_killed(root: Path) -> None:
    """Score, and be killed in the middle of the second of four batches if the environment says so."""
    seen = []

    def dying(version: ModelVersion, rows: pa.Table) -> npt.NDArray[np.float64]:
        seen.append(rows.num_rows)
        if os.environ.get(AT) == MIDDLE and len(seen) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return np.zeros(rows.num_rows)

    score_rows.BATCH_ROWS = 5
    score(store_in(root), MODEL, KEY, dying)


def test_a_scoring_that_is_killed_between_its_rows_has_published_none(tmp_path: Path) -> None:
    seated(root := tmp_path / "one")
    killed_at(scored_and_killed, root, MIDDLE)
    assert store_in(root).predictions.parts() == {}
    assert check_model(store_in(root)) == []
    assert score(store_in(root), MODEL, KEY, predict).changed


def published_rows(folder: Path) -> int:
    return store_in(folder / "whole").predictions.read().num_rows
