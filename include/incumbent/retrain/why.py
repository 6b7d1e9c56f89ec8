"""Why a partition led to a training, or did not: the decisions on record, made again from what they looked at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from incumbent.config import Model
from incumbent.records import digest_of
from incumbent.retrain.gather import history_of
from incumbent.retrain.policy import Decision, decide
from incumbent.retrain.requests import every, verdict_of
from incumbent.retrain.stage import DECISIONS
from incumbent.store import ModelStore

SAME, OTHER, UNKNOWN = "same", "other", "unknown"


@dataclass(frozen=True)
class Why:
    """A decision on record.

    Attributes:
        decision: As it was recorded.
        generation: Champion that it was about; 0 without one, None where it is not on record.
        request: Id of the request that it led to; empty if none.
        answer: What answered that; empty while it is open.
        replayed: `same` when the decision, made again from what it looked at, has the same numbers; `other` when it has
            not, because thresholds or code have changed; `unknown` when nothing says what it looked at.
        now: The decision as it would be now; None when unknown.
        outcomes: Whether the partition's outcomes were in when it was decided; None when unknown.
    """

    decision: Decision
    generation: int | None
    request: str
    answer: str
    replayed: str
    now: Decision | None
    outcomes: bool | None = None


def decisions(store: ModelStore, partition: str | None = None) -> list[Decision]:
    """Return the decisions about a partition, or all of them, the first made first."""
    names = store.records.names(DECISIONS, f"{partition}/" if partition else "")
    made = sorted(names, key=lambda name: store.records.written(DECISIONS, name))
    plain = [store.records.get_plain(DECISIONS, name) for name in made]
    return [Decision(**each) for each in plain]


def why(store: ModelStore, model: Model, decision: Decision) -> Why:
    """Return why a decision is what it is, made again from the records that it looked at."""
    request = next((each for each in every(store) if _led_to(decision, each.partition, each.message)), None)
    found = request.id if request else ""
    answer = verdict_of(store, found) if found else ""
    if not decision.inputs:
        return Why(decision, None, found, answer, UNKNOWN, None)
    inputs: Mapping[str, Any] = json.loads(store.objects.get(decision.inputs))
    now = replace(decide(model, decision.partition, history_of(store, inputs)), inputs=decision.inputs)
    outcomes = decision.partition in inputs["labelled"]
    same = digest_of(_plain(now, decision)) == digest_of(_plain(decision, decision))
    return Why(decision, inputs["generation"], found, answer, SAME if same else OTHER, now, outcomes)


def _led_to(decision: Decision, partition: str, message: str) -> bool:
    return bool(decision.reason) and (partition, message) == (decision.partition, decision.message)


def _plain(decision: Decision, then: Decision) -> dict[str, Any]:
    """Return a decision in numbers, without holds that do not fire and that it did not know of then.

    A release that words its rules better, or asks one more that says no, decides nothing else.
    """
    known = {hold["rule"] for hold in then.evidence.get("holds", ())}
    rules = {
        name: [
            {key: value for key, value in rule.items() if key != "says"}
            for rule in decision.evidence[name]
            if name == "asks" or rule["fired"] or rule["rule"] in known
        ]
        for name in ("asks", "holds")
        if name in decision.evidence
    }
    return {**vars(decision), "evidence": {**decision.evidence, **rules}, "message": ""}
