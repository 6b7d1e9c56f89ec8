"""Which trial of a search is taken: pure, from what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from incumbent.records import Trial


def pareto_set(trials: Sequence[Trial], objectives: Sequence[str]) -> tuple[int, ...]:
    """Return the numbers of the trials that no other one beats, in number order.

    A trial beats another if it is nowhere worse and somewhere better. Failed trials are in no set; one that was
    given up or cut counts with the rounds it had.
    """
    losses = {trial.number: trial.losses(objectives) for trial in trials if trial.state != "failed"}
    return tuple(
        number
        for number, own in sorted(losses.items())
        if not any(
            other != own and all(theirs <= ours for theirs, ours in zip(other, own, strict=True))
            for other in losses.values()
        )
    )


def choose_trial(trials: Sequence[Trial], objectives: Sequence[str], tolerance: float) -> Trial:
    """Return the trial to fit: one of the Pareto set.

    With `quality` alone it is the best. With more, of those whose score is worse than the best by at most the
    tolerated share it is the one with the least second objective, then the least third. Of equals the first.

    Args:
        trials: At least one that has not failed.
        objectives: `quality` first.
        tolerance: Share of the best score.
    """
    judged = [trial for trial in trials if trial.state != "failed"]
    best = min(trial.loss for trial in judged)
    good = [trial for trial in judged if trial.loss <= best + tolerance * abs(best)]
    return min(good, key=lambda trial: (*trial.losses(objectives)[1:], trial.loss, trial.number))
