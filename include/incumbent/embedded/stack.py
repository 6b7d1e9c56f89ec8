"""Start and stop the embedded stack: Airflow's processes and the MLflow server, on loopback."""

from __future__ import annotations

import fcntl
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from incumbent.embedded import processes, ray_head
from incumbent.embedded.airflow_settings import pools, read_airflow_settings
from incumbent.embedded.environment import environment, write_env_file
from incumbent.embedded.settings import LOOPBACK, S3, Settings
from incumbent.errors import UnavailableError
from incumbent.records import digest_of

HEALTHY_S = 120.0
COMPONENTS = {
    "api-server": "Airflow's UI, REST API and the tasks' way to the database",
    "scheduler": "starts tasks and runs them (LocalExecutor)",
    "dag-processor": "reads the DAG files",
    "triggerer": "waits for files and deferred tasks",
}
MLFLOW_WHY = "MLflow UI and model registry"
# `mlflow`, which becomes its server instead of waiting for it with 200 MB of its own.
MLFLOW_COMMAND_LINE = """
import os, sys, mlflow.cli, mlflow.server
def become(command, extra_env, **_):
    os.execvpe(command[0], command, {**os.environ, **extra_env})
mlflow.server._exec_cmd = become
mlflow.cli.cli()
"""
# They listen on every interface, and the web server reads the same files by itself.
_NO_LOG_SERVER = {"scheduler": ("--skip-serve-logs",), "triggerer": ("--skip-serve-logs",)}
# Loopback never goes through a proxy, whatever the environment says.
_HTTP = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def up(settings: Settings, say: Callable[[str], None] = print) -> bool:
    """Start what is not running and wait until it is healthy; return whether anything was started.

    Raises:
        UnavailableError: A port is taken, or a process did not become healthy; the message has the
            end of its log.
    """
    since = datetime.now(UTC).isoformat()
    with _lock(settings):
        running = {found.name for found in processes.recorded(settings.run) if processes.alive(found)}
        wanted = dict.fromkeys([*COMPONENTS, *([] if settings.mlflow_is_external else ["mlflow"])])
        missing = [name for name in wanted if name not in running]
        if not missing:
            return False
        _check_ports(settings, missing)
        if settings.store.startswith(S3):
            from incumbent.store.conditional import check_conditional_writes

            check_conditional_writes(settings.open_store().blobs)
        dropped = [] if settings.drop.startswith(S3) else [settings.raw]
        for folder in (settings.home, *dropped, settings.airflow_home, settings.run / "logs"):
            folder.mkdir(parents=True, exist_ok=True)
        env = environment(settings)
        write_env_file(settings)
        try:
            _start(settings, missing, env, since, say)
        except BaseException:
            started = [found for found in processes.recorded(settings.run) if found.name in missing]
            processes.stop(started, settings.run)  # a start that failed or was interrupted leaves nothing behind
            raise
        return True


def _start(settings: Settings, missing: list[str], env: dict[str, str], since: str, say: Callable[[str], None]) -> None:
    if "mlflow" in missing:
        _start_mlflow(settings, env)
    _prepare_airflow(settings, env, say)
    for name in COMPONENTS:
        if name in missing:
            port = settings.port_base if name == "api-server" else 0
            command = [_script("airflow"), name, *_NO_LOG_SERVER.get(name, ())]
            processes.start(name, command, env, settings.run, COMPONENTS[name], port)
    say("starting " + ", ".join(missing))
    _load_pools(settings, env)  # while the components load
    _wait(settings, "airflow", lambda: _airflow_healthy(settings, since))
    if not settings.mlflow_is_external:
        _wait(settings, "mlflow", lambda: _answers(f"{settings.mlflow_uri}/health"))


def down(settings: Settings) -> list[str]:
    """Stop exactly what was started here; return the names of what was running."""
    with _lock(settings):
        found = [record for record in processes.recorded(settings.run) if record.name != ray_head.NAME]
        order = ["scheduler", "triggerer", "dag-processor", "api-server", "mlflow"]
        found.sort(key=lambda record: order.index(record.name) if record.name in order else len(order))
        return processes.stop(found, settings.run) + ([ray_head.NAME] if ray_head.stop(settings) else [])


def is_healthy(settings: Settings) -> bool:
    """Return whether all of Airflow's components say that they are well."""
    return _airflow_healthy(settings)


