"""Whether to ask for a training: a pure fold over recorded verdicts, in partition order.

The order in which verdicts arrive does not matter: a partition's decision looks at the verdicts of
this and earlier partitions and at nothing else, so a backfill gives the same decisions. Only a cold start
looks further, at what is asked for already: the first training is one for the model, not one for each partition.

Long because what asks and what holds back are read together, in the order in which they are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from incumbent.config import Model
from incumbent.diagnosis import again
from incumbent.error_budget import budget, judged_day
from incumbent.estimators.abilities import ABILITIES
from incumbent.partitions import end_of, start_of
from incumbent.retrain.budget import cooldown_left, in_days, overspent, tokens
from incumbent.retrain.channels import Channel, channels
from incumbent.retrain.history import FAILED, GROWTH, OPEN, PERFORMANCE, PROMOTE, History, PastRequest
from incumbent.retrain.requests import RECALIBRATE, SINCE
from incumbent.retrain.states import DEGRADED, state_of

DRIFT, AGE, COLD_START = "drift", "age", "cold_start"
CANDIDATES = ("drift", "retrain candidate")  # tiers that may ask; records of before call it drift
DRIFTED, AMONG = 2, 3  # of the last verdicts so many must be candidates
TWICE = 2  # a refusal doubles a wait, and twice as much to learn from ends the doubling
LASTING = 4  # partitions in a row after which an upstream change that nobody repairs is learned


@dataclass(frozen=True)
class Decision:
    """Whether to ask, and why or why not, in one sentence.

    Attributes:
        partition: Partition it is about.
        reason: `cold_start`, `performance`, `drift`, `growth`, `age`, or empty when nothing is asked for.
        degraded: A labelled alarm holds.
        evidence: `state` of the champion; `asks`, each reason to retrain, and `holds`, each reason not to, with its
            value, its limit and whether it fired; `since`, first day of a second candidate's rows, if there is one;
            `recalibrate`, the same of those that the champion gets another intercept from, if that may be enough.
        message: One sentence for a person.
        inputs: Digest of the stored object that says what it looked at; empty before it is recorded.
    """

    partition: str
    reason: str
    degraded: bool
    evidence: Mapping[str, Any]
    message: str
    inputs: str = ""


def decide(model: Model, partition: str, history: History) -> Decision:
    """Return the decision for a partition.

    A cold start needs labelled rows older than those of the gates, and no request that is still open.
    Later, what asks is a labelled alarm, scores or features that have moved in two of three partitions, so many more
    labelled rows than the newest challenger had, or age; and what may hold it back is a cause that no training cures,
    too few new outcomes, a probation (of what drift asks for), cooldown, a budget, or that no gate might judge the
    challenger. The first that nothing holds is the reason.
    """
    if history.generation == 0:
        return _cold_start(model, partition, history)
    found = channels(history, partition, model.monitor.alarm_z)
    state = state_of(model, partition, history)
    asks = [
        *(_labelled(channel) for channel in found),
        _drift(partition, history),
        _growth(model, partition, history),
        _age(model, partition, history),
    ]
    fired = [ask for ask in asks if ask["fired"]]
    alarms = [channel for channel in found if channel.fired]
    degraded = state == DEGRADED
    holds: list[dict[str, Any]] = []
    reason = ""
    for rule in dict.fromkeys(str(ask["rule"]) for ask in fired) or [""]:
        on_trial = rule == DRIFT and history.probation and not degraded
        its_own = _holds(model, partition, history, alarms if rule == PERFORMANCE else [], rule, on_trial=on_trial)
        its_own.append(_error_budget(model, partition, history, degraded=degraded))
        holds = holds or its_own
        if not any(hold["fired"] for hold in its_own):
            holds, reason = its_own, rule
            break
    evidence: dict[str, Any] = {"state": state, "asks": asks, "holds": holds}
    if not fired:
        return Decision(partition, "", degraded, evidence, f"{partition}: no alarm, no retraining.")
    why = "; ".join(str(ask["says"]) for ask in fired)
    if not reason:
        stopped = next(hold for hold in holds if hold["fired"])
        return Decision(partition, "", degraded, evidence, f"{partition}: {stopped['says']}. {why}.")
    if reason == PERFORMANCE and (since := _recalibrates(model, partition, history, alarms)):
        evidence[RECALIBRATE] = since
        said = f"{partition}: recalibrate first, for {reason}: a new intercept may be enough. {why}."
        return Decision(partition, reason, degraded, evidence, said)
    if since := _second_window(model, partition, history, alarms if reason == PERFORMANCE else []):
        evidence[SINCE] = since
    return Decision(partition, reason, degraded, evidence, f"{partition}: retrain for {reason}. {why}.")


def _rule(rule: str, fired: bool, value: float, limit: float | None, says: str, **more: Any) -> dict[str, Any]:
    return {"rule": rule, "fired": fired, "value": round(value, 6), "limit": limit, "says": says, **more}


def _labelled(channel: Channel) -> dict[str, Any]:
    return _rule(PERFORMANCE, channel.fired, channel.z, channel.limit, channel.says, **_but_says(channel))


def _but_says(channel: Channel) -> dict[str, Any]:
    return {name: value for name, value in channel.to_json().items() if name not in ("fired", "limit", "says", "z")}


def _drift(partition: str, history: History) -> dict[str, Any]:
    """Scores or important features have moved, and not in one partition alone: a holiday is none of it."""
    keys = [key for key in sorted(history.drift) if history.promoted_partition < key <= partition][-AMONG:]
    moved = [key for key in keys if history.drift[key].get("tier") in CANDIDATES]
    now = partition in moved
    says = str(history.drift[partition].get("sentence", "")).rstrip(".") if now else "no drift that asks"
    text = f"drift in {len(moved)} of the last {len(keys)} partitions: {says}" if now else says
    return _rule(DRIFT, now and len(moved) >= DRIFTED, len(moved), DRIFTED, text)


def _growth(model: Model, partition: str, history: History) -> dict[str, Any]:
    """There is so much more to learn from than the newest challenger had: nothing is wrong, and more is known.

    Asked when a partition's outcomes come, for before them there is nothing that was not there for the one before. Rows
    from before the change since which the champion was trained are nothing more to know.
    """
    limit = model.retrain.growth
    tried = [each.learned for each in history.requests if each.verdict != FAILED]
    newest = max(tried, default="") or history.learned_partition
    ratio = _times_more(model, partition, history, newest)
    fired = limit is not None and partition in history.labelled and ratio >= limit
    return _rule(GROWTH, fired, ratio, limit, f"{ratio:.2f} times the rows that the newest challenger could learn from")


def _times_more(model: Model, partition: str, history: History, then: str) -> float:
    """Return how many times the rows there are to learn from that there were earlier; 0 if there were none."""
    known = {key: rows for key, rows in history.labelled.items() if _first_day(model, key) >= history.since}
    before, now = (
        training_rows(model, {key: rows for key, rows in known.items() if key <= until}) for until in (then, partition)
    )
    return now / before if before else 0.0


def _first_day(model: Model, partition: str) -> str:
    return start_of(partition, model.grain).date().isoformat()


def _age(model: Model, partition: str, history: History) -> dict[str, Any]:
    limit = model.retrain.max_age_days
    if not history.learned_partition:
        return _rule(AGE, False, 0, limit, "the champion's age is not known")
    days = (end_of(partition, model.grain) - end_of(history.learned_partition, model.grain)) / timedelta(days=1)
    return _rule(AGE, limit is not None and days >= limit, days, limit, f"the champion is {days:.0f} days old")


def _holds(
    model: Model, partition: str, history: History, alarms: Sequence[Channel], rule: str, *, on_trial: bool
) -> list[dict[str, Any]]:
    # A recalibration takes seconds, and uses nothing up; only one that got the seat is an end of what was refused.
    trainings = [each for each in history.requests if not each.recalibrates or each.verdict == PROMOTE]
    pending = any(each.recalibrates and each.verdict == OPEN for each in history.requests)
    incurable, cause = _diagnosed(partition, history, alarms, rule)
    # From the same rows the same model would come.
    learned = [each.learned for each in trainings if each.verdict != FAILED]
    after = max([history.promoted_partition, *learned, *(_before(history, alarm.since) for alarm in alarms)])
    # The newest days are the gates': what a training does not see is nothing that it could learn.
    counts = {key: rows for key, rows in (history.rarer or history.labelled).items() if key <= partition}
    new = training_rows(model, counts, after)
    needed = max(1, model.retrain.min_new_rows)
    left = cooldown_left(model, partition, trainings, rule, more=_more_since(model, counts, alarms, history, trainings))
    filled = tokens(model, partition, trainings)
    least = 0.0 if alarms else 1.0
    spent = overspent(model, partition, history.requests)
    rows = f"{new} new rows to learn from"
    bucket = f"{model.retrain.budget.runs} trainings in {model.retrain.budget.days} days"
    return [
        _rule("diagnosis", incurable, float(incurable), None, cause),
        _rule("probation", on_trial, float(on_trial), None,
              "the champion is on probation" if on_trial else "no probation holds this"),
        _rule("recalibration", pending, float(pending), None,
              "a recalibration is not answered yet" if pending else "no recalibration is under way"),
        _rule("cooldown", bool(left), left / timedelta(days=1), 0,
              f"cooling down for {in_days(left)}" if left else "the last request is old enough"),
        _rule("new_rows", new < needed, new, needed, f"waiting for outcomes ({rows})" if new < needed else rows),
        _rule("budget", filled < least, filled, least,
              f"the budget of {bucket} is used up" if filled < least else f"{filled:.1f} of {bucket} are left"),
        _rule("cost", bool(spent), float(bool(spent)), None, spent or "the budget of hours and money is not used up"),
    ]  # fmt: skip


def _error_budget(model: Model, partition: str, history: History, *, degraded: bool) -> dict[str, Any]:
    """No gate may judge another challenger this year: what a training would bring could not get the seat."""
    gates, day = model.gates, judged_day(partition, model.grain)
    alpha = gates.alpha_degraded if degraded else gates.alpha
    found = budget(history.spent, day, alpha, gates.alpha_per_year)
    spent = found.next_day > day
    says = f"{found.spent:.2f} of the year's error budget of {gates.alpha_per_year:g} are spent"
    says += f": the next challenger may be judged from {found.next_day} on" if spent else ""
    return _rule("error_budget", spent, found.spent, gates.alpha_per_year, says)


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
    after = _before(history, max(alarms, key=lambda alarm: alarm.z).since)
    then = {key: rows for key, rows in counts.items() if key <= trainings[-1].partition}
    before, now = (training_rows(model, each, after) for each in (then, counts))
    return now > 0 and now >= TWICE * before


def _diagnosed(partition: str, history: History, alarms: Sequence[Channel], rule: str) -> tuple[bool, str]:
    """Return whether a partition's cause is one that no training cures, and the diagnosis in words.

    A feed that is broken is repaired, whatever labels say; one that has changed and is not repaired for some partitions
    is what the world is like now. A shift that does no harm is none to train for, unless labels say that it does: they
    may have gathered over partitions of which each alone showed nothing.
    """
    found = _diagnosis(partition, history, alarms)
    if not found:
        return False, "no diagnosis"
    harmless = rule == DRIFT and not found["retrains"] and found["cause"] != "unknown"
    newest = [history.diagnoses[key] for key in sorted(history.diagnoses) if key <= partition][-LASTING:]
    lasts = len(newest) == LASTING and all(each["cause"] == "upstream_change" for each in newest)
    return (found["answer"] == "repair" and not lasts) or harmless, str(found["sentence"]).rstrip(".")


def _diagnosis(partition: str, history: History, alarms: Sequence[Channel]) -> Mapping[str, Any]:
    """Return the diagnosis of a partition, made again where labels alarm.

    Its own rows may show little of what has gathered.
    """
    found = history.diagnoses.get(partition) or {}
    if alarms and found.get("evidence"):
        return again(found, {alarm.channel: alarm.says for alarm in alarms}).to_json()
    return found


def _recalibrates(model: Model, partition: str, history: History, alarms: Sequence[Channel]) -> str:
    """Return the first day of the rows for a new intercept, where the diagnosis is that one may be enough.

    Once for each training: an intercept that has to be found again and again, or was not enough, was not what is wrong.
    And not of a champion that has been outgrown: a training brings it the new mean, and all else that is known by now.
    """
    tried = False
    for request in reversed(history.requests):
        if request.recalibrates:
            tried = True
        elif request.verdict == PROMOTE:
            break
    can = ABILITIES[model.train.estimator].warm
    limit = model.retrain.growth
    outgrown = limit is not None and _times_more(model, partition, history, history.learned_partition) >= limit
    if (
        not alarms
        or tried
        or outgrown
        or not can
        or _diagnosis(partition, history, alarms).get("answer") != RECALIBRATE
    ):
        return ""
    return _enough_since(model, partition, history, _changed(model, alarms))


def _before(history: History, since: str) -> str:
    """Return the last judged partition before a change: what is newer is new."""
    return max((key for key in history.performance if key < since), default="")


def _second_window(model: Model, partition: str, history: History, alarms: Sequence[Channel]) -> str:
    """Return the first day of the rows since the change, if a model can be trained on them alone.

    Without an alarm it is the change since which the champion was trained: what came before has not come back.
    """
    since = _changed(model, alarms) if alarms else history.since
    return _enough_since(model, partition, history, since) if since and model.retrain.since_change else ""


def _changed(model: Model, alarms: Sequence[Channel]) -> str:
    return _first_day(model, max(alarms, key=lambda alarm: alarm.z).since)


def _enough_since(model: Model, partition: str, history: History, since: str) -> str:
    """Return a first day again; nothing if the rows since are too few, or all that there are."""
    labelled = {key: rows for key, rows in history.labelled.items() if key <= partition}
    later = {key: rows for key, rows in labelled.items() if _first_day(model, key) >= since}
    enough = training_rows(model, later) >= model.gates.min_train_rows
    return since if len(later) < len(labelled) and enough else ""


def held_out(model: Model) -> timedelta:
    """Return how much of the newest time no training sees: the gates' days and the embargo."""
    return timedelta(days=model.evaluate.holdout_days + model.embargo_days)


