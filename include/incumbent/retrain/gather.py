"""Gather from the store what a decision may look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from incumbent.config import Model
from incumbent.error_budget import Spent, spent_before
from incumbent.records import (
    RECALIBRATED,
    GateReport,
    ModelVersion,
    Part,
    Promotion,
    RetrainRequest,
    Snapshot,
    Training,
    TrainingCost,
    digest_of,
)
from incumbent.retrain.history import OPEN, History, PastRequest
from incumbent.retrain.requests import RECALIBRATE, every, verdict_of
from incumbent.rollout import open_plan
from incumbent.store import ModelStore
from incumbent.verdict_names import DIAGNOSES, VERDICTS, diagnosis_name, drift_name, performance_name

LABEL_COUNTS = "label_counts"
HOUR_S = 3600.0


def gather(store: ModelStore, model: Model, partition: str) -> dict[str, Any]:
    """Return everything up to a partition that a decision may look at; of a cold start, all open requests too.

    Verdicts by name: their records never change, so a decision that says what it looked at can be made again.
    """
    champion = store.champion()
    drift, performance = _verdicts(store, model, partition, champion)
    counts = _labelled(store, model, partition)
    return {
        "generation": 0 if champion is None else champion.generation,
        "promoted_partition": "" if champion is None else _came_from(store, champion.version),
        "trained_partition": "" if champion is None else _trained(store, champion.version),
        "labelled": {key: found["rows"] for key, found in counts.items()},
        "rarer": {key: found["rarer"] for key, found in counts.items()},
        "drift": drift,
        "performance": performance,
        "diagnoses": _diagnoses(store, drift, performance),
        "requests": [asdict(request) for request in _requests(store, partition, cold=champion is None)],
        "probation": champion is not None and _on_probation(store, champion, model, performance),
        "spent": [asdict(each) for each in spent_before(store.records.all(GateReport), model.grain, partition, "")],
        "rollout": _rollout(store, partition),
        "since": "" if champion is None else _with_trees(store, champion.version).since,
    }


def history_of(store: ModelStore, inputs: Mapping[str, Any]) -> History:
    """Return what was gathered with the verdicts that it names."""
    read = {
        kind: {key: store.records.get_plain(VERDICTS, name) for key, name in inputs[kind].items()}
        for kind in ("drift", "performance")
    }
    read["diagnoses"] = {
        key: store.records.get_plain(DIAGNOSES, name) for key, name in inputs.get("diagnoses", {}).items()
    }
    requests = tuple(PastRequest(**request) for request in inputs["requests"])
    spent = tuple(Spent(**each) for each in inputs.get("spent", ()))
    return History(**{**inputs, **read, "requests": requests, "spent": spent})


def newest_judged(store: ModelStore, model: Model, partition: str) -> str:
    """Return the newest partition whose performance was judged, of this and later ones; this one if none is later.

    Outcomes that come late are part of a series that has gone on: what they mean is decided where it stands now.
    """
    champion = store.champion()
    _, performance = _verdicts(store, model, None, champion)
    found = [key for key, name in performance.items() if store.records.get_plain(VERDICTS, name)["judged"]]
    return max(found) if partition in found else partition


def _on_probation(store: ModelStore, champion: Promotion, model: Model, performance: Mapping[str, str]) -> bool:
    judged = sum(bool(store.records.get_plain(VERDICTS, name)["judged"]) for name in performance.values())
    return champion.action == "promote" and champion.previous > 0 and judged < model.rollback.partitions


def _rollout(store: ModelStore, partition: str) -> str:
    """Return the rollout that goes on, unless its challenger came from a later partition."""
    plan = open_plan(store)
    late = plan is not None and store.records.get(GateReport, plan.gate_report).partition > partition
    return "" if plan is None or late else plan.id


def _came_from(store: ModelStore, version: str) -> str:
    """Return the partition that a version was first promoted with; the entry of a rollback has none."""
    seats = (entry.partition for entry in store.ledger() if entry.version == version)
    return next((partition for partition in seats if partition), "")


def _trained(store: ModelStore, digest: str) -> str:
    """Return the partition that the trees of a recalibration came from; nothing of another version."""
    version = _with_trees(store, digest)
    return "" if version.digest == digest else _came_from(store, version.digest)


def _with_trees(store: ModelStore, digest: str) -> ModelVersion:
    """Return the version that a recalibration has its trees from; itself, of another one."""
    version = store.records.get(ModelVersion, digest)
    while version.recalibrated:
        version = store.records.get(ModelVersion, version.base)
    return version


def _verdicts(
    store: ModelStore, model: Model, partition: str | None, champion: Promotion | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the names of the verdicts about the champion's generation, by partition.

    Outcomes that came in two parts, or a partition that was scored again, leave older verdicts behind:
    only the one about what the tables hold now counts.
    """
    drift: dict[str, str] = {}
    performance: dict[str, str] = {}
    if champion is None:
        return drift, performance
    outcomes = store.outcomes(model.outcome_source).parts()
    for key, part in store.predictions.parts().items():
        if partition is not None and key > partition:
            continue
        names = [(drift, drift_name(key, part, champion.version))]
        if key in outcomes:
            names.append((performance, performance_name(key, part, outcomes[key])))
        for found, name in names:
            has = store.records.has(VERDICTS, name)
            if has and store.records.get_plain(VERDICTS, name)["generation"] == champion.generation:
                found[key] = name
    return drift, performance


