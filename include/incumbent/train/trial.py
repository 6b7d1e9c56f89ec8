"""One trial of a search: so many rounds as pay, judged on the validation rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from incumbent.errors import TrainingError
from incumbent.estimators.rounds import Rounds
from incumbent.records import Trial
from incumbent.search_space import laid_over
from incumbent.train.fit import best_round
from incumbent.train.work import Place, Prepared, Work

WARM_UP = 30  # rounds before which no trial is given up
LEAST_WINDOW = 25  # rounds over which its speed is taken, at least: scores of few rows stand still for ten


@dataclass(frozen=True)
class Asked:
    """A trial that is to be.

    Attributes:
        number: From 0 on.
        origin: `champion`, `folder` or `sampler`.
        params: What is laid over the folder's parameters.
        best: Least loss that a trial has to come near; None lets each end by itself.
        seconds: How long it may take; None for as long as it takes.
        is_weighed: Whether latency and size are wanted too.
    """

    number: int
    origin: str
    params: Mapping[str, Any]
    best: float | None = None
    seconds: float | None = None
    is_weighed: bool = False


@dataclass(frozen=True)
class Curve:
    """The scores of a trial.

    Attributes:
        scores: On the validation rows, after each round.
        state: `complete`, `given_up` or `cut`.
    """

    scores: Sequence[float]
    state: str


def run_trial(
    work: Work,
    files: Sequence[Path],
    prepared: Prepared,
    place: Place,
    asked: Asked,
    clock: Callable[[], float] = time.monotonic,
) -> Trial:
    """Learn a trial and measure what it gave; parameters that cannot be learned make a failed trial.

    Args:
        work: The search's; see `incumbent.train.search.trials_of`.
        files: Of the snapshot's features.
        prepared: Rows to learn from and to judge on.
        place: Where it is learned.
        asked: Which parameters.
        clock: Monotonic seconds.
    """
    began = clock()
    trains = work.model.train
    train = trains.model_copy(update={"params": laid_over(trains.estimator, trains.params, asked.params)})
    own = replace(work, model=work.model.model_copy(update={"train": train}))
    if train.params.get("max_bin") != trains.params.get("max_bin"):
        prepared = replace(prepared, bins=None)
    try:
        with own.rounds(files, prepared, place, None) as rounds:
            curve = learn(rounds, train.rounds, train.early_stopping, asked, clock)
            return _measured(rounds, curve, asked, clock() - began)
    except TrainingError as error:
        message = f"{error.what}: {error.found}; next: {error.next_step}"
        return Trial(
            asked.number, asked.origin, dict(asked.params), "failed", 0, 0, "", False, {}, clock() - began, message
        )


def learn(
    rounds: Rounds, most: int, patience: int | None, asked: Asked, clock: Callable[[], float] = time.monotonic
) -> Curve:
    """Learn round by round until nothing is to be had of it any more, and return the scores.

    Raises:
        TrainingError: A score is not finite.
    """
    began, scores, losses = clock(), [], []
    sign = -1.0 if rounds.larger_is_better else 1.0
    while rounds.done < most:
        rounds.add()
        scores.append(_finite(rounds.score("validation"), rounds))
        losses.append(sign * scores[-1])
        if patience is not None and rounds.done - best_round(losses, larger_is_better=False) >= patience:
            break
        if asked.best is not None and is_hopeless(losses, most - rounds.done, asked.best):
            return Curve(scores, "given_up")
        if asked.seconds is not None and clock() - began >= asked.seconds:
            return Curve(scores, "cut")
    return Curve(scores, "complete")


def is_hopeless(losses: Sequence[float], left: int, best: float) -> bool:
    """Return whether a trial would not reach the best even if it went on getting better as in its last half.

    Boosting gets better more and more slowly, so what it would reach at that speed is more than it will. A trial
    that learns slowly and long is not given up for being behind others that learn fast, which is what comparing
    trials at the same round does.

    Args:
        losses: After each round.
        left: Rounds that it might still learn.
        best: Least loss of the trials before it.

    >>> slow = [1 - 0.002 * round for round in range(30)]
    >>> is_hopeless(slow, left=300, best=0.5), is_hopeless(slow, left=100, best=0.5)
    (False, True)
    """
    if len(losses) < WARM_UP:
        return False
    window = max(LEAST_WINDOW, len(losses) // 2)
    now, before = min(losses), min(losses[:-window])
    return now - (before - now) / window * left > best


def _measured(rounds: Rounds, curve: Curve, asked: Asked, seconds: float) -> Trial:
    from incumbent.estimators.xgboost import steps  # the only estimator whose parameters a search knows

    best = best_round(curve.scores, rounds.larger_is_better)
    values = {"quality": curve.scores[best - 1]}
    if asked.is_weighed:
        model = rounds.finish(best)
        values |= {"latency": steps(model), "size": float(len(model))}
    return Trial(
        number=asked.number,
        origin=asked.origin,
        params=dict(asked.params),
        state=curve.state,
        rounds=best,
        tried=len(curve.scores),
        metric=rounds.metric,
        larger_is_better=rounds.larger_is_better,
        values=values,
        seconds=round(seconds, 3),
    )


def _finite(score: float, rounds: Rounds) -> float:
    if not math.isfinite(score):
        raise TrainingError(
            "a score is not finite",
            where=f"round {rounds.done}, {rounds.metric} of the validation rows",
            expected="a number",
            found=score,
            next_step="narrow train.search.space",
        )
    return score
