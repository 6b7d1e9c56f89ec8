"""What MONITOR decides: whether the verdicts up to a partition ask for a training, and the request for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from incumbent.verdict_names import VERDICTS, drift_name, performance_name
from incumbent_airflow.runtime import Runtime

if TYPE_CHECKING:
    from incumbent.records import Part, Promotion, RetrainRequest
    from incumbent.retrain import Decision, History
    from incumbent.store import ModelStore

DECISIONS, LABEL_COUNTS, PINS = "decisions", "label_counts", "pins"


def decide(runtime: Runtime, partition: str, run: str = "") -> dict[str, Any]:
    """Fold the verdicts into a decision, record it, and write the request it asks for.

    A run decides once: cleared, it reads what it decided, also when that has changed the champion since, and
    asks for nothing. A new run decides anew.

    Args:
        runtime: The model.
        partition: Partition key.
        run: Airflow run id; empty for a call that belongs to no run.

    Returns:
        `request` for the one caller that is to announce it, else None; `reason`, empty when nothing is asked
        for; and `message`.
    """
    from incumbent.records import digest_of
    from incumbent.retrain import Decision

    records = runtime.store.records
    pin = f"decision-{partition}-{digest_of(run)[:16]}"
    if run and records.has(PINS, pin):
        stands = records.get_plain(PINS, pin)
        return _answer(Decision(**records.get_plain(DECISIONS, stands["decision"])), stands["request"], mine=False)
    decision = _decision(runtime, partition)
    plain = {**vars(decision), "evidence": dict(decision.evidence)}
    name = f"{partition}/{digest_of(plain)[:16]}"
    records.claim(DECISIONS, name, plain)
    request, mine = _ask(runtime, decision) if decision.reason else ("", False)
    if run:
        records.claim(PINS, pin, {"decision": name, "request": request})
    return _answer(decision, request, mine)


def _decision(runtime: Runtime, partition: str) -> Decision:
    """Return the policy's decision; the request that it has led to before does not count against it.

    Counted, it would let the same evidence say "cooling down" as soon as it has been acted upon. Requests of
    this partition that something else has led to (a person, other evidence) count like any.
    """
    from incumbent.retrain import decide as decide_now
    from incumbent.retrain.requests import every

    past = history(runtime, partition)
    own = [request for request in every(runtime.store) if request.partition == partition]
    earlier = sum(key != partition for key, _ in past.requests)  # the partition's own come last
    for position, request in enumerate(own, start=earlier):
        decision = decide_now(runtime.model, partition, replace(past, requests=past.requests[:position]))
        if _grounds(decision) == _grounds(request):
            return decision
    return decide_now(runtime.model, partition, past)


def _grounds(asked: Decision | RetrainRequest) -> str:
    from incumbent.records import digest_of

    return digest_of([asked.reason, dict(asked.evidence), asked.degraded, asked.message])


def _ask(runtime: Runtime, decision: Decision) -> tuple[str, bool]:
    """Return the request that a decision asks for, and whether it is this call's to announce."""
    from incumbent.retrain.requests import announce, open_request

    request, _ = open_request(
        runtime.store,
        decision.partition,
        decision.reason,
        decision.evidence,
        degraded=decision.degraded,
        message=decision.message,
    )
    return request.id, announce(runtime.store, request.id)


def _answer(decision: Decision, request: str, mine: bool) -> dict[str, Any]:
    before = f" It was asked for before, as {request}." if request and not mine else ""
    return {"request": request if mine else None, "reason": decision.reason, "message": decision.message + before}


def history(runtime: Runtime, partition: str) -> History:
    """Gather what the policy may look at: everything up to this partition; of a cold start, all open requests too."""
    from incumbent.retrain import History

    store = runtime.store
    champion = store.champion()
    drift, performance = _verdicts(runtime, partition, champion)
    return History(
        generation=0 if champion is None else champion.generation,
        promoted_partition="" if champion is None else _came_from(store, champion),
        labelled=_labelled(runtime, partition),
        drift=drift,
        performance=performance,
        requests=_requests(runtime, partition, cold=champion is None),
    )


def _came_from(store: ModelStore, champion: Promotion) -> str:
    """Return the partition that a champion was first promoted with; the entry of a rollback has none."""
    seats = (entry.partition for entry in store.ledger() if entry.version == champion.version)
    return next((partition for partition in seats if partition), "")


def _verdicts(runtime: Runtime, partition: str, champion: Promotion | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the verdicts about the champion's generation, by partition.

    Outcomes that came in two parts, or a partition that was scored again, leave older verdicts behind:
    only the one about what the tables hold now counts.
    """
    drift: dict[str, Any] = {}
    performance: dict[str, Any] = {}
    if champion is None:
        return drift, performance
    store = runtime.store
    outcomes = store.outcomes(runtime.model.outcome_source).parts()
    for key, part in store.predictions.parts().items():
        if key > partition:
            continue
        names = [(drift, drift_name(key, part, champion.version))]
        if key in outcomes:
            names.append((performance, performance_name(key, part, outcomes[key])))
        for found, name in names:
            if store.records.has(VERDICTS, name):
                plain = store.records.get_plain(VERDICTS, name)
                if plain["generation"] == champion.generation:
                    found[key] = plain
    return drift, performance


def _labelled(runtime: Runtime, partition: str) -> dict[str, int]:
    store, model = runtime.store, runtime.model
    done = {key for name, table in store.tables().items() if name.startswith("features/") for key in table.parts()}
    outcomes = store.outcomes(model.outcome_source).parts()
    return {key: _labels(runtime, part) for key, part in outcomes.items() if key in done and key <= partition}


def _labels(runtime: Runtime, part: Part) -> int:
    """Return how many outcomes of a partition have a label, counted once for its content and the label's SQL.

    A cancelled flight has an outcome and nothing to learn from. Whether its features are there row by row is
    left to the training, which joins them.
    """
    from incumbent.features.rows import label_rows
    from incumbent.records import digest_of

    store, model = runtime.store, runtime.model
    name = f"{part.partition}/{digest_of([part.digest, model.label.sql, model.label.where])[:16]}"
    if not store.records.has(LABEL_COUNTS, name):
        store.records.claim(LABEL_COUNTS, name, {"rows": label_rows(store, model, [part]).num_rows})
    return int(store.records.get_plain(LABEL_COUNTS, name)["rows"])


def _requests(runtime: Runtime, partition: str, *, cold: bool) -> tuple[tuple[str, str], ...]:
    """Return earlier requests with the verdict that answered each, in order.

    Without a champion an open request of a later partition counts as well, before the others: months that are
    monitored newest first would otherwise start a first training each.
    """
    from incumbent.retrain.policy import OPEN
    from incumbent.retrain.requests import every, verdict_of

    answered = [(request.partition, verdict_of(runtime.store, request.id)) for request in every(runtime.store)]
    later = [(key, verdict) for key, verdict in answered if cold and key > partition and verdict == OPEN]
    return (*later, *((key, verdict) for key, verdict in answered if key <= partition))
