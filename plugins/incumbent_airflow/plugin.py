"""The Airflow plugin, registered by entry point, so a wheel works on every component."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from incumbent_airflow.one_writer import OneWriter


class IncumbentPlugin(AirflowPlugin):
    """Names Incumbent to Airflow; operators, sensors and triggers need no registration."""

    name = "incumbent"
    fastapi_root_middlewares = [{"name": "one writer at a time on SQLite", "middleware": OneWriter}]  # noqa: RUF012
