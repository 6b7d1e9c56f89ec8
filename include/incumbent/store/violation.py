"""A broken promise, as the checks report it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """One broken promise: which promise, where, and what was found."""

    promise: str
    where: str
    found: str
