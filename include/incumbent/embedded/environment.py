"""The one environment that every process of the embedded stack gets."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from incumbent.embedded.airflow_settings import connection_variables, read_airflow_settings
from incumbent.embedded.settings import LOOPBACK, Settings

TELEMETRY_OFF = {
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "DO_NOT_TRACK": "1",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
}
USER = "admin"


def environment(settings: Settings, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of every process, making secrets on the first call.

    Args:
        settings: Folders and ports.
        base: What to build on; the caller's environment if None.
    """
    keys = _secrets(settings)
    env = dict(os.environ if base is None else base)
    # Without bytecode each of a Ray cluster's processes compiles the same modules anew: a fit takes minutes.
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    env.update(TELEMETRY_OFF)
    env.update(_incumbent(settings))
    env.update(_airflow(settings, keys))
    env.update(connection_variables(read_airflow_settings(settings.root / "airflow_settings.yaml")))
    # Behind a proxy the tasks would look for the web server of this very machine outside of it.
    for name in ("no_proxy", "NO_PROXY"):
        env[name] = ",".join(filter(None, [env.get(name), "localhost", LOOPBACK]))
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', '')}"
    return env


def write_env_file(settings: Settings) -> Path:
    """Write what differs from the caller's shell as a file that a shell can source; mode 0600."""
    env = environment(settings, {})
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(env.items()) if name != "PATH"]
    lines.append(f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"')
    path = settings.run / "env"
    _write_private(path, "\n".join(lines) + "\n")
    return path


def password_file(settings: Settings) -> Path:
    """Return the file with Airflow's password; made on the first call, mode 0600."""
    path = settings.airflow_home / "passwords.json"
    if not path.exists():
        _write_private(path, json.dumps({USER: secrets.token_urlsafe(12)}))
    return path


def _incumbent(settings: Settings) -> dict[str, str]:
    return {
        "INCUMBENT_ROOT": str(settings.root),
        "INCUMBENT_HOME": str(settings.home),
        "INCUMBENT_STORE": settings.store,
        "INCUMBENT_RAW": settings.drop,
        "INCUMBENT_MODELS": str(settings.models),
        "INCUMBENT_PORT_BASE": str(settings.port_base),
        "INCUMBENT_RAY_PORT_BASE": str(settings.ray_port_base),
        "INCUMBENT_RAY_ADDRESS": settings.ray_address,
        "INCUMBENT_RAY_IDLE_S": str(settings.ray_idle_s),
        "INCUMBENT_TRAINING_POOL": "training",
        "INCUMBENT_OPENLINEAGE": settings.lineage,
        "INCUMBENT_OPENLINEAGE_NAMESPACE": settings.lineage_namespace,
        "INCUMBENT_OPENLINEAGE_DATABASES": ",".join(
            f"{name}={namespace}/{database}" for name, (namespace, database) in settings.lineage_databases.items()
        ),
        "INCUMBENT_MLFLOW_URI": settings.mlflow_uri if settings.mlflow_is_external else "",
        "MLFLOW_TRACKING_URI": settings.mlflow_uri,
    } | ({} if settings.ray_address else {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(settings.ray / "token")})


def _airflow(settings: Settings, keys: Mapping[str, str]) -> dict[str, str]:
    """Return Airflow's settings; each that is not obvious says why."""
    port, home = settings.port_base, settings.airflow_home
    section = {
        "CORE__DAGS_FOLDER": settings.root / "dags",
        "CORE__PLUGINS_FOLDER": settings.root / "plugins",
        "CORE__EXECUTOR": "incumbent_airflow.executors.warm.WarmLocalExecutor",  # ADR 5
        "CORE__PARALLELISM": 4,  # SQLite has one writer; more tasks at once only wait
        "CORE__MAX_ACTIVE_TASKS_PER_DAG": 4,
        "CORE__LOAD_EXAMPLES": False,
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": False,
        "CORE__FERNET_KEY": keys["fernet_key"],
        "CORE__EXECUTION_API_SERVER_URL": f"http://localhost:{port}/execution/",  # does not follow the port by itself
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": password_file(settings),
        # A component that waits longer for the one writer ends; the default of 5 s is soon gone on a busy machine.
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}?timeout=60",
        "API__HOST": LOOPBACK,  # the default listens on every interface
        "API__PORT": port,
        "API__BASE_URL": settings.airflow_url,
        "API__WORKERS": 1,
        "API__SECRET_KEY": keys["secret_key"],
        "API__EXPOSE_CONFIG": False,
        "API_AUTH__JWT_SECRET": keys["jwt_secret"],  # without it every process invents its own
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.2,  # a hop between tasks takes 0.3 s instead of 1.1 s
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": port + 4,
        "SCHEDULER__ENABLE_HEALTH_CHECK": False,
        # A supervisor that misses the end of its task notices it at the next heartbeat: until then a slot is taken,
        # and an answer to a task that waits for one is lost.
        "WORKERS__MIN_HEARTBEAT_INTERVAL": 1,
        # A worker takes a queued task at once: one that waits for two minutes was lost with a worker that was killed.
        "SCHEDULER__TASK_QUEUED_TIMEOUT": 120,
        "SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": 30,
        "DAG_PROCESSOR__PARSING_PROCESSES": 1,
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": 30,
        "DAG_PROCESSOR__REFRESH_INTERVAL": 10,  # default: a new DAG file is noticed after five minutes
        "LOGGING__WORKER_LOG_SERVER_PORT": port + 2,
        "LOGGING__TRIGGER_LOG_SERVER_PORT": port + 3,
        "OPENLINEAGE__DISABLED": True,  # its file transport costs 0.3 s a task
    }
    return {"AIRFLOW_HOME": str(home)} | {f"AIRFLOW__{name}": str(value) for name, value in section.items()}


def _secrets(settings: Settings) -> dict[str, str]:
    path = settings.run / "secrets.json"
    if not path.exists():
        made = {
            "fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "secret_key": secrets.token_urlsafe(32),
            "jwt_secret": secrets.token_urlsafe(48),
        }
        _write_private(path, json.dumps(made))
    keys: dict[str, str] = json.loads(path.read_text())
    return keys


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