def _prepare_airflow(settings: Settings, env: dict[str, str], say: Callable[[str], None]) -> None:
    """Migrate the database once per Airflow version."""
    import importlib.metadata

    version = settings.airflow_home / "migrated"
    wanted = importlib.metadata.version("apache-airflow")
    if not version.exists() or version.read_text() != wanted:
        say("preparing Airflow's database")
        _run(settings, env, "db-migrate", [_script("airflow"), "db", "migrate"])
        version.write_text(wanted)


def _load_pools(settings: Settings, env: dict[str, str]) -> None:
    """Import the pools when they changed; Airflow keeps them in its database only."""
    found = pools(read_airflow_settings(settings.root / "airflow_settings.yaml"))
    mark = settings.airflow_home / "pools"
    if found and (not mark.exists() or mark.read_text() != digest_of(found)):
        path = settings.airflow_home / "pools.json"
        path.write_text(json.dumps(found))
        _run(settings, env, "pools", [_script("airflow"), "pools", "import", str(path)])
        mark.write_text(digest_of(found))


def _start_mlflow(settings: Settings, env: dict[str, str]) -> None:
    folder = settings.home / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    port = settings.port_base + 1
    command = [
        sys.executable, "-c", MLFLOW_COMMAND_LINE, "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
        "--artifacts-destination", str(folder / "artifacts"),
        "--allowed-hosts", f"localhost:{port},{LOOPBACK}:{port}",
    ]  # fmt: skip
    lean = env | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # 4 processes instead of 17
    processes.start("mlflow", command, lean, settings.run, MLFLOW_WHY, port)


def _run(settings: Settings, env: dict[str, str], name: str, command: list[str]) -> None:
    log = settings.run / "logs" / f"{name}.log"
    with log.open("wb") as output:
        code = subprocess.run(command, env=env, stdout=output, stderr=output, timeout=300, check=False).returncode
    if code:
        raise UnavailableError(
            f"{' '.join(command[1:])} failed",
            where=str(log),
            expected="exit code 0",
            found=f"exit code {code}\n{processes.tail(log)}",
            next_step="correct what the log says, then start again",
        )


def _check_ports(settings: Settings, missing: list[str]) -> None:
    ports = {"api-server": settings.port_base, "mlflow": settings.port_base + 1}
    for name, port in ports.items():
        if name not in missing:
            continue
        with socket.socket() as probe:
            # As servers do: a stopped server's connection that still times out is no obstacle.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError as error:
                raise UnavailableError(
                    f"port {port} is taken",
                    where=f"{LOOPBACK}:{port}, wanted by {name}",
                    expected="a free port",
                    found="another process listens there",
                    next_step="export INCUMBENT_PORT_BASE=18080 (or another free range), then start again",
                ) from error


def _airflow_healthy(settings: Settings, since: str = "") -> bool:
    """Return whether every component is well, by a heartbeat not older than `since` (ISO, UTC)."""
    try:
        url = f"http://{LOOPBACK}:{settings.port_base}/api/v2/monitor/health"
        with _HTTP.open(url, timeout=3) as answer:
            health = json.load(answer)
    except (OSError, ValueError):
        return False
    parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
    found = {part: health.get(part) or {} for part in parts}
    # For 30 s a stopped process still counts as healthy; its heartbeat tells it from the new one.
    fresh = all(str(found[part].get(f"latest_{part}_heartbeat", since)) >= since for part in parts)
    return fresh and all(found[part].get("status") == "healthy" for part in parts)


def _answers(url: str) -> bool:
    try:
        with _HTTP.open(url, timeout=3) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


def _wait(settings: Settings, name: str, healthy: Callable[[], bool]) -> None:
    deadline = time.monotonic() + HEALTHY_S
    while not healthy():
        others = [
            found for found in processes.recorded(settings.run) if found.name != ray_head.NAME
        ]  # it ends when idle
        dead = [found for found in others if processes.alive(found) is None]
        if dead or time.monotonic() > deadline:
            which = dead[0].name if dead else name
            log = settings.run / "logs" / f"{which}.log"
            raise UnavailableError(
                f"{which} {'ended' if dead else 'did not become healthy'}",
                where=str(log),
                expected=f"healthy within {HEALTHY_S:.0f} s",
                found=processes.tail(log),
                next_step="correct what the log says; `make down`, then `make up`",
            )
        time.sleep(0.5)


def _script(name: str) -> str:
    return str(Path(sys.executable).parent / name)


@contextmanager
def _lock(settings: Settings) -> Iterator[None]:
    """Let one `up` or `down` work at a time."""
    settings.run.mkdir(parents=True, exist_ok=True)
    with (settings.run / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
