"""What Airflow itself costs: the start of the stack, its memory, the gap between two tasks, parsing, imports.

The peer is the same Airflow with its stock settings: LocalExecutor and a scheduler that sleeps for a second.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median
from unittest import mock

from demo.api import Airflow

from benchmarks.harness import Figure, figure
from incumbent.embedded import processes, stack
from incumbent.embedded.environment import environment
from incumbent.embedded.settings import Settings

ROOT = Path(__file__).parents[1]
STOCK = {"AIRFLOW__CORE__EXECUTOR": "LocalExecutor", "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "1"}
PORT_BASE = 31_000
RUNS = 5
MODELS = 50
CHAIN = """
from datetime import datetime
from airflow.sdk import DAG, chain, task

with DAG("chain", schedule=None, start_date=datetime(2020, 1, 1), is_paused_upon_creation=False):
    @task
    def one(number):
        return number

    chain(*[one.override(task_id=f"task_{i}")(i) for i in range(6)])
"""
PARSE = """
import sys, time
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[1])
assert not bag.import_errors, bag.import_errors
times = [found.duration.total_seconds() for found in bag.dagbag_stats]
print(max(times), sum(times), len(bag.dags))
"""
STAGES = {
    "validate": ("incumbent.validate",),
    "data_docs": ("incumbent.validate.docs", "great_expectations.render.renderer"),
    "features": ("incumbent.features.build",),
    "snapshot": ("incumbent.snapshot",),
    "train": ("incumbent.train.stage", "ray.job_submission"),
    "evaluate": ("incumbent.evaluate", "incumbent.estimators"),
    "promote": ("incumbent.promote", "mlflow.tracking"),
    "score": ("incumbent.score", "incumbent.estimators", "xgboost"),
    "monitor": ("incumbent.monitor",),
    "report": ("evidently.presets",),
}


def measure() -> Iterator[Figure]:
    """Yield each figure as it is known."""
    yield from _imports()
    yield from _parsing(1, slowest=0.5, together=None)
    yield from _parsing(MODELS, slowest=None, together=10.0)
    ours = _stack({})
    yield figure("stack_first_start", ours.first_start_s, "s")
    yield figure("stack_second_start", ours.second_start_s, "s")
    yield figure("stack_memory_without_ray", ours.memory_mb, "MB", goal=2000)
    yield figure("task_gap", ours.gaps_s, "s", goal=0.4)
    stock = _stack(STOCK)
    yield figure("stock_first_start", stock.first_start_s, "s")
    yield figure("stock_second_start", stock.second_start_s, "s")
    yield figure("stock_memory_without_ray", stock.memory_mb, "MB")
    yield figure("stock_task_gap", stock.gaps_s, "s")
    yield figure("task_gap_to_stock", median(ours.gaps_s) / median(stock.gaps_s), "", goal=0.5)


@dataclass(frozen=True)
class StackFigures:
    """What one stack took."""

    first_start_s: float
    second_start_s: float
    memory_mb: float
    gaps_s: list[float]


def _imports() -> Iterator[Figure]:
    for stage, modules in STAGES.items():
        code = f"import time; t = time.perf_counter(); import {', '.join(modules)}; print(time.perf_counter() - t)"
        yield figure(f"import_{stage}", [float(_python(code)) for _ in range(3)], "s")


def _parsing(count: int, slowest: float | None, together: float | None) -> Iterator[Figure]:
    shipped = ROOT / "include" / "models" / "flights_delay"
    with tempfile.TemporaryDirectory() as folder:
        for name in (f"model_{number:02d}" for number in range(count)):
            shutil.copytree(shipped, Path(folder) / name)
            path = Path(folder) / name / "model.yaml"
            path.write_text(path.read_text().replace("name: flights_delay", f"name: {name}"))
        found = [_python(PARSE, str(ROOT / "dags"), INCUMBENT_MODELS=folder).split() for _ in range(3)]
    what = f"{count}_models_{found[0][2]}_dags"
    yield figure(f"parse_slowest_file_{what}", [float(words[0]) for words in found], "s", slowest)
    yield figure(f"parse_all_files_{what}", [float(words[1]) for words in found], "s", together)


def _stack(of_airflow: dict[str, str]) -> StackFigures:
    """Start a stack over a folder with one chain of tasks, run the chain, stop, and start again."""
    starts = []
    with (
        _project() as settings,
        mock.patch.object(stack, "environment", lambda found: environment(found) | of_airflow),
    ):
        for again in (False, True):
            try:
                began = time.monotonic()
                stack.up(settings, lambda line: None)
                starts.append(time.monotonic() - began)
                if not again:
                    gaps = _gaps(Airflow(settings.airflow_url, settings.passwords_file))
                    memory = sum(processes.memory_mb(settings.run).values())
            finally:
                stack.down(settings)
    return StackFigures(starts[0], starts[1], memory, gaps)


def _gaps(api: Airflow) -> list[float]:
    gaps = []
    for _ in range(RUNS):
        run = {"dag_id": "chain", "dag_run_id": api.trigger("chain")}
        assert api.wait(run["dag_id"], run["dag_run_id"]) == "success"
        spans = sorted((task["start_date"], task["end_date"]) for task in api.tasks(run))
        for (_, ended), (started, _) in pairwise(spans):
            gaps.append((datetime.fromisoformat(started) - datetime.fromisoformat(ended)).total_seconds())
    return gaps


@contextmanager
def _project() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "dags").mkdir()
        (root / "dags" / "chain.py").write_text(CHAIN)
        (root / "include" / "models").mkdir(parents=True)
        shutil.copy(ROOT / "airflow_settings.yaml", root)
        yield Settings.from_env({"INCUMBENT_PORT_BASE": str(PORT_BASE)}, root)


def _python(code: str, *words: str, **env: str) -> str:
    """Return the last line that a fresh interpreter prints."""
    with tempfile.TemporaryDirectory() as home:
        airflow = {"AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "INCUMBENT_ROOT": str(ROOT)}
        command = [sys.executable, "-W", "ignore", "-c", code, *words]
        done = subprocess.run(
            command, env=os.environ | airflow | env, check=True, stdout=subprocess.PIPE, text=True, timeout=300
        )
    return done.stdout.strip().splitlines()[-1]
