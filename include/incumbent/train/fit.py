"""Fit a model round by round, from nothing or from the newest checkpoint, to the same bytes."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from incumbent.errors import TrainingError
from incumbent.estimators.rounds import Rounds
from incumbent.train.checkpoints import Checkpoint, State
from incumbent.train.progress import Progress, Told

SCORED = 25  # rounds between two scores of all training rows, each of which costs a third of a round


@dataclass(frozen=True)
class Plan:
    """How a fit goes.

    Attributes:
        rounds: Rounds wanted; at most so many with `patience`.
        patience: Rounds without a better validation score after which it stops; None never stops early.
        every: Most rounds between two checkpoints.
        seconds: Most seconds between two checkpoints.
        layout: What computes; see `State`.
        rows: Training rows of all workers.
        workers: Workers that fit together.
        attempt: Which attempt of its job this is.
    """

    rounds: int
    patience: int | None
    every: int
    seconds: float
    layout: str
    rows: int
    workers: int = 1
    attempt: int = 1


@dataclass(frozen=True)
class Fitted:
    """What a fit gave: the model, and where it came from.

    Attributes:
        model: The model file.
        rounds: Rounds in it.
        importance: Feature to its share of what was learned.
        state: Where the fit was at its end.
        resumed_from: Round the last attempt started from; None if from nothing.
        metric: Name of the scores.
        seconds: How long this attempt took.
    """

    model: bytes
    rounds: int
    importance: Mapping[str, float]
    state: State
    resumed_from: int | None
    metric: str
    seconds: float


def fit(
    rounds: Rounds,
    plan: Plan,
    start: Checkpoint | None,
    keep: Callable[[State, bytes], None],
    tell: Callable[[Progress], None] = lambda progress: None,
    clock: Callable[[], float] = time.monotonic,
) -> Fitted:
    """Return the model of so many rounds, checkpointed every few.

    In a group every worker calls this with the same plan, and only one of them keeps anything: a checkpoint is the
    same on all of them.

    Args:
        rounds: The fit, at the round of `start`.
        plan: How it goes.
        start: Checkpoint, or another model, that it goes on from.
        keep: Keeps a checkpoint.
        tell: Told how far it is, every few seconds.
        clock: Monotonic seconds.

    Raises:
        TrainingError: A score is not finite.
    """
    state, first = _begun(rounds, plan, start), rounds.done
    resumed = state.rounds if state.written else None
    told, began, kept = Told(tell, clock), clock(), clock()
    validation, train = list(state.validation), dict(state.train)
    wanted = False

    def progress() -> Progress:
        took, done = clock() - began, rounds.done - first
        speed = done / took if took > 0 else 0.0
        left = (plan.rounds - rounds.done) / speed if speed else None
        metric, score = _last_score(rounds.metric, validation, train)
        return Progress(
            rounds.done, plan.rounds, plan.rows, metric, score, speed * plan.rows, left, state.rounds, resumed,
            plan.attempt, plan.workers, (os.getpid(),),
        )  # fmt: skip

    told(progress(), now=True)
    over = _is_over(rounds, plan, validation)
    while not over:
        more = rounds.add()
        if more and plan.patience is not None:
            validation.append(_finite(rounds.score("validation"), rounds, "validation"))
        over = not more or _is_over(rounds, plan, validation)
        if rounds.done % SCORED == 0 or over:
            train[str(rounds.done)] = _finite(rounds.score("train"), rounds, "train")
        wanted = wanted or rounds.done % plan.every == 0 or clock() - kept >= plan.seconds
        if over or (wanted and rounds.done % rounds.segment == 0):
            state = replace(
                state, rounds=rounds.done, written=state.written + 1, validation=tuple(validation), train=dict(train)
            )
            keep(state, rounds.save())
            kept, wanted = clock(), False
        told(progress(), now=over)
    best = rounds.done if plan.patience is None else best_round(validation, rounds.larger_is_better)
    importance = _all_finite(rounds.importance(best), rounds)
    return Fitted(rounds.finish(best), best, importance, state, resumed, rounds.metric, clock() - began)


def _begun(rounds: Rounds, plan: Plan, start: Checkpoint | None) -> State:
    """Return where a fit begins; it stays exact if all attempts compute alike, and its estimator can go on exactly."""
    if start is None:
        return State(layout=plan.layout)
    same = rounds.exact and start.state.layout == plan.layout
    return replace(start.state, exact=start.state.exact and same, layout=plan.layout)


def best_round(scores: Sequence[float], larger_is_better: bool) -> int:
    """Return how many rounds the best model has; of equals the smaller.

    >>> best_round([0.5, 0.4, 0.4, 0.45], larger_is_better=False)
    2
    """
    best = max(scores) if larger_is_better else min(scores)
    return list(scores).index(best) + 1


def _is_over(rounds: Rounds, plan: Plan, validation: Sequence[float]) -> bool:
    if rounds.done >= plan.rounds:
        return True
    if plan.patience is None or not validation:
        return False
    return rounds.done - best_round(validation, rounds.larger_is_better) >= plan.patience


def _finite(score: float, rounds: Rounds, rows: str) -> float:
    if not math.isfinite(score):
        raise TrainingError(
            "a score is not finite",
            where=f"round {rounds.done}, {rounds.metric} of the {rows} rows",
            expected="a number",
            found=score,
            next_step="correct train.params (a smaller eta), or the objective; look for extreme labels or weights",
        )
    return score


def _all_finite(importance: Mapping[str, float], rounds: Rounds) -> Mapping[str, float]:
    """Refuse a model whose gains ran over: its scores may be finite all the same."""
    if bad := [name for name, share in importance.items() if not math.isfinite(share)]:
        raise TrainingError(
            "what was learned is not finite",
            where=f"round {rounds.done}, importance of the features",
            expected="shares of the gain",
            found=f"none for {len(bad)} of {len(importance)} features",
            next_step="look for extreme labels or weights; bring them to a scale near 1",
        )
    return importance


def _last_score(metric: str, validation: Sequence[float], train: Mapping[str, float]) -> tuple[str, float | None]:
    if validation:
        return f"validation {metric}", validation[-1]
    return (f"train {metric}", train[max(train, key=int)]) if train else ("", None)
