"""What a training gave, checked before anybody else sees it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from incumbent.config import Model
from incumbent.errors import TrainingError


@dataclass(frozen=True)
class Outcome:
    """What a training gave, in plain values.

    Attributes:
        version: Digest of the model file, which is in the store.
        size: Bytes of the model file.
        rounds: Rounds in it.
        rows: Rows it has learned from.
        features, categories: Its encoding.
        importance: Feature to its share of the gain.
        checkpoints: Checkpoints over all attempts.
        resumed_from: Round the last attempt started from; None if from nothing.
        exact: Whether it equals, byte for byte, one that was never disturbed.
        device, workers: What computed at the end.
        layout: The same, with the threads.
        cores: Threads of all workers.
        metric: Name of the scores.
        scores: `train`, round to score; `validation`, one for each round.
        seconds: How long the last attempt took, by step.
        hardware: What the last attempt ran on.
        search: Id of the search before it; empty without one.
        warnings: What a person should know of the rows.
    """

    version: str
    size: int
    rounds: int
    rows: int
    features: Sequence[str]
    categories: Mapping[str, Sequence[str]]
    importance: Mapping[str, float]
    checkpoints: int
    resumed_from: int | None
    exact: bool
    device: str
    workers: int
    layout: str
    cores: int
    metric: str
    scores: Mapping[str, Any]
    seconds: Mapping[str, float]
    hardware: Mapping[str, Any]
    search: str = ""
    warnings: Sequence[str] = ()


def check_outcome(model: Model, outcome: Outcome) -> None:
    """Refuse a model that nobody could use: unfinished, too large, or one that has learned nothing.

    Raises:
        TrainingError: It is one of these.
    """
    where, train = f"model {model.name}, version {outcome.version[:16]}", model.train
    # LightGBM ends when there is nothing more to learn.
    if train.estimator == "xgboost" and train.early_stopping is None and outcome.rounds != train.rounds:
        raise TrainingError(
            "the model has not the rounds that were asked for",
            where=where,
            expected=f"{train.rounds} rounds",
            found=f"{outcome.rounds} rounds",
            next_step="clear the task; if it happens again, report it with the task's log",
        )
    if outcome.size > train.max_megabytes * 1e6:
        raise TrainingError(
            "the model file is too large",
            where=where,
            expected=f"at most {train.max_megabytes:g} MB",
            found=f"{outcome.size / 1e6:.1f} MB",
            next_step="lower train.rounds or max_depth, or raise train.max_megabytes",
        )
    if not any(outcome.importance.values()):
        raise TrainingError(
            "nothing was learned: no feature is ever split on",
            where=where,
            expected="a model that looks at a feature",
            found=f"{outcome.rounds} rounds on {outcome.rows} rows with a constant prediction",
            next_step="look at features that are all null or constant, at min_child_weight, gamma and train.weight",
        )
