"""Kills a real process at every named point of a scenario, one after the other."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path

from incumbent.store.crash_points import AT, TRACE

Scenario = Callable[[Path], None]
LIMIT_S = 120
# What scenarios use, imported once: each process is a fork of one that has nothing running.
PRELOADED = [
    "deltalake",
    "duckdb",
    "pyarrow.parquet",
    "pytest",
    "incumbent.erase",
    "tests.incumbent.validate.conftest",
]


def finish(scenario: Scenario, root: Path) -> list[str]:
    """Run a scenario to its end in a process of its own; return the points that it passed, numbered."""
    trace = root.with_name(f"{root.name}.trace")
    trace.write_text("")
    assert _run(scenario, root, {TRACE: str(trace)}) == 0
    passed: Counter[str] = Counter()
    points = []
    for name in trace.read_text().splitlines():
        passed[name] += 1
        points.append(f"{name}#{passed[name]}")
    return points


def killed_at_each_point(scenario: Scenario, folder: Path, *, each_time: bool = True) -> Iterator[tuple[str, Path]]:
    """Yield each point of a scenario, and the folder that a process left which was killed there.

    Args:
        scenario: What is run.
        folder: Where the folders are made.
        each_time: At a point that comes by several times, each time; else the first.
    """
    points = [each for each in finish(scenario, folder / "whole") if each_time or each.endswith("#1")]
    assert points, "nothing changed any state"
    for number, point in enumerate(points):
        yield point, killed_at(scenario, folder / f"killed-{number:03d}", point)


def killed_at(scenario: Scenario, root: Path, point: str) -> Path:
    """Run a scenario in a process that is killed at a point; return the folder that it left."""
    assert _run(scenario, root, {AT: point}) == -signal.SIGKILL, point
    return root


def _run(scenario: Scenario, root: Path, environment: dict[str, str]) -> int | None:
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    process = context.Process(target=_child, args=(scenario, root, environment))
    process.start()
    process.join(LIMIT_S)
    if process.exitcode is None:
        process.kill()
    return process.exitcode


def _child(scenario: Scenario, root: Path, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    scenario(root)
