"""A local Ray head: started by the first training that needs it, stopped when it has been idle.

It is guarded by a token on both sides and bound to loopback as far as Ray allows (its raylet still
listens on every interface). It is stopped by its recorded processes, never by `ray stop`, which
would stop other people's clusters too.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incumbent.embedded import processes
from incumbent.embedded.settings import LOOPBACK, Settings
from incumbent.errors import UnavailableError
from incumbent.records import digest_of

NAME = "ray"
WHY = "trains; stops when idle"
START_S = 120.0
# `ray`, without its Serve commands: the process lives as long as the head and would hold 110 MB for them.
COMMAND_LINE = "import sys; sys.modules['ray.serve.scripts'] = None; from ray.scripts.scripts import main; main()"
OBJECT_STORE_BYTES = 100 * 2**20  # frames never travel through Ray: workers read the store


@dataclass(frozen=True)
class RayHead:
    """A running head.

    Attributes:
        address: Address of the cluster.
        dashboard_url: Address of the Jobs API.
        token_path: File with the token.
        pid: Process that holds the head together.
    """

    address: str
    dashboard_url: str
    token_path: Path
    pid: int


def ensure(settings: Settings, env: Mapping[str, str] | None = None) -> RayHead:
    """Return the running head, starting one if there is none; two callers start one.

    Args:
        settings: Folders and ports.
        env: What its jobs have to find in their environment, besides this process's.

    Raises:
        UnavailableError: The head did not come up; the message has the end of its log.
    """
    with _lock(settings):
        (settings.ray / "used").touch()
        return status(settings) or _start(settings, env or {})


def status(settings: Settings) -> RayHead | None:
    """Return the running head, or None."""
    for found in processes.recorded(settings.run):
        if found.name == NAME and processes.alive(found) is not None:
            return _head(settings, found.pid)
    return None


def stop(settings: Settings) -> bool:
    """Stop exactly the head that was started here; return whether one was running."""
    if not settings.ray.exists():
        return False
    with _lock(settings):
        mine = [found for found in processes.recorded(settings.run) if found.name == NAME]
        stopped = bool(processes.stop(mine, settings.run))
        shutil.rmtree(_sockets(settings), ignore_errors=True)
        return stopped


def stop_if_idle(settings: Settings, idle_s: float, now: float) -> bool:
    """Stop the head when no training has used it for a while and no job runs; return whether it was stopped.

    Args:
        settings: Folders and ports.
        idle_s: Seconds without use.
        now: The time, seconds since the epoch.
    """
    used = settings.ray / "used"
    if status(settings) is None or not used.exists() or now - used.stat().st_mtime < idle_s:
        return False
    # The task that follows a job may have died; the job lives on, and the next attempt finds it.
    if any(job.get("status") in ("PENDING", "RUNNING") for job in _jobs(settings) or []):
        return False
    return stop(settings)


def touch(settings: Settings) -> None:
    """Say that the head is in use."""
    (settings.ray / "used").touch()


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of the head and of everything that talks to it."""
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(_token(settings)),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def _start(settings: Settings, more: Mapping[str, str]) -> RayHead:
    base = settings.ray_port_base
    env = {
        **os.environ,
        **more,
        **environment(settings),
        # Else both listen on fixed ports, and a second head on the machine collides with the first.
        "AUTOSCALER_METRIC_PORT": str(base + 9),
        "DASHBOARD_METRIC_PORT": str(base + 10),
    }
    command = [
        sys.executable, "-c", COMMAND_LINE, "start", "--head", "--block", "--no-monitor",
        "--node-ip-address", LOOPBACK, "--port", str(base),
        "--include-dashboard", "true", "--dashboard-host", LOOPBACK, "--dashboard-port", str(base + 1),
        "--ray-client-server-port", str(base + 2), "--node-manager-port", str(base + 3),
        "--object-manager-port", str(base + 4), "--dashboard-agent-listen-port", str(base + 5),
        "--dashboard-agent-grpc-port", str(base + 6), "--runtime-env-agent-port", str(base + 7),
        "--metrics-export-port", str(base + 8),
        "--min-worker-port", str(base + 20), "--max-worker-port", str(base + 99),
        "--num-cpus", str(os.cpu_count() or 1), "--object-store-memory", str(OBJECT_STORE_BYTES),
        "--disable-usage-stats", "--temp-dir", str(_sockets(settings)),
    ]  # fmt: skip
    found = processes.start(NAME, command, env, settings.run, WHY, base)
    deadline = time.monotonic() + START_S
    while _jobs(settings) is None:
        if processes.alive(found) is None or time.monotonic() > deadline:
            log = settings.run / "logs" / f"{NAME}.log"
            tail = processes.tail(log)
            processes.stop([found], settings.run)
            raise UnavailableError(
                "the local Ray head did not start",
                where=str(log),
                expected=f"the Jobs API within {START_S:.0f} s",
                found=tail,
                next_step="free the ports from INCUMBENT_RAY_PORT_BASE on, or set another base",
            )
        time.sleep(0.3)
    return _head(settings, found.pid)


def _jobs(settings: Settings) -> list[dict[str, Any]] | None:
    """Return what the Jobs API says about its jobs; None when it does not answer."""
    connection = http.client.HTTPConnection(LOOPBACK, settings.ray_port_base + 1, timeout=5)
    token = _token(settings).read_text().strip()
    try:
        connection.request("GET", "/api/jobs/", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return json.loads(answer.read()) if answer.status == 200 else None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def dashboard_url(settings: Settings) -> str:
    """Return where the local head's dashboard is when it runs."""
    return f"http://{LOOPBACK}:{settings.ray_port_base + 1}"


def _head(settings: Settings, pid: int) -> RayHead:
    base = settings.ray_port_base
    return RayHead(f"{LOOPBACK}:{base}", dashboard_url(settings), _token(settings), pid)


def _sockets(settings: Settings) -> Path:
    """Return Ray's own folder; a long path breaks the sockets that Ray makes below it."""
    return Path("/tmp") / f"incumbent-ray-{digest_of(str(settings.home).encode())[:8]}"  # noqa: S108 - see above


def _token(settings: Settings) -> Path:
    path = settings.ray / "token"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as handle:
            handle.write(secrets.token_hex(32))
    return path


@contextmanager
def _lock(settings: Settings) -> Iterator[None]:
    settings.ray.mkdir(parents=True, exist_ok=True)
    with (settings.ray / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
