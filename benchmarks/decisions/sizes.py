"""How much is drawn: the full study, a share of it, or what continuous integration has time for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

SIZE, PROCESSES = "INCUMBENT_BENCH_SIZE", "INCUMBENT_BENCH_PROCESSES"
Task = TypeVar("Task")
Found = TypeVar("Found")


def scaled(count: int, least: int = 3) -> int:
    """Return a number of draws at the size that `INCUMBENT_BENCH_SIZE` asks for; 1 is the full study."""
    return max(least, round(count * float(os.environ.get(SIZE, "1"))))


def processes() -> int:
    """Return how many processes work at once: `INCUMBENT_BENCH_PROCESSES`, or as many as there are cores."""
    return int(os.environ.get(PROCESSES) or os.cpu_count() or 1)


def spread(work: Callable[[Task], Found], tasks: Iterable[Task]) -> list[Found]:
    """Return the result of each task, in order, from several processes."""
    if processes() == 1:
        return [work(task) for task in tasks]
    with ProcessPoolExecutor(processes()) as pool:
        return list(pool.map(work, tasks))
