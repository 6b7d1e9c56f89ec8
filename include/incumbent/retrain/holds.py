"""What holds a training back: a cause that no training cures, too little that is new, waits and budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from incumbent.config import Model
from incumbent.error_budget import alpha_of, budget, judged_day
from incumbent.retrain.budget import cooldown_left, in_days, overspent, tokens
from incumbent.retrain.cause import incurable
from incumbent.retrain.channels import Channel
from incumbent.retrain.history import DRIFT, FAILED, OPEN, PROMOTE, History, PastRequest
from incumbent.retrain.rows import last_before, training_rows
from incumbent.retrain.rule import ruled

TWICE = 2  # a refusal doubles a wait, and twice as much to learn from ends the doubling


def holds(
    model: Model,
    partition: str,
    history: History,
    alarms: Sequence[Channel],
    rule: str,
    *,
    degraded: bool,
    recalibrates: bool,
) -> list[dict[str, Any]]:
    """Return each reason not to train for what a rule asks, whether it fires or not.

    Args:
        model: Its configuration.
        partition: Partition that is decided about.
        history: What may be looked at.
        alarms: Labelled channels that fired, if it is they that ask.
        rule: What asks.
        degraded: A labelled alarm holds against the champion.
        recalibrates: Another intercept is what would be asked for.
    """
    on_trial = rule == DRIFT and history.probation and not degraded
    # A recalibration takes seconds, and uses nothing up; only one that got the seat is an end of what was refused.
    trainings = [each for each in history.requests if not each.recalibrates or each.verdict == PROMOTE]
    pending = any(each.recalibrates and each.verdict == OPEN for each in history.requests)
    no_cure, cause = incurable(partition, history, alarms, rule)
    # From the same rows the same model would come.
    learned = [each.learned for each in trainings if each.verdict != FAILED]
    after = max([history.promoted_partition, *learned, *(last_before(history, alarm.since) for alarm in alarms)])
    # The newest days are the gates': what a training does not see is nothing that it could learn.
    counts = {key: rows for key, rows in (history.rarer or history.labelled).items() if key <= partition}
    new = training_rows(model, counts, after)
    needed = max(1, model.retrain.min_new_rows)
    more = _more_since(model, counts, alarms, history, trainings)
    left = timedelta(0) if recalibrates else cooldown_left(model, partition, trainings, rule, more=more)
    filled = tokens(model, partition, trainings)
    least = 0.0 if alarms else 1.0
    spent = overspent(model, partition, history.requests)
    rows = f"{new} new rows to learn from"
    bucket = f"{model.retrain.budget.runs} trainings in {model.retrain.budget.days} days"
    return [
        ruled("diagnosis", no_cure, float(no_cure), None, cause),
        ruled("probation", on_trial, float(on_trial), None,
              "the champion is on probation" if on_trial else "no probation holds this"),
        ruled("rollout", bool(history.rollout), float(bool(history.rollout)), None,
              f"rollout {history.rollout} goes on" if history.rollout else "no rollout goes on"),
        ruled("recalibration", pending, float(pending), None,
              "a recalibration is not answered yet" if pending else "no recalibration is under way"),
        ruled("cooldown", bool(left), left / timedelta(days=1), 0,
              f"cooling down for {in_days(left)}" if left else "the last request is old enough"),
        ruled("new_rows", new < needed, new, needed, f"waiting for outcomes ({rows})" if new < needed else rows),
        ruled("budget", filled < least, filled, least,
              f"the budget of {bucket} is used up" if filled < least else f"{filled:.1f} of {bucket} are left"),
        ruled("cost", bool(spent), float(bool(spent)), None, spent or "the budget of hours and money is not used up"),
        _error_budget(model, partition, history, alpha_of(model.gates, degraded=degraded, recalibrates=recalibrates)),
    ]  # fmt: skip


def _error_budget(model: Model, partition: str, history: History, alpha: float) -> dict[str, Any]:
    """No gate may judge another challenger this year: what a training would bring could not get the seat."""
    gates, day = model.gates, judged_day(partition, model.grain)
    found = budget(history.spent, day, alpha, gates.alpha_per_year)
    spent = found.next_day > day
    says = f"{found.spent:.2f} of the year's error budget of {gates.alpha_per_year:g} are spent"
    says += f": the next challenger may be judged from {found.next_day} on" if spent else ""
    return ruled("error_budget", spent, found.spent, gates.alpha_per_year, says)


def _more_since(
    model: Model,
    counts: Mapping[str, int],
    alarms: Sequence[Channel],
    history: History,
    trainings: Sequence[PastRequest],
) -> bool:
    """Return whether there is twice as much since the change as at the last training: its answer is an old one."""
    if not alarms or not trainings:
        return False
    after = last_before(history, max(alarms, key=lambda alarm: alarm.z).since)
    then = {key: rows for key, rows in counts.items() if key <= trainings[-1].partition}
    before, now = (training_rows(model, each, after) for each in (then, counts))
    return now > 0 and now >= TWICE * before
