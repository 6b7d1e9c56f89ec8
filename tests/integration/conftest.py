"""One real stack for all integration tests: Airflow, MLflow and, with the first training, Ray."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from demo.api import Airflow
from demo.settle import Settler

from demo import raw_data
from incumbent.config import Model, load_model
from incumbent.embedded import stack
from incumbent.embedded.settings import Settings
from incumbent.store import ModelStore, Store

ROOT = Path(__file__).parents[2]


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
        raw_data.write_partition(self.settings.raw / name, source, partition)


def free_port_base() -> int:
    """Return a base whose first ports are free."""
    for base in range(21_000, 29_000, 400):
        with socket.socket() as ui, socket.socket() as mlflow:
            if ui.connect_ex(("127.0.0.1", base)) and mlflow.connect_ex(("127.0.0.1", base + 1)):
                return base
    raise RuntimeError("no free ports")


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home = tmp_path_factory.mktemp("home")
    env = {**os.environ, "INCUMBENT_HOME": str(home), "INCUMBENT_PORT_BASE": str(free_port_base())}
    settings = Settings.from_env(env, ROOT)
    try:
        stack.up(settings)
        yield Stack(settings, Airflow(settings.airflow_url, settings.airflow_home / "passwords.json"))
    finally:
        stack.down(settings)
