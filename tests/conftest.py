"""What every test stands on: no telemetry, no proxy, and an Airflow home of its own."""

import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Before anything imports Airflow: it reads its settings at import.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="incumbent-airflow-"))
os.environ.update(
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    INCUMBENT_ROOT=str(ROOT),
    GX_ANALYTICS_ENABLED="false",
    MLFLOW_DISABLE_TELEMETRY="true",
    RAY_USAGE_STATS_ENABLED="0",
    DO_NOT_TRACK="1",
)
