"""A real MLflow server; a small store with real objects, and a builder of gate reports."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from incumbent.records import GateReport, ModelVersion, RetrainRequest, Snapshot
from incumbent.store import ModelStore, Store

START_S = 90


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    uri = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    command += [
        "--backend-store-uri",
        f"sqlite:///{folder}/db.sqlite",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("w") as output:
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, cwd=folder, start_new_session=True
        )
    try:
        deadline = time.monotonic() + START_S
        while True:
            try:
                with urllib.request.urlopen(f"{uri}/health", timeout=2):  # noqa: S310 - our own server
                    break
            except OSError:
                assert time.monotonic() < deadline and process.poll() is None, (folder / "log").read_text()[-2000:]
                time.sleep(0.3)
        yield uri
    finally:
        os.killpg(process.pid, 15)
        process.wait(30)


class Seat:
    """A model store plus short ways to make versions and reports in it."""

    def __init__(self, root: Path) -> None:
        self.store: ModelStore = Store(root).model("flights_delay")

    def version(self, name: str) -> ModelVersion:
        digest = self.store.objects.put(f"model file {name}".encode())
        definition = self.store.objects.put(b"SELECT 1 AS one FROM batch")
        version = ModelVersion(
            digest=digest,
            model="flights_delay",
            estimator="xgboost",
            task="binary",
            definition=definition,
            snapshot=self.snapshot(definition),
            features=("one",),
            categories={},
            params={"max_depth": 6, "seed": 7},
            rounds=150,
            train_rows=20_000,
            train_until="2013-01-24",
            importance={"one": 1.0},
        )
        self.store.records.put(digest, version)
        return version

    def snapshot(self, definition: str) -> str:
        days = ("2013-01-24", "2013-01-25", "2013-02-01")
        snapshot = Snapshot("flights_delay", "2013-01", definition, (), (), {}, {}, *days)
        self.store.records.put(snapshot.id, snapshot)
        return snapshot.id

    def report(self, name: str, verdict: str = "promote", against: int | None = None) -> GateReport:
        """Return a recorded report of version `name` against the head, or another generation."""
        version, request = self.version(name), f"request-{name}"
        self.store.records.put(f"{request}/open", RetrainRequest(request, "2013-02", "drift", {}, False, "it drifts"))
        ledger = self.store.ledger()
        generation = len(ledger) if against is None else against
        gate = {"gate": "superiority", "passed": verdict == "promote", "estimate": 0.012, "error": 0.002}
        report = GateReport(
            model="flights_delay",
            partition="2013-02",
            candidate=version.digest,
            champion=ledger[generation - 1].version if generation else "",
            champion_generation=generation,
            snapshot=version.snapshot,
            request=request,
            verdict=verdict,
            gates=({"gate": "data", "passed": True}, gate),
            sentence=f"All 2 gates passed: version {name}.",
        )
        self.store.records.put(report.id, report)
        return report


@pytest.fixture
def seat(tmp_path: Path) -> Seat:
    return Seat(tmp_path)
