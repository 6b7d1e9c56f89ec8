"""A fit that is under way: what every estimator that learns in rounds can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from incumbent.estimators.encoding import Matrix
from incumbent.functions import Functions


class GroupBroken(Exception):
    """A worker of the group is gone, and the others cannot go on without it."""


@dataclass(frozen=True)
class Given:
    """What a fit is told, besides its rows.

    Attributes:
        task: `binary`, `multiclass` or `regression`.
        params: The user's parameters.
        seed: Base seed.
        device: `cpu` or `cuda`.
        threads: How many.
        bins: Cuts of each feature, the same for all workers of a group; learned from the rows that are given if None.
        class_weight: What a row of class 1 weighs, against 1 for one of class 0.
        external: Folder for the binned rows; None to keep them in memory.
        script: Text of the user's own training script; empty where an estimator is fitted here.
        script_seconds: After so many it is ended.
        functions: What the folder's `model.py` defines.
    """

    task: str
    params: Mapping[str, Any]
    seed: int
    device: str
    threads: int
    bins: Matrix | None = None
    class_weight: float = 1.0
    external: Path | None = None
    script: str = ""
    script_seconds: float = 0.0
    functions: Functions = field(default_factory=Functions)


class Rounds(Protocol):
    """A model that grows by one round at a time.

    Of a group of workers each has one over its own rows, and all of them take every step together.

    Attributes:
        done: Rounds so far.
        exact: Whether a fit that goes on from what `save` gave ends with the bytes of one that was never stopped.
        segment: A fit can go on from every so many-th round, and from its last.
        metric: Name of the score.
        larger_is_better: Of the score.
    """

    done: int
    exact: bool
    segment: int
    metric: str
    larger_is_better: bool

    def add(self) -> bool:
        """Learn one more round; False if there is nothing more to learn, and `done` stays what it is."""

    def score(self, rows: str) -> float:
        """Return the score on the rows of a role: `train` or `validation`."""

    def save(self) -> bytes:
        """Return the model so far, to go on from."""

    def finish(self, rounds: int) -> bytes:
        """Return the model of its first rounds, to predict with; nothing is added afterwards."""

    def importance(self, rounds: int) -> Mapping[str, float]:
        """Return each feature's share of what the first rounds have learned; the shares sum to 1."""
