"""Named points before and after every change of state, where a test can end the process.

`INCUMBENT_CRASH_AT="after record promotions"` kills the process there; `…#3` at the third time it comes by.
`INCUMBENT_CRASH_TRACE=FILE` writes the name of each point that is passed. Without them a point costs a look
into the environment.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

AT = "INCUMBENT_CRASH_AT"
TRACE = "INCUMBENT_CRASH_TRACE"
_passed: Counter[str] = Counter()


@contextmanager
def around(change: str) -> Iterator[None]:
    """Name the points before and after a change of state."""
    reached(f"before {change}")
    yield
    reached(f"after {change}")


def reached(point: str) -> None:
    """End the process here, as a power loss would, if a test asked for it."""
    if trace := os.environ.get(TRACE):
        with Path(trace).open("a", encoding="utf-8") as handle:
            handle.write(f"{point}\n")
    if wanted := os.environ.get(AT):
        name, _, count = wanted.partition("#")
        _passed[point] += 1
        if name == point and _passed[point] == int(count or 1):
            os.kill(os.getpid(), signal.SIGKILL)
