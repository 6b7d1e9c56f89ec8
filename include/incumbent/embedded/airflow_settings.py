"""`airflow_settings.yaml` in the Astro CLI's form, which Airflow itself does not read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from incumbent.config import Strict, read_yaml


class Connection(Strict):
    """One connection."""

    conn_id: str
    conn_type: str
    conn_host: str | None = None
    conn_schema: str | None = None
    conn_login: str | None = None
    conn_password: str | None = None
    conn_port: int | None = None
    conn_extra: dict[str, Any] | None = None


class Pool(Strict):
    """One pool."""

    pool_name: str
    pool_slot: int = Field(ge=0)
    pool_description: str = ""


class Variable(Strict):
    """One variable."""

    variable_name: str
    variable_value: str


class Sections(Strict):
    """What the file may hold."""

    connections: tuple[Connection, ...] = ()
    pools: tuple[Pool, ...] = ()
    variables: tuple[Variable, ...] = ()


class AirflowSettings(Strict):
    """The whole file."""

    airflow: Sections = Sections()


def read_airflow_settings(path: Path) -> AirflowSettings:
    """Read the file; a project without one has no connections, pools or variables."""
    return read_yaml(path, AirflowSettings) if path.exists() else AirflowSettings()


def connection_variables(settings: AirflowSettings) -> dict[str, str]:
    """Return connections and variables as environment variables, which tasks and tests both see."""
    env = {}
    for connection in settings.airflow.connections:
        given: Mapping[str, Any] = connection.model_dump(exclude_none=True, exclude={"conn_id"})
        plain = {key.removeprefix("conn_"): value for key, value in given.items()}
        plain["conn_type"] = plain.pop("type")
        env[f"AIRFLOW_CONN_{connection.conn_id.upper()}"] = json.dumps(plain, sort_keys=True)
    for variable in settings.airflow.variables:
        env[f"AIRFLOW_VAR_{variable.variable_name.upper()}"] = variable.variable_value
    return env


def pools(settings: AirflowSettings) -> dict[str, dict[str, Any]]:
    """Return pools in the form that `airflow pools import` reads."""
    return {
        pool.pool_name: {"slots": pool.pool_slot, "description": pool.pool_description, "include_deferred": False}
        for pool in settings.airflow.pools
    }
