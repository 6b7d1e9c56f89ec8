"""An error on its way from a process of a cluster to the task: plain values, from which it is raised again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from incumbent.errors import PipelineError, TrainingError, UnavailableError


def failure_of(error: PipelineError) -> dict[str, Any]:
    """Return an error, and whether it is worth another try, as plain values."""
    fields = {
        "what": error.what,
        "where": error.where,
        "expected": None if error.expected is None else str(error.expected),
        "found": None if error.found is None else str(error.found),
        "next_step": error.next_step,
    }
    return {"error": fields, "again": isinstance(error, UnavailableError)}


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
        raise (UnavailableError if plain["again"] else TrainingError)(**plain["error"])
