"""The stage: decide about a partition once a run, record the decision, and write the request it asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from incumbent.config import Model
from incumbent.records import RetrainRequest, canonical_json, digest_of
from incumbent.retrain.gather import gather, history_of, newest_judged
from incumbent.retrain.history import History
from incumbent.retrain.policy import Decision, decide
from incumbent.retrain.requests import RECALIBRATE, announce, every, open_request
from incumbent.store import ModelStore

DECISIONS, PINS = "decisions", "pins"


def decide_partition(store: ModelStore, model: Model, partition: str, run: str = "") -> dict[str, Any]:
    """Fold the verdicts into a decision, record it, and write the request it asks for.

    A run decides once: cleared, it reads what it decided, also when that has changed the champion since, and
    asks for nothing. A new run decides anew.

    Args:
        store: The model's store.
        model: Its configuration.
        partition: Partition key.
        run: Airflow run id; empty for a call that belongs to no run.

    Returns:
        `request` for the one caller that is to announce it, else None; `reason`, empty when nothing is asked
        for; `partition`, where the series stands, later than the one asked about when its outcomes came late;
        and `message`.
    """
    pin = f"decision-{partition}-{digest_of(run)[:16]}"
    if run and store.records.has(PINS, pin):
        stands = store.records.get_plain(PINS, pin)
        return _answer(
            Decision(**store.records.get_plain(DECISIONS, stands["decision"])), stands["request"], mine=False
        )
    decision, name = _recorded(store, _decision(store, model, newest_judged(store, model, partition)))
    request, mine = _ask(store, decision) if decision.reason else ("", False)
    if run:
        store.records.claim(PINS, pin, {"decision": name, "request": request})
    return _answer(decision, request, mine)


def _decision(store: ModelStore, model: Model, partition: str) -> Decision:
    """Return the policy's decision; the request that it has led to before does not count against it.

    Counted, it would let the same evidence say "cooling down" as soon as it has been acted upon, or that nobody may be
    judged any more because its own challenger was. Requests of this partition that something else has led to (a
    person, other evidence) count like any.
    """
    inputs = gather(store, model, partition)
    history = history_of(store, inputs)
    own = [request for request in every(store) if request.partition == partition]
    for position, request in enumerate(own):
        then = _before(history, own[position:])
        decision = decide(model, partition, then)
        if _grounds(decision) == _grounds(request) and not history.requests[len(then.requests)].was_not_enough:
            inputs |= {name: [asdict(each) for each in getattr(then, name)] for name in ("requests", "spent")}
            inputs["rollout"] = then.rollout
            return replace(decision, inputs=store.objects.put(canonical_json(inputs)))
    return replace(decide(model, partition, history), inputs=store.objects.put(canonical_json(inputs)))


def _before(history: History, own: Sequence[RetrainRequest]) -> History:
    """Return what there was before the newest requests of a partition: without them, and what they have led to."""
    names = {request.id for request in own}
    spent = tuple(each for each in history.spent if each.request not in names)
    rollout = "" if history.rollout in names else history.rollout
    requests = history.requests[: len(history.requests) - len(own)]
    return replace(history, requests=requests, spent=spent, rollout=rollout)


def _recorded(store: ModelStore, decision: Decision) -> tuple[Decision, str]:
    plain = {**vars(decision), "evidence": dict(decision.evidence)}
    name = f"{decision.partition}/{digest_of(plain)[:16]}"
    store.records.claim(DECISIONS, name, plain)
    return decision, name


def _grounds(asked: Decision | RetrainRequest) -> str:
    return digest_of([asked.reason, dict(asked.evidence), asked.degraded, asked.message])


def ask_on(store: ModelStore, model: Model, request: RetrainRequest) -> str:
    """Ask for a training where a recalibration was not enough; return its request, or nothing.

    Whoever finds a request that nobody has announced announces it (maintenance): this is no place to emit an asset.
    """
    if not request.evidence.get(RECALIBRATE):
        return ""
    decision = _recorded(store, _decision(store, model, newest_judged(store, model, request.partition)))[0]
    return _open(store, decision).id if decision.reason else ""


def _ask(store: ModelStore, decision: Decision) -> tuple[str, bool]:
    """Return the request that a decision asks for, and whether it is this call's to announce."""
    request = _open(store, decision)
    return request.id, announce(store, request.id)


def _open(store: ModelStore, decision: Decision) -> RetrainRequest:
    return open_request(
        store,
        decision.partition,
        decision.reason,
        decision.evidence,
        degraded=decision.degraded,
        message=decision.message,
    )[0]


def _answer(decision: Decision, request: str, mine: bool) -> dict[str, Any]:
    before = f" It was asked for before, as {request}." if request and not mine else ""
    return {
        "request": request if mine else None,
        "reason": decision.reason,
        "partition": decision.partition,
        "message": decision.message + before,
    }