def _diagnoses(store: ModelStore, drift: Mapping[str, str], performance: Mapping[str, str]) -> dict[str, str]:
    """Return the names of the diagnoses that were made from these verdicts, by partition."""
    names = {key: diagnosis_name(key, name, performance.get(key, "")) for key, name in drift.items()}
    return {key: name for key, name in names.items() if store.records.has(DIAGNOSES, name)}


def _labelled(store: ModelStore, model: Model, partition: str) -> dict[str, dict[str, int]]:
    done = {key for name, table in store.tables().items() if name.startswith("features/") for key in table.parts()}
    outcomes = store.outcomes(model.outcome_source).parts()
    return {key: _labels(store, model, part) for key, part in outcomes.items() if key in done and key <= partition}


def _labels(store: ModelStore, model: Model, part: Part) -> dict[str, int]:
    """Return how many outcomes of a partition have a label, counted once for its content and the label's SQL.

    A cancelled flight has an outcome and nothing to learn from. Whether its features are there row by row is
    left to the training, which joins them.
    """
    from incumbent.features.rows import label_rows

    name = f"{part.partition}/{digest_of([part.digest, model.label.sql, model.label.where, model.task])[:16]}"
    if not store.records.has(LABEL_COUNTS, name):
        labels = np.asarray(label_rows(store, model, [part])["label"], dtype=np.float64)
        rarer = _rarer(labels, model)
        store.records.claim(LABEL_COUNTS, name, {"rows": int(labels.size), "rarer": rarer})
    found: Mapping[str, Any] = store.records.get_plain(LABEL_COUNTS, name)
    return {"rows": int(found["rows"]), "rarer": int(found["rarer"])}


def _rarer(labels: np.ndarray, model: Model) -> int:
    if model.task == "regression":
        return int(labels.size)
    classes = len(model.label.classes) or 2
    return int(np.bincount(labels.astype(np.int64), minlength=classes).min())


def _requests(store: ModelStore, partition: str, *, cold: bool) -> tuple[PastRequest, ...]:
    """Return earlier requests with the verdict that answered each, in order.

    Without a champion an open request of a later partition counts as well, before the others: months that are
    monitored newest first would otherwise start a first training each.
    """
    costs = [store.records.get(TrainingCost, name) for name in store.records.names(TrainingCost.kind)]
    answered = [_past(store, request, costs) for request in every(store)]
    later = [request for request in answered if cold and request.partition > partition and request.verdict == OPEN]
    return (*later, *(request for request in answered if request.partition <= partition))


def _is_recalibration(store: ModelStore, request: RetrainRequest) -> bool:
    """Return whether a request is for another intercept alone; where there could be none, a training was its answer."""
    if not request.evidence.get(RECALIBRATE):
        return False
    done = store.records.has(Training.kind, request.id)
    return not done or store.records.get(Training, request.id).origin == RECALIBRATED


def _learned(store: ModelStore, request: RetrainRequest) -> str:
    """Return the newest partition whose outcomes a request's training set has; nothing where it trains nobody.

    One that has no training set yet will have its own partition's at the most.
    """
    pin = f"train-{request.id}"
    if request.candidate:
        return ""
    if not store.records.has("pins", pin):
        return request.partition if verdict_of(store, request.id) == OPEN else ""
    snapshot = store.records.get(Snapshot, store.records.get_plain("pins", pin)["snapshot"])
    return max((str(part["partition"]) for part in snapshot.outcomes), default="")


def _past(store: ModelStore, request: RetrainRequest, costs: Sequence[TrainingCost]) -> PastRequest:
    """Return a request with its answer, and with what the trainings of all its candidates took."""
    own = [cost for cost in costs if cost.request == request.id or cost.request.startswith(f"{request.id}-")]
    return PastRequest(
        partition=request.partition,
        verdict=verdict_of(store, request.id),
        reason=request.reason,
        core_hours=sum(cost.core_seconds for cost in own) / HOUR_S,
        gpu_hours=sum(cost.gpu_seconds for cost in own) / HOUR_S,
        price=sum(cost.price or 0.0 for cost in own),
        recalibrates=(recalibrates := _is_recalibration(store, request)),
        learned="" if recalibrates else _learned(store, request),
    )
