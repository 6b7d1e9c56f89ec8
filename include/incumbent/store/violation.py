"""A broken promise, as the checks report it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from incumbent.errors import PipelineError


@dataclass(frozen=True)
class Violation:
    """One broken promise: which promise, where, and what was found."""

    promise: str
    where: str
    found: str


def guarded(promise: str, where: str, found: Iterable[Violation]) -> Iterator[Violation]:
    """Yield what a check finds, and what kept it from finishing as one more violation.

    What is damaged can fail in any way while it is read; the walk goes on with the next record.
    """
    try:
        yield from found
    except PipelineError as error:
        yield Violation(promise, where, f"{error.what}: {error.where}")
    except Exception as error:
        first_line = str(error).strip().split("\n")[0]
        yield Violation(promise, where, f"{type(error).__name__}: {first_line}"[:300])
