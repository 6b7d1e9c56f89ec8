"""What MONITOR decides: whether the verdicts up to a partition ask for a training, and the request for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from incumbent_airflow.judging import VERDICTS, drift_name, performance_name
from incumbent_airflow.runtime import Runtime

if TYPE_CHECKING:
    from incumbent.records import Promotion
    from incumbent.retrain import History


def decide(runtime: Runtime, partition: str) -> dict[str, Any]:
    """Fold the verdicts into a decision, record it, and write the request it asks for."""
    from incumbent.records import digest_of
    from incumbent.retrain import decide as decide_now
    from incumbent.retrain.requests import announce, open_request

    store = runtime.store
    decision = decide_now(runtime.model, partition, history(runtime, partition))
    plain = {**vars(decision), "evidence": dict(decision.evidence)}
    store.records.claim("decisions", f"{partition}/{digest_of(plain)[:16]}", plain)
    if not decision.reason:
        return {"request": None, "reason": "", "message": decision.message}
    request, _ = open_request(
        store, partition, decision.reason, decision.evidence, degraded=decision.degraded, message=decision.message
    )
    mine = announce(store, request.id)
    return {"request": request.id if mine else None, "reason": request.reason, "message": decision.message}


def history(runtime: Runtime, partition: str) -> History:
    """Gather what the policy may look at: everything up to this partition."""
    from incumbent.retrain import History

    store = runtime.store
    champion = store.champion()
    drift, performance = _verdicts(runtime, partition, champion)
    return History(
        generation=0 if champion is None else champion.generation,
        promoted_partition="" if champion is None else champion.partition,
        labelled=_labelled(runtime, partition),
        drift=drift,
        performance=performance,
        requests=_requests(runtime, partition),
    )


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
    return {key: part.rows for key, part in outcomes.items() if key in done and key <= partition}


def _requests(runtime: Runtime, partition: str) -> tuple[tuple[str, str], ...]:
    """Return earlier requests with the verdict that answered each, in order."""
    from incumbent.records import RetrainRequest

    records = runtime.store.records
    found = []
    for name in records.names(RetrainRequest.kind):
        if not name.endswith("/open"):
            continue
        request = records.get(RetrainRequest, name)
        done = f"{request.id}/done"
        answer = (
            records.get_plain(RetrainRequest.kind, done)["verdict"] if records.has(RetrainRequest.kind, done) else ""
        )
        if request.partition <= partition:
            found.append((request.partition, str(answer)))
    return tuple(found)
