"""An existing cluster is used by configuration alone; a node that is lost for good costs rounds, or a worker."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import REQUEST, checkpointed, small_model, small_settings, small_store
from tests.ray_cluster import Cluster, two_nodes

from incumbent.embedded.settings import Settings
from incumbent.errors import TrainingError, UnavailableError
from incumbent.estimators import predictor
from incumbent.features.rows import feature_rows
from incumbent.records import ModelVersion
from incumbent.store import ModelStore
from incumbent.train.stage import train_candidate

pytestmark = [pytest.mark.ray, pytest.mark.slow]
ROWS = 150_000  # two row groups of training rows
FIT: dict[str, Any] = {"launcher": "ray", "workers": 2, "rounds": 300, "checkpoint_every": 10}
TOLERANCE = 1e-5  # of a probability: one worker and two add up the same numbers in another order


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with two_nodes() as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    return small_settings(tmp_path, INCUMBENT_RAY_ADDRESS=cluster.address)


def predictions(store: ModelStore, digest: str) -> Any:
    version = store.records.get(ModelVersion, digest)
    return predictor(store)(version, feature_rows(store, version.definition, ["2020-01"]))


def test_two_nodes_share_a_fit_that_gives_the_predictions_of_one_process(tmp_path: Path, settings: Settings) -> None:
    store, snapshot = small_store(tmp_path / "store", ROWS)
    shared = train_candidate(store, small_model(**FIT), snapshot, REQUEST, settings)
    assert (shared.launcher, shared.workers, shared.rounds) == ("ray", 2, 300)
    assert shared.layout == "cpu, 2 workers of 1 thread"
    alone = train_candidate(
        store, small_model(**{**FIT, "workers": 1, "launcher": "process"}), snapshot, "2020-01-r2", settings
    )
    difference = np.abs(predictions(store, shared.version) - predictions(store, alone.version))
    assert difference.max() < TOLERANCE


def test_a_wrong_token_is_refused_with_the_remedy(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "wrong")
    store, snapshot = small_store(tmp_path / "store")
    with pytest.raises(UnavailableError, match="refuses the token"):
        train_candidate(store, small_model(**FIT), snapshot, REQUEST, settings)


def test_a_demanded_gpu_that_no_node_has_fails_in_seconds_and_for_good(tmp_path: Path, settings: Settings) -> None:
    store, snapshot = small_store(tmp_path / "store")
    started = time.monotonic()
    with pytest.raises(TrainingError, match="a GPU is demanded"):
        train_candidate(store, small_model(**FIT, device="cuda"), snapshot, REQUEST, settings)
    assert time.monotonic() - started < 60


def test_more_workers_than_the_cluster_has_room_for_are_refused(tmp_path: Path, settings: Settings) -> None:
    store, snapshot = small_store(tmp_path / "store", ROWS)
    with pytest.raises(UnavailableError, match="no room for the workers"):
        train_candidate(store, small_model(**FIT, cpus_per_worker=2), snapshot, REQUEST, settings)


def test_a_node_that_is_lost_for_good_is_done_without_where_that_is_allowed(
    tmp_path: Path, cluster: Cluster, settings: Settings
) -> None:
    store, snapshot = small_store(tmp_path / "store", ROWS)
    lost: list[int] = []

    def lose() -> None:
        while checkpointed(store) < 50:
            time.sleep(0.02)
        lost.append(checkpointed(store))
        cluster.lose_second()

    losing = threading.Thread(target=lose)
    losing.start()
    training = train_candidate(store, small_model(**FIT, min_workers=1), snapshot, REQUEST, settings)
    losing.join()
    assert (training.workers, training.rounds) == (1, 300)
    assert training.resumed_from is not None
    assert training.resumed_from >= lost[0]
    assert not training.exact_resume, "sums of floats depend on the number of workers, and the record says so"
    undisturbed = train_candidate(store, small_model(**{**FIT, "workers": 1}), snapshot, "2020-01-r2", settings)
    difference = np.abs(predictions(store, training.version) - predictions(store, undisturbed.version))
    assert difference.max() < TOLERANCE
    assert os.environ["RAY_AUTH_MODE"] == "token"
