"""Whether to ask for a training: a pure fold over recorded verdicts, in partition order.

The order in which verdicts arrive does not matter: a partition's decision looks at the verdicts of
this and earlier partitions and at nothing else, so a backfill gives the same decisions. Only a cold start
looks further, at what is asked for already: the first training is one for the model, not one for each partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from incumbent.config import Model
from incumbent.retrain.answers import candidate_since, recalibrate_since
from incumbent.retrain.asks import asks
from incumbent.retrain.channels import channels
from incumbent.retrain.history import OPEN, PERFORMANCE, History
from incumbent.retrain.holds import holds
from incumbent.retrain.requests import RECALIBRATE, SINCE
from incumbent.retrain.rows import held_out, training_rows
from incumbent.retrain.states import DEGRADED, state_of

COLD_START = "cold_start"


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
    too few new outcomes, a probation (of what drift asks for), a rollout, cooldown, a budget, or that no gate might
    judge the challenger. The first that nothing holds is the reason.
    """
    if history.generation == 0:
        return _cold_start(model, partition, history)
    found = channels(history, partition, model.monitor.alarm_z)
    state = state_of(model, partition, history)
    asked = asks(model, partition, history, found)
    fired = [ask for ask in asked if ask["fired"]]
    alarms = [channel for channel in found if channel.fired]
    degraded = state == DEGRADED
    held: list[dict[str, Any]] = []
    reason = intercept = left_out = ""
    for rule in dict.fromkeys(str(ask["rule"]) for ask in fired) or [""]:
        asking = alarms if rule == PERFORMANCE else []
        intercept, why_not = recalibrate_since(model, partition, history, asking)
        left_out += why_not  # of the labelled alarms, if they ask
        its_own = holds(model, partition, history, asking, rule, degraded=degraded, recalibrates=bool(intercept))
        held = held or its_own
        if not any(hold["fired"] for hold in its_own):
            held, reason = its_own, rule
            break
    evidence: dict[str, Any] = {"state": state, "asks": asked, "holds": held}
    if not fired:
        return Decision(partition, "", degraded, evidence, f"{partition}: no alarm, no retraining.")
    why = "; ".join(str(ask["says"]) for ask in fired)
    why += f". A new intercept alone is not tried: {left_out}" if left_out else ""
    if not reason:
        stopped = next(hold for hold in held if hold["fired"])
        return Decision(partition, "", degraded, evidence, f"{partition}: {stopped['says']}. {why}.")
    if intercept:
        evidence[RECALIBRATE] = intercept
        said = f"{partition}: recalibrate first, for {reason}: a new intercept may be enough. {why}."
        return Decision(partition, reason, degraded, evidence, said)
    if since := candidate_since(model, partition, history, asking):
        evidence[SINCE] = since
    return Decision(partition, reason, degraded, evidence, f"{partition}: retrain for {reason}. {why}.")


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
