"""Errors that say what, where, expected against found, and the next step.

A rejected model, a drift or "no retrain" is a result, not an error. An error is something the
code cannot decide: it carries fields, renders at most ten examples and survives pickling between
processes.
"""

from __future__ import annotations

from typing import Any

MAX_EXAMPLES = 10


class PipelineError(Exception):
    """Base of every error that Incumbent raises on purpose.

    Args:
        what: What went wrong, one clause.
        where: File, table, column, key or service it concerns.
        expected: What would have been right, if that can be said.
        found: What was there instead.
        next_step: What the reader should do now.
        examples: Offending values; at most ten are shown.

    >>> print(PipelineError("column is missing", where="flights/2013-02.parquet: distance",
    ...                     expected="int64", found="absent", next_step="ask the sender for it"))
    column is missing
      where: flights/2013-02.parquet: distance
      expected: int64
      found: absent
      next: ask the sender for it
    """

    retryable = False

    def __init__(
        self,
        what: str,
        *,
        where: str,
        next_step: str,
        expected: object = None,
        found: object = None,
        examples: tuple[object, ...] | list[object] = (),
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.expected = expected
        self.found = found
        self.next_step = next_step
        self.examples = tuple(str(example) for example in examples)

    def __str__(self) -> str:
        lines = [self.what, f"  where: {self.where}"]
        if self.expected is not None:
            lines.append(f"  expected: {self.expected}")
        if self.found is not None:
            lines.append(f"  found: {self.found}")
        if self.examples:
            shown = ", ".join(self.examples[:MAX_EXAMPLES])
            more = len(self.examples) - MAX_EXAMPLES
            lines.append(f"  examples: {shown}" + (f" and {more} more" if more > 0 else ""))
        lines.append(f"  next: {self.next_step}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Return plain data: what is no text is said as one."""
        fields = {name: getattr(self, name) for name in ("what", "where", "expected", "found", "next_step")}
        said = {name: None if value is None else str(value) for name, value in fields.items()}
        return {**said, "examples": list(self.examples[:MAX_EXAMPLES])}

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), dict(self.__dict__)))


def parts_of(text: str) -> dict[str, str]:
    r"""Return the parts of an error that was written down as text.

    >>> parts_of("the file is empty\n  where: a.csv\n  next: send it again")
    {'what': 'the file is empty', 'where': 'a.csv', 'next': 'send it again'}
    """
    what, *rest = text.split("\n  ")
    return {"what": what} | dict(line.partition(": ")[::2] for line in rest)


def _rebuild(kind: type[PipelineError], fields: dict[str, Any]) -> PipelineError:
    return kind(**fields)


class ConfigError(PipelineError):
    """A model folder, a contract or a setting cannot be used as written."""


class BatchError(PipelineError):
    """A delivered file cannot be read or does not belong where it was put.

    Attributes:
        reason: The code of `incumbent.admit.order.Reason`, for programs; empty where none says it.
    """

    def __init__(self, what: str, *, reason: str = "", **fields: Any) -> None:
        super().__init__(what, **fields)
        self.reason = reason


class StoreError(PipelineError):
    """The store holds something else than its records promise."""


class RecordConflict(StoreError):
    """A put-if-absent record exists already with other content."""


class FeatureError(PipelineError):
    """A feature definition cannot be computed or returns something unusable."""


class TrainingError(PipelineError):
    """A training cannot succeed with this data and these parameters."""


class ModelError(PipelineError):
    """A model file is missing, altered or unreadable."""


class UnavailableError(PipelineError):
    """A service did not answer; the same call may go through later."""

    retryable = True