def training_rows(model: Model, labelled: Mapping[str, int], after: str = "") -> int:
    """Estimate the labelled rows that are older than the gate rows and the embargo.

    Rows count as spread evenly over their partition: good enough to know when a training is worth starting,
    and the gates count exactly.

    Args:
        model: Its configuration.
        labelled: Partition to its labelled rows.
        after: Partition up to which rows do not count.
    """
    if not labelled:
        return 0
    until = end_of(max(labelled), model.grain) - held_out(model)
    found = 0.0
    for key in sorted(labelled)[-model.train.window :]:
        if key <= after:
            continue
        start, end = start_of(key, model.grain), end_of(key, model.grain)
        found += labelled[key] * min(1.0, max(0.0, (until - start) / (end - start)))
    return round(found)


def _cold_start(model: Model, partition: str, history: History) -> Decision:
    labelled = {key: rows for key, rows in history.labelled.items() if key <= partition}
    evidence = {"labelled": labelled}
    found, needed = training_rows(model, labelled), model.gates.min_train_rows
    if found < needed:
        waiting = (
            f"{partition}: no champion yet; waiting for outcomes: about {found} of the {needed} labelled rows "
            f"that a first training needs are older than the last {held_out(model).days} days (gates and embargo)."
        )
        return Decision(partition, "", False, evidence, waiting)
    if waiting_for := [request.partition for request in history.requests if request.verdict == OPEN]:
        # One training makes the first champion; a backfilled year would otherwise start one for each month.
        waiting = f"{partition}: no champion yet; the request of {waiting_for[0]} is not answered yet."
        return Decision(partition, "", False, evidence, waiting)
    if any(request.partition == partition for request in history.requests):
        return Decision(partition, "", False, evidence, f"{partition}: no champion yet; this partition was tried.")
    return Decision(partition, COLD_START, False, evidence, f"{partition}: there is no champion yet.")
