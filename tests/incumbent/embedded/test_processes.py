import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from incumbent.embedded import processes

pytestmark = pytest.mark.unit

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
# Starts a child, says its id, and waits; the child ignores a friendly request.
PARENT = """
import subprocess, sys, time
deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    processes.stop(processes.recorded(tmp_path), tmp_path, 0.2)


def _child_of(record: processes.ProcessRecord, run: Path) -> int:
    log = run / "logs" / f"{record.name}.log"
    deadline = time.monotonic() + 10
    while not log.read_text().strip():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return int(log.read_text())


def test_a_started_process_is_remembered_and_stopped(run: Path) -> None:
    record = processes.start("sleeper", SLEEP, os.environ, run, "to be stopped", 1234)
    assert processes.recorded(run) == [record]
    assert os.getsid(record.pid) == record.pid
    assert processes.memory_mb(run)["sleeper"] > 0
    assert processes.stop([record], run) == ["sleeper"]
    assert processes.alive(record) is None
    assert processes.recorded(run) == []


def test_a_reused_pid_is_a_stranger_and_survives(run: Path) -> None:
    stranger = subprocess.Popen(SLEEP, start_new_session=True)
    try:
        ours = processes.record("old", stranger.pid, run, "ended long ago")
        reused = dataclasses.replace(ours, started=ours.started - 3600)
        assert processes.alive(reused) is None
        assert processes.family(reused) == []
        assert processes.stop([reused], run) == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_child_that_does_not_listen_is_killed(run: Path) -> None:
    record = processes.start("parent", [sys.executable, "-c", PARENT], os.environ, run, "has a child")
    child = _child_of(record, run)
    assert processes.stop([record], run, 0.5) == ["parent"]
    assert not psutil.pid_exists(child)


def test_the_child_of_a_killed_process_is_found_and_stopped(run: Path) -> None:
    record = processes.start("parent", [sys.executable, "-c", PARENT], os.environ, run, "has a child")
    child = _child_of(record, run)
    os.kill(record.pid, 9)
    os.waitpid(record.pid, 0)
    assert processes.alive(record) is None
    assert [process.pid for process in processes.family(record)] == [child]
    assert processes.stop([record], run, 0.2) == ["parent"]
    assert not psutil.pid_exists(child)


def test_what_another_record_stands_for_is_not_counted_twice(run: Path) -> None:
    starts_one = f"import subprocess, time; subprocess.Popen({SLEEP!r}, start_new_session=True); time.sleep(60)"
    parent = processes.start("parent", [sys.executable, "-c", starts_one], os.environ, run, "starts one")
    try:
        deadline = time.monotonic() + 20
        while len(family := processes.family(parent)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        (born,) = [process for process in family if process.pid != parent.pid]
        other = processes.record("child", born.pid, run, "stands for itself")
        assert [process.pid for process in processes.family(parent, [parent, other])] == [parent.pid]
        assert processes.stop([parent], run) == ["parent"]
        assert processes.alive(other) is not None, "only what was named is stopped"
    finally:
        processes.stop(processes.recorded(run), run)
