"""What every test stands on: no telemetry, no proxy, and an Airflow home of its own."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[1]

# Before anything imports Airflow: it reads its settings at import.
os.environ.update(
    AIRFLOW_HOME=tempfile.mkdtemp(prefix="incumbent-airflow-"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    INCUMBENT_ROOT=str(ROOT),
    GX_ANALYTICS_ENABLED="false",
    MLFLOW_DISABLE_TELEMETRY="true",
    RAY_USAGE_STATS_ENABLED="0",
    DO_NOT_TRACK="1",
)


class TogetherByFixture(LoadScopeScheduling):
    """Gives one process the stack's tests, in their order, and each other file as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        return "stack" if nodeid.startswith("tests/integration/") else nodeid.partition("::")[0]


# Not `--dist loadgroup`: with pytest 9.2 it groups nothing, without a word (pytest-dev/pytest-xdist#1386).
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> TogetherByFixture:
    """Replace the scheduler of `--numprocesses`."""
    return TogetherByFixture(config, log)
