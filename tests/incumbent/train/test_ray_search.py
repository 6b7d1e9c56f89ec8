"""A real Ray head: trials side by side, one of their actors killed, the same search as in one process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest
from small_training import REQUEST, small_model, small_settings, small_store

from incumbent.cluster.jobs import find_jobs
from incumbent.embedded import processes, ray_head
from incumbent.embedded.settings import Settings
from incumbent.errors import TrainingError
from incumbent.records import ModelVersion, Search, Trial
from incumbent.store import ModelStore
from incumbent.store.check import check_model
from incumbent.train.stage import train_candidate

pytestmark = [pytest.mark.ray, pytest.mark.slow]
ROWS = 40_000
FIT: dict[str, Any] = {
    "rounds": 60,
    "validation_days": 5,
    "cpus_per_worker": 1,
    "search": {"trials": 8, "parallel": 2, "space": {"max_depth": {"low": 3, "high": 9}, "subsample": [0.6, 0.8, 1.0]}},
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    found = small_settings(tmp_path_factory.mktemp("home"), INCUMBENT_RAY_PORT_BASE="25400")
    try:
        yield found
    finally:
        ray_head.stop(found)


def kill_one(settings: Settings, store: ModelStore, killed: list[int]) -> None:
    """Kill one process that learns trials, once three have ended."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and not killed:
        if len(store.records.names(Trial.kind)) >= 3:
            for head in processes.recorded(settings.run):
                for process in processes.family(head):
                    with suppress(psutil.Error, IndexError):
                        if not killed and process.cmdline()[0].startswith("ray::Searcher"):
                            killed.append(process.pid)
                            process.kill()
        time.sleep(0.02)


def test_trials_side_by_side_are_those_of_one_process_though_one_is_killed(settings: Settings, tmp_path: Any) -> None:
    here, snapshot = small_store(tmp_path / "here", ROWS)
    expected = train_candidate(here, small_model(**FIT), snapshot, REQUEST, settings)
    store, snapshot = small_store(tmp_path / "ray", ROWS)
    killed: list[int] = []
    killer = threading.Thread(target=kill_one, args=(settings, store, killed))
    killer.start()
    training = train_candidate(store, small_model(**FIT, launcher="ray"), snapshot, REQUEST, settings)
    killer.join()
    assert len(killed) == 1
    assert training.launcher == "ray"
    found, wanted = (where.records.get(Search, each.search) for where, each in ((store, training), (here, expected)))
    assert found == wanted
    assert training.version == expected.version
    version = store.records.get(ModelVersion, training.version)
    assert {name: version.params[name] for name in found.params} == found.params
    assert store.blobs.names("checkpoints") == []
    assert check_model(store) == []
    (job,) = find_jobs(settings).states()
    log = find_jobs(settings).log(job)
    assert "search: 2 trials at once on cpu, 1 cores each" in log
    assert [f'"round": {ended}, "rounds": 8' in log for ended in range(1, 9)] == [True] * 8


def test_when_all_trials_fail_the_reason_comes_back(settings: Settings, tmp_path: Any) -> None:
    store, snapshot = small_store(tmp_path)
    model = small_model(**{**FIT, "search": {"trials": 2}}, launcher="ray", params={"max_leaves": -3})
    with pytest.raises(TrainingError, match="every trial of the search failed"):
        train_candidate(store, model, snapshot, REQUEST, settings)
