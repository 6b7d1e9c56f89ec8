"""A real Ray head: a fit through the Jobs API, its worker killed, found again, fitted again.

Long because one head, which takes seconds to start, serves all of it.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from small_training import (
    REQUEST,
    checkpointed,
    small_model,
    small_settings,
    small_store,
    small_tables,
    store_of,
)
from test_candidates import PARAMS, SECOND, seated
from tests.s3_server import BUCKET
from tests.small_disk import fill, small_disk

from incumbent.cluster.jobs import find_jobs
from incumbent.embedded import processes, ray_head
from incumbent.embedded.settings import Settings
from incumbent.errors import TrainingError, UnavailableError
from incumbent.functions import Functions
from incumbent.provenance.rebuild import SAME_FILE, rebuild
from incumbent.records import ModelVersion, Training
from incumbent.store import ModelStore, Store
from incumbent.train import ray_job
from incumbent.train.candidates import WARM, candidates_of
from incumbent.train.progress import Progress
from incumbent.train.stage import train_candidate

pytestmark = [pytest.mark.ray, pytest.mark.slow]
PORT_BASE = "23400"
ROWS = 150_000  # two row groups of training rows
OWN = """
import numpy as np

METRIC_LARGER_IS_BETTER = False


def metric(labels, predictions, weights):
    return np.average((labels - predictions) ** 2, weights=weights)


def objective(labels, margins, weights):
    chance = 1 / (1 + np.exp(-margins))
    return np.abs(chance - labels) * (chance - labels), chance * (1 - chance)


def split(rows):
    return rows["row"].to_numpy() % 7 == 0
