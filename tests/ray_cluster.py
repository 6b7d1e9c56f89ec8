"""An existing Ray cluster of two nodes with a token, as an administrator would start it: two `ray start` processes."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from incumbent.cluster.jobs_api import JobsApi
from incumbent.embedded.ray_head import COMMAND_LINE
from incumbent.errors import UnavailableError

BASE = 27300
START_S = 120


@dataclass
class Cluster:
    """Two nodes of one core each.

    Attributes:
        address: Of the dashboard.
        environment: What a client needs besides: the mode and the token.
        head, second: The nodes' processes.
    """

    address: str
    environment: dict[str, str]
    head: psutil.Popen
    second: psutil.Popen

    def lose_second(self) -> None:
        """End the second node at once, with all that runs on it."""
        end(self.second)


@contextmanager
def two_nodes(cores: int = 1) -> Iterator[Cluster]:
    """Start the nodes, and end exactly them."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # a long path breaks Ray's sockets
    (folder / "token").write_text(secrets.token_hex(32))
    auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
    dashboard = f"http://127.0.0.1:{BASE + 1}"
    nodes: list[psutil.Popen] = []
    try:
        head = [
            "--head",
            "--port",
            str(BASE),
            "--dashboard-port",
            str(BASE + 1),
            "--ray-client-server-port",
            str(BASE + 2),
        ]
        nodes.append(_start(folder, auth, [*head, "--include-dashboard", "true"], BASE + 10, cores))
        _until(lambda: _answers(dashboard, auth), nodes, folder)
        nodes.append(_start(folder, auth, ["--address", f"127.0.0.1:{BASE}"], BASE + 120, cores))
        _until(lambda: _alive(folder, auth) == 2, nodes, folder)
        yield Cluster(dashboard, auth, *nodes)
    finally:
        for node in reversed(nodes):
            end(node)
        shutil.rmtree(folder, ignore_errors=True)


def end(process: psutil.Popen) -> None:
    """Kill a process and all that it started."""
    with suppress(psutil.NoSuchProcess):
        family = [*process.children(recursive=True), process]
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        psutil.wait_procs(family, timeout=20)


def _start(folder: Path, auth: dict[str, str], given: list[str], base: int, cores: int) -> psutil.Popen:
    ports = {
        "node-manager-port": base, "object-manager-port": base + 1, "dashboard-agent-listen-port": base + 2,
        "dashboard-agent-grpc-port": base + 3, "runtime-env-agent-port": base + 4, "metrics-export-port": base + 5,
        "min-worker-port": base + 10, "max-worker-port": base + 99,
    }  # fmt: skip
    command = [
        sys.executable, "-c", COMMAND_LINE, "start", *given, "--block", "--node-ip-address", "127.0.0.1",
        "--num-cpus", str(cores), "--object-store-memory", str(100 * 2**20), "--disable-usage-stats",
        *[text for name, port in ports.items() for text in (f"--{name}", str(port))],
    ]  # fmt: skip
    command += ["--temp-dir", str(folder / "head")] if "--head" in given else []
    metrics = {"AUTOSCALER_METRIC_PORT": str(base + 6), "DASHBOARD_METRIC_PORT": str(base + 7)}
    env = {**os.environ, **auth, **metrics, "RAY_USAGE_STATS_ENABLED": "0"}
    with (folder / f"{base}.log").open("w") as log:
        return psutil.Popen(command, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)


def _answers(dashboard: str, auth: dict[str, str]) -> bool:
    with suppress(UnavailableError):
        JobsApi.of(dashboard, auth).states()
        return True
    return False


def _alive(folder: Path, auth: dict[str, str]) -> int:
    count = (
        f"import ray; ray.init(address='127.0.0.1:{BASE}', logging_level='ERROR'); "
        "print(sum(node['Alive'] for node in ray.nodes()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", count], env={**os.environ, **auth}, capture_output=True, text=True, check=False
    )
    return int(done.stdout.split()[-1]) if done.returncode == 0 else 0


def _until(holds: object, nodes: list[psutil.Popen], folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while not holds():  # type: ignore[operator]
        logs = "\n".join(path.read_text()[-1500:] for path in folder.glob("*.log"))
        assert time.monotonic() < deadline, logs
        assert all(node.is_running() and node.status() != psutil.STATUS_ZOMBIE for node in nodes), logs
        time.sleep(0.3)
