"""`incumbent up`, `down` and `env`."""

from __future__ import annotations

import argparse
import json
import os
import time

from incumbent.embedded import stack
from incumbent.embedded.environment import write_env_file
from incumbent.embedded.settings import Settings
from incumbent.errors import ConfigError


def up(_: argparse.Namespace) -> int:
    """Start the stack, wait until it is healthy, and say where it is and how to log in."""
    settings = _project()
    began = time.monotonic()
    started = stack.up(settings)
    print(f"healthy after {time.monotonic() - began:.0f} s" if started else "already up")
    print(*addresses(settings), sep="\n")
    print(f"files    {settings.home}")
    print(f'shell    . "{settings.environment_file}" gives this shell the commands airflow and incumbent')
    print("Next: open Airflow in a browser; `make down` (incumbent down) stops everything again")
    return 0


def addresses(settings: Settings) -> list[str]:
    """Return where Airflow and MLflow of a started stack are, and how to log in."""
    password = json.loads(settings.passwords_file.read_text())["admin"]
    return [
        f"Airflow  {settings.airflow_url}  user admin, password {password}",
        f"MLflow   {settings.mlflow_uri}{'  (external)' if settings.mlflow_is_external else ''}",
    ]


def down(_: argparse.Namespace) -> int:
    """Stop exactly what was started."""
    stopped = stack.down(Settings.from_env(os.environ))
    print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")
    print("Next: `make up` (incumbent up) starts again where this ended")
    return 0


def env(_: argparse.Namespace) -> int:
    """Write the environment file and print its path alone, for `source "$(incumbent env)"`."""
    print(write_env_file(_project()))
    return 0


def _project() -> Settings:
    """Return the settings of the project that the shell stands in.

    Raises:
        ConfigError: It stands elsewhere: a stack made there would be another one, with secrets of its own.
    """
    settings = Settings.from_env(os.environ)
    if not (settings.root / "dags").is_dir():
        raise ConfigError(
            "this folder is no project",
            where=str(settings.root),
            expected="a folder with dags/ and include/models/",
            found="no dags/",
            next_step="change to the project's folder, or export INCUMBENT_ROOT",
        )
    return settings