"""
FIT: dict[str, Any] = {"rounds": 400, "checkpoint_every": 20, "params": {"max_depth": 8, "subsample": 0.8}}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    found = small_settings(tmp_path_factory.mktemp("home"), INCUMBENT_RAY_PORT_BASE=PORT_BASE)
    try:
        yield found
    finally:
        ray_head.stop(found)


def workers(settings: Settings) -> list[psutil.Process]:
    """Return the processes that fit, in no order."""
    found = []
    for head in processes.recorded(settings.run):
        for process in processes.family(head):
            with suppress(psutil.Error, IndexError):
                if process.cmdline()[0].startswith("ray::Worker"):  # a call to it changes the rest
                    found.append(process)
    return found


def kill_after(settings: Settings, store: ModelStore, after_round: int, killed: list[int]) -> None:
    """Kill one worker, as soon as a checkpoint of that round or later is there."""
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        if checkpointed(store) >= after_round and (found := workers(settings)):
            killed.append(checkpointed(store))
            found[-1].kill()
            return
        time.sleep(0.01)


def test_two_callers_start_one_head_with_a_token_of_its_own(settings: Settings) -> None:
    heads: list[ray_head.RayHead] = []
    callers = [threading.Thread(target=lambda: heads.append(ray_head.ensure(settings))) for _ in range(2)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(heads) == 2
    assert heads[0] == heads[1] == ray_head.status(settings)
    assert stat.S_IMODE(heads[0].token_path.stat().st_mode) == 0o600
    (head,) = processes.recorded(settings.run)
    listening = {
        connection.laddr.port
        for process in processes.family(head)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert int(PORT_BASE) in listening
    assert [port for port in listening if not int(PORT_BASE) <= port < int(PORT_BASE) + 100] == []


def test_without_the_token_the_head_refuses(settings: Settings) -> None:
    import http.client

    ray_head.ensure(settings)
    connection = http.client.HTTPConnection("127.0.0.1", int(PORT_BASE) + 1, timeout=10)
    connection.request("GET", "/api/jobs/")
    assert connection.getresponse().status in (401, 403)
    connection.close()


@pytest.mark.parametrize(("count", "text"), [(1, ""), (2, ""), (2, OWN)], ids=["1", "2", "2 with own functions"])
def test_a_killed_worker_goes_on_and_the_model_equals_an_undisturbed_one(
    settings: Settings, tmp_path: Path, count: int, text: str
) -> None:
    stops = {"early_stopping": FIT["rounds"]} if text else {}  # judged each round, and never stopped
    fit, functions = {**FIT, **stops, "workers": count, "launcher": "ray"}, Functions.of(text)
    here, snapshot = small_store(tmp_path / "here", ROWS)
    undisturbed = small_model(**({**FIT, "launcher": "process"} if count == 1 else fit)).with_functions(functions)
    expected = train_candidate(here, undisturbed, snapshot, REQUEST, settings)
    store, snapshot = small_store(tmp_path / "ray", ROWS)
    killed: list[int] = []
    killer = threading.Thread(target=kill_after, args=(settings, store, 40, killed))
    killer.start()
    model = small_model(**fit).with_functions(functions)
    training = train_candidate(store, model, snapshot, REQUEST, settings)
    killer.join()
    assert len(killed) == 1
    assert (training.launcher, training.workers) == ("ray", count)
    assert training.rounds == (expected.rounds if text else FIT["rounds"])
    assert training.resumed_from is not None
    assert 40 <= killed[0] <= training.resumed_from < FIT["rounds"]
    assert training.exact_resume
    assert training.version == expected.version
    assert training.metric == ("model.py:metric" if text else "logloss")
    assert training.scores == expected.scores

    # The same work again, its files long cleared: Ray still knows the job that succeeded.
    again = train_candidate(store, model, snapshot, "2020-01-r2", settings)
    assert (again.version, again.resumed_from) == (expected.version, None)


def test_a_job_goes_on_from_the_champion_as_a_process_does(settings: Settings, tmp_path: Path) -> None:
    versions = set()
    for launcher in ("process", "ray"):
        store, snapshot, _ = seated(tmp_path / launcher)
        model = small_model(params=PARAMS, warm_rounds=15, launcher=launcher)
        candidates_of(store, model, snapshot, SECOND)
        training = train_candidate(store, model, snapshot, SECOND, settings, WARM)
        assert (training.launcher, training.rounds) == (launcher, 55)
        versions.add(training.version)
    assert len(versions) == 1


def test_a_second_training_waits_for_room_and_says_so(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """For as long as the first one takes, with nothing held and nothing lost."""
    first, snapshot = small_store(tmp_path / "first", ROWS)
    model = small_model(**{**FIT, "launcher": "ray"})
    running = threading.Thread(target=train_candidate, args=(first, model, snapshot, REQUEST, settings))
    running.start()
    while not checkpointed(first):
        time.sleep(0.05)
    store, snapshot = small_store(tmp_path / "second")
    with caplog.at_level("INFO"):
        training = train_candidate(store, small_model(launcher="ray"), snapshot, REQUEST, settings)
    running.join()
    assert "waiting for room on the cluster: 1 worker of" in caplog.text
    assert (training.rounds, training.resumed_from) == (40, None)
    assert first.records.names(Training.kind) == [REQUEST]


def test_a_killed_task_finds_its_running_job_again(settings: Settings, tmp_path: Path) -> None:
    store, snapshot = small_store(tmp_path, ROWS)
    code = (
        "import sys; from pathlib import Path; from small_training import *\n"
        f"store, snapshot = small_store(Path({str(tmp_path)!r}), {ROWS})\n"
        f"settings = small_settings(Path({str(settings.home)!r}), INCUMBENT_RAY_PORT_BASE={PORT_BASE!r})\n"
        f"train_candidate = stage.train_candidate\n"
        f"train_candidate(store, small_model(**{FIT!r}, seed=9, launcher='ray'), snapshot, REQUEST, settings)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    task = subprocess.Popen([sys.executable, "-c", code], env=env)
    deadline = time.monotonic() + 120
    while not checkpointed(store) and time.monotonic() < deadline:
        assert task.poll() is None
        time.sleep(0.05)
    task.kill()
    task.wait()
    assert store.records.names(Training.kind) == []
    before = find_jobs(settings).states()
    training = train_candidate(store, small_model(**FIT, seed=9, launcher="ray"), snapshot, REQUEST, settings)
    assert (training.rounds, training.resumed_from) == (FIT["rounds"], None)
    assert find_jobs(settings).states().keys() == before.keys()


def test_an_error_of_the_data_comes_back_as_itself_and_is_not_tried_again(settings: Settings, tmp_path: Path) -> None:
    store, snapshot = small_store(tmp_path)
    model = small_model(launcher="ray", params={"max_depth": -3})
    started = time.monotonic()
    with pytest.raises(TrainingError, match="XGBoost refused"):
        train_candidate(store, model, snapshot, REQUEST, settings)
    assert time.monotonic() - started < 90


def test_a_full_disk_is_worth_another_try_which_goes_on(settings: Settings, tmp_path: Path) -> None:
    here, snapshot = small_store(tmp_path / "here", 20_000)
    expected = train_candidate(here, small_model(**FIT, launcher="process"), snapshot, REQUEST, settings)
    with small_disk(tmp_path / "disk", 16) as disk:
        store, snapshot = small_store(disk / "store", 20_000)
        filled: list[Path] = []
        filling = threading.Thread(target=lambda: filled.append(fill_after(store, disk, 40)))
        filling.start()
        with pytest.raises(UnavailableError) as caught:
            train_candidate(store, small_model(**FIT, launcher="ray"), snapshot, REQUEST, settings)
        filling.join()
        # The result has no room either: the message comes in the job's log.
        assert caught.value.what == "a checkpoint cannot be written"
        assert caught.value.found == "No space left on device"
        assert "make room" in caught.value.next_step
        before = checkpointed(store)
        filled[0].unlink()
        training = train_candidate(store, small_model(**FIT, launcher="ray"), snapshot, REQUEST, settings)
        assert (training.resumed_from, training.version, training.exact_resume) == (before, expected.version, True)
        assert before >= 40


def fill_after(store: ModelStore, disk: Path, after_round: int) -> Path:
    """Fill a disk to the last byte, as soon as a checkpoint of that round or later is there."""
    while checkpointed(store) < after_round:
        time.sleep(0.01)
    return fill(disk)


def test_a_node_that_does_not_reach_the_store_says_so_and_is_not_tried_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, snapshot = small_store(tmp_path / "here")
    write = ray_job.write_order
    monkeypatch.setattr(
        ray_job, "write_order", lambda *given: write(*given).replace(str(tmp_path / "here"), "/not/mounted/there")
    )
    with pytest.raises(TrainingError, match="the order of a training is gone") as caught:
        train_candidate(store, small_model(launcher="ray"), snapshot, REQUEST, settings)
    assert caught.value.where.startswith("/not/mounted/there")
    assert "reaches the store" in caught.value.next_step


def test_features_that_say_nothing_are_named_where_the_task_logs(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    features, outcomes = small_tables()
    features = features.append_column("ones", [[1.0] * features.num_rows])
    store, snapshot = store_of(tmp_path, features, outcomes)
    train_candidate(store, small_model(launcher="ray"), snapshot, REQUEST, settings)
    assert "the same in all training rows: ones" in caplog.messages


def test_it_is_stopped_when_idle_and_only_its_own_processes_are(settings: Settings) -> None:
    ray_head.ensure(settings)
    (head,) = processes.recorded(settings.run)
    family = processes.family(head)
    used = (settings.ray / "used").stat().st_mtime
    assert not ray_head.stop_if_idle(settings, 60, used + 59)
    assert ray_head.status(settings) is not None
    assert ray_head.stop_if_idle(settings, 60, used + 61)
    assert ray_head.status(settings) is None
    assert [process for process in family if process.is_running() and process.status() != "zombie"] == []
    assert not ray_head.stop_if_idle(settings, 60, used + 1000)


def test_a_store_in_a_bucket_is_reached_by_the_jobs_of_the_local_head(
    settings: Settings, tmp_path: Path, s3_options: dict[str, str]
) -> None:
    """With the credentials of the task, which no file and no variable of the machine has; killed, it goes on."""
    ray_head.stop(settings)
    here, snapshot = small_store(tmp_path / "here", ROWS)
    expected = train_candidate(here, small_model(**FIT, launcher="process"), snapshot, REQUEST, settings)
    blobs = Store.at(f"s3://{BUCKET}/{tmp_path.name}", tmp_path / "work", s3_options).blobs
    store, snapshot = small_store(tmp_path / "bucket", ROWS, blobs)
    killed: list[int] = []
    killer = threading.Thread(target=kill_after, args=(settings, store, 40, killed))
    killer.start()
    training = train_candidate(store, small_model(**FIT, launcher="ray"), snapshot, REQUEST, settings)
    killer.join()
    assert len(killed) == 1
    assert training.resumed_from is not None
    assert training.version == expected.version
    jobs = find_jobs(settings)
    assert not any(s3_options["secret"] in jobs.log(job) for job in jobs.states())


@pytest.mark.parametrize("count", [1, 2])
def test_what_was_fitted_on_ray_is_proven_on_ray(settings: Settings, tmp_path: Path, count: int) -> None:
    model = small_model(**{**FIT, "rounds": 20, "workers": count, "launcher": "ray"})
    store, snapshot = small_store(tmp_path, ROWS)
    version = store.records.get(ModelVersion, train_candidate(store, model, snapshot, REQUEST, settings).version)
    before, told = set(store.blobs.names()), list[Progress]()
    found = rebuild(store, small_model(rounds=1), version, settings, told.append)
    assert (found.verdict, found.rebuilt) == (SAME_FILE, version.digest)
    assert max(each.round for each in told) == 20
    (written,) = set(store.blobs.names()) - before
    assert written.startswith(f"records/rebuilds/{version.digest}/")
