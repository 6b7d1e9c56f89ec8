"""The Airflow plugin, registered by entry point, so a wheel works on every component."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin


class IncumbentPlugin(AirflowPlugin):
    """Names Incumbent to Airflow; operators, sensors and triggers need no registration."""

    name = "incumbent"
