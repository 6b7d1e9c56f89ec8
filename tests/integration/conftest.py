"""One real stack for all integration tests: Airflow, MLflow and, with the first training, Ray.

The demonstration itself drives it for two months, the second with a damaged delivery and a killed
worker; the tests then read what it left and go on from there. To look at a demonstration that ran
before, name its home: `INCUMBENT_TEST_HOME=var pytest tests/integration/test_report.py`.
"""

import json
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from demo.__main__ import Demo
from demo.api import Airflow
from demo.settle import Settler

from demo import raw_data
from incumbent.config import Model, load_model
from incumbent.embedded import stack
from incumbent.embedded.settings import Settings
from incumbent.store import ModelStore, Store

ROOT = Path(__file__).parents[2]
MONTHS = 2
SMALL = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Stack:
    """The running stack as the tests use it."""

    settings: Settings
    api: Airflow

    def model(self, name: str) -> Model:
        return load_model(self.settings.models / name).model

    def store(self, name: str) -> ModelStore:
        return Store(self.settings.store).model(name)

    def settler(self, name: str) -> Settler:
        return Settler(self.api, self.store(name), self.model(name), self.settings.raw)

    def drop(self, name: str, source: str, partition: str) -> None:
        raw_data.write_partition(self.settings.raw / name, source, partition, self.model(name).grain)

    def settle(self, name: str, partition: str, *sources: str) -> None:
        """Drop deliveries one after the other, each settled before the next."""
        for source in sources:
            self.drop(name, source, partition)
            self.settler(name).wait(f"{source} of {partition} for {name}")

    def run(self, dag_id: str, conf: dict[str, Any] | None = None) -> dict[str, Any]:
        """Trigger a DAG by hand, wait for its end, and return the run."""
        run_id = self.api.trigger(dag_id, conf)
        assert self.api.wait(dag_id, run_id) == "success", f"{dag_id} {conf}"
        found: dict[str, Any] = self.api.get(f"/dags/{dag_id}/dagRuns/{run_id}")
        return found


@dataclass(frozen=True)
class Demonstration:
    """A demonstration that ran, and the stack it ran on."""

    stack: Stack
    report: dict[str, Any]


def free_port_base() -> int:
    """Return a base whose first ports are free."""
    for base in range(21_000, 29_000, 400):
        with socket.socket() as ui, socket.socket() as mlflow:
            if ui.connect_ex(("127.0.0.1", base)) and mlflow.connect_ex(("127.0.0.1", base + 1)):
                return base
    raise RuntimeError("no free ports")


@pytest.fixture(scope="session")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    if earlier := os.environ.get("INCUMBENT_TEST_HOME"):
        settings = Settings.from_env({**os.environ, "INCUMBENT_HOME": earlier}, ROOT)
        started = stack.up(settings)
        report = json.loads((settings.home / "demo" / "report.json").read_text())
    else:
        home, models = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("models")
        for folder in (*(ROOT / "include" / "models").iterdir(), *SMALL.iterdir()):
            shutil.copytree(folder, models / folder.name)
        env = {"INCUMBENT_HOME": str(home), "INCUMBENT_MODELS": str(models)}
        settings = Settings.from_env({**os.environ, **env, "INCUMBENT_PORT_BASE": str(free_port_base())}, ROOT)
        started = True
    try:
        if not os.environ.get("INCUMBENT_TEST_HOME"):
            report = Demo(settings, MONTHS, seed=7).run()
        yield Demonstration(Stack(settings, Airflow(settings.airflow_url, settings.passwords_file)), report)
    finally:
        if started:
            stack.down(settings)


@pytest.fixture(scope="session")
def running(demonstration: Demonstration) -> Stack:
    return demonstration.stack
