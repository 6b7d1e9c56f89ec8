"""Kills a real process at every named point of a scenario, one after the other; no state may change elsewhere."""

import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tests.state_changes import watched

from incumbent.store.crash_points import AT, TRACE

Scenario = Callable[[Path], None]
LIMIT_S = 120
# What scenarios use, imported once: each process is a fork of one that has nothing running.
PRELOADED = [
    "boto3",
    "deltalake",
    "duckdb",
    "pyarrow.parquet",
    "pytest",
    "incumbent.erase",
    "tests.incumbent.publish.places",
    "tests.incumbent.validate.conftest",
]


def finish(scenario: Scenario, root: Path) -> list[str]:
    """Run a scenario to its end in a process of its own; return the points that it passed, numbered.

    Each change of `root / "store"` must lie alone between two points: killing at all of them is then killing between
    any two changes.
    """
    trace, amiss = (root.with_name(f"{root.name}.{what}") for what in ("trace", "amiss"))
    trace.write_text("")
    assert _run(partial(_watched, scenario, amiss), root, {TRACE: str(trace)}) == 0
    assert amiss.read_text() == "", f"changes of state without a point of their own:\n{amiss.read_text()}"
    passed: Counter[str] = Counter()
    points = []
    for name in trace.read_text().splitlines():
        passed[name] += 1
        points.append(f"{name}#{passed[name]}")
    return points


def killed_at_each_point(
    scenario: Scenario, folder: Path, *, each_time: bool = True, begun: Path | None = None
) -> Iterator[tuple[str, Path]]:
    """Yield each point of a scenario, and the folder that a process left which was killed there.

    Args:
        scenario: What is run.
        folder: Where the folders are made.
        each_time: At a point that comes by several times, each time; else the first.
        begun: A folder that each run goes on from, in a copy of its own; None for an empty one.
    """
    points = [each for each in finish(scenario, _copy(begun, folder / "whole")) if each_time or each.endswith("#1")]
    assert points, "nothing changed any state"
    for number, point in enumerate(points):
        yield point, killed_at(scenario, _copy(begun, folder / f"killed-{number:03d}"), point)


def killed_at(scenario: Scenario, root: Path, point: str) -> Path:
    """Run a scenario in a process that is killed at a point; return the folder that it left."""
    assert _run(scenario, root, {AT: point}) == -signal.SIGKILL, point
    return root


def changes(points: Iterable[str]) -> set[str]:
    """Return the changes of state that some points lie before or after."""
    return {point.partition(" ")[2].partition("#")[0] for point in points}


def _copy(begun: Path | None, root: Path) -> Path:
    if begun is not None:
        shutil.copytree(begun, root)
    return root


def _watched(scenario: Scenario, amiss: Path, root: Path) -> None:
    with watched(root / "store") as found:
        scenario(root)
    amiss.write_text("\n".join(found))


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
