"""Whatever is killed while a training runs, it ends with the rounds and the bytes of one that nobody disturbed.

In a stack of its own, through Airflow: each seed draws when something is hit, and says what and when.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import yaml
from demo.killer import fitting
from tests.integration.conftest import ROOT, Stack, free_port_base

from demo import raw_data
from incumbent.embedded import processes, stack
from incumbent.embedded.settings import Settings
from incumbent.records import Training
from incumbent.store.check import check_model
from incumbent.train.checkpoints import FOLDER, SUFFIX

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(3600)]
NAME = "flights_delay"
MONTH = "2013-01"
ROUNDS = 600
EVERY = 20
SEEDS = range(20)
TASK = "airflow worker -- "


class Disturbed(Stack):
    """A stack whose scheduler soon takes a task for dead that says nothing: five minutes are the default."""

    def environment(self) -> dict[str, str]:
        return super().environment() | {"AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30"}


@pytest.fixture(scope="module")
def own(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack in which one model waits for a training, of so many rounds that there is time to hit."""
    project = tmp_path_factory.mktemp("faults")
    shutil.copytree(ROOT / "dags", project / "dags")
    shutil.copy(ROOT / "airflow_settings.yaml", project)
    folder = project / "include" / "models" / NAME
    shutil.copytree(ROOT / "include" / "models" / NAME, folder)
    model = yaml.safe_load((folder / "model.yaml").read_text())
    model["train"] |= {"launcher": "ray", "rounds": ROUNDS, "checkpoint_every": EVERY}
    model["train"]["params"] = {**model["train"].get("params", {}), "subsample": 0.8, "colsample_bynode": 0.8}
    (folder / "model.yaml").write_text(yaml.safe_dump(model, sort_keys=False))
    running = Disturbed(Settings.from_env({"INCUMBENT_PORT_BASE": str(free_port_base())}, project), installed)
    try:
        running.up()
        for source in ("airlines", "planes"):
            raw_data.write_once(running.settings.raw / NAME, source)
        running.settle(NAME, MONTH, "weather", "flights", "outcomes")
        yield running
    finally:
        stack.down(running.settings)


def newest(running: Stack) -> int:
    names = [name.rpartition("/")[2] for name in running.store(NAME).blobs.names(FOLDER) if name.endswith(SUFFIX)]
    return max((int(name.partition("-")[0]) for name in names), default=0)


def kill_worker(running: Stack) -> str:
    (worker, *_) = fitting(running.settings.run)
    worker.kill()
    return f"worker {worker.pid}"


def kill_head(running: Stack) -> str:
    return _kill_component(running, "ray")


def kill_triggerer(running: Stack) -> str:
    said = _kill_component(running, "triggerer")
    running.up()
    return said


def kill_scheduler(running: Stack) -> str:
    said = _kill_component(running, "scheduler")
    running.up()
    return said


def kill_task(running: Stack) -> str:
    """Kill the process of the task, and with it whoever watches it, in the second or so before it is deferred."""
    (scheduler,) = [found for found in processes.recorded(running.settings.run) if found.name == "scheduler"]
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for each in processes.family(scheduler):
            if _title(each).startswith(TASK) and _works_on_training(each):
                each.kill()
                return f"task {each.pid}"
    return "no task"


def _works_on_training(process: psutil.Process) -> bool:
    """Return whether a task's process has opened the log of the task `train`."""
    with suppress(psutil.Error):
        return any("task_id=train" in file.path for file in process.open_files())
    return False


def _kill_component(running: Stack, name: str) -> str:
    (record,) = [found for found in processes.recorded(running.settings.run) if found.name == name]
    family = processes.family(record)
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    return f"{name} {record.pid} and {len(family) - 1} others"


def _title(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


FAULTS: dict[str, Callable[[Stack], str]] = {
    "worker": kill_worker, "head": kill_head, "triggerer": kill_triggerer, "task": kill_task,
    "scheduler": kill_scheduler,
}  # fmt: skip
BEFORE: dict[str, Any] = {}


def train(running: Stack, hit: Callable[[], None] = lambda: None) -> Training:
    """Return the training of a new request; a run that takes up none succeeds too."""
    records = running.store(NAME).records
    before = set(records.names(Training.kind))
    run_id = running.api.trigger(f"{NAME}.train", {"partition": MONTH, "reason": "to be disturbed"})
    hit()
    state = running.api.wait(f"{NAME}.train", run_id, timeout_s=600)
    assert state == "success", run_id
    (made,) = set(records.names(Training.kind)) - before
    return records.get(Training, made)


def test_undisturbed(own: Stack) -> None:
    training = train(own)
    assert (training.rounds, training.launcher, training.resumed_from) == (ROUNDS, "ray", None)
    BEFORE["version"] = training.version


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Return what writes a line for whoever runs the tests, whatever is captured."""
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    return lambda line: reporter.write_line(f"\n{line}")


@pytest.mark.parametrize("seed", SEEDS)
def test_disturbed(own: Stack, seed: int, told: Callable[[str], None]) -> None:
    name = list(FAULTS)[seed % len(FAULTS)]
    after = int(np.random.default_rng(seed).integers(0, ROUNDS * 3 // 4))
    said: list[str] = []

    def hit() -> None:
        deadline = time.monotonic() + 120
        # A task's process is there before its job, and after it.
        while name != "task" and newest(own) < max(after, EVERY) and time.monotonic() < deadline:
            time.sleep(0.01)
        said.append(f"seed {seed}: {FAULTS[name](own)} at round {newest(own)}")

    training = train(own, hit)
    told(f"{said[-1]}; resumed from {training.resumed_from}, {training.rounds} rounds, {training.version[:16]}")
    assert training.rounds == ROUNDS
    assert training.version == BEFORE["version"]
    assert check_model(own.store(NAME)) == []
