"""An error on its way from a process of a cluster to the task: plain values, from which it is raised again.

A worker returns it, and the job tells it on a line of its log. That arrives where a record in the store may not: when
the store cannot be reached, or is full.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from incumbent import errors
from incumbent.errors import PipelineError, UnavailableError

FAILURE = "incumbent.failure "


def failure_of(error: PipelineError) -> dict[str, Any]:
    """Return an error, and whether it is worth another try, as plain values."""
    fields = {
        "what": error.what,
        "where": error.where,
        "expected": None if error.expected is None else str(error.expected),
        "found": None if error.found is None else str(error.found),
        "next_step": error.next_step,
    }
    return {"error": fields, "kind": type(error).__name__, "again": isinstance(error, UnavailableError)}


def check_failure(plain: Mapping[str, Any]) -> None:
    """Raise the error that a result tells of, if it tells of one.

    >>> check_failure({"rounds": 10})
    >>> check_failure({"error": {"what": "no rows", "where": "x", "next_step": "wait"}, "again": False})
    Traceback (most recent call last):
    ...
    incumbent.errors.TrainingError: no rows
      where: x
      next: wait
    """
    if "error" in plain:
        kind = getattr(errors, plain.get("kind", ""), errors.TrainingError)  # a result of an earlier release has none
        raise (UnavailableError if plain["again"] else kind)(**plain["error"])


def failure_line(error: PipelineError) -> str:
    """Return an error as one line of a job's log."""
    return FAILURE + json.dumps(failure_of(error))


def failure_in(log: str) -> dict[str, Any]:
    r"""Return the last error that a job's log tells of, as plain values; nothing if it tells of none.

    >>> failure_in("attempt 1\n" + failure_line(UnavailableError("no room", where="x", next_step="wait")))["again"]
    True
    >>> failure_in("attempt 1")
    {}
    """
    told = [line for line in log.splitlines() if line.startswith(FAILURE)]
    return dict(json.loads(told[-1].removeprefix(FAILURE))) if told else {}
