"""The report of a demonstration: what happened to each partition, each training, and in sum."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from demo.api import Airflow
from demo.quality import partition_auc
from incumbent.config import Model
from incumbent.records import GateReport, Promotion, RetrainRequest, Training
from incumbent.retrain.requests import every
from incumbent.retrain.why import decisions
from incumbent.store import ModelStore


@dataclass(frozen=True)
class Reader:
    """Reads a model's history out of its store."""

    store: ModelStore
    model: Model

    def entry(self, partition: str) -> dict[str, Any]:
        """Return one partition's line of the timeline."""
        requests = self._requests(partition)
        request = requests[-1] if requests else None
        gate = None if request is None else self._gate(request.id)
        scored = self._generation(partition)
        batch = self.store.batches(self.model.batch_source).part(partition)
        return {
            "partition": partition,
            "rows": 0 if batch is None else batch.rows,
            "quarantined": self._quarantined(partition),
            "drift": self._drift(partition),
            "retrain_reason": None if request is None else request.reason,
            "verdict": None if gate is None else gate.verdict,
            "generation": scored,
            "trained": request is not None and self.store.records.has(Training.kind, request.id),
            "auc": partition_auc(self.store, self.model, partition),
            "why": self._why(partition, requests),
        }

    def trainings(self) -> list[dict[str, Any]]:
        """Return what each training did, in request order."""
        promoted = {found.request: found.generation for found in self.store.ledger() if found.request}
        out = []
        for training in self.store.records.all(Training):
            request = self.store.records.get(RetrainRequest, f"{training.request}/open")
            out.append(
                {
                    "request": training.request,
                    "generation": promoted.get(training.request),
                    "launcher": training.launcher,
                    "workers": training.workers,
                    "device": training.device,
                    "rounds": training.rounds,
                    "checkpoints": training.checkpoints,
                    "resumed_from": training.resumed_from,
                    "reason": request.reason,
                    "partition": request.partition,
                    "message": request.message,
                }
            )
        return out

    def promotions(self) -> list[Promotion]:
        """Return the ledger."""
        return self.store.ledger()

    def rollbacks(self, after: int) -> list[tuple[str, str]]:
        """Return why each generation after one came back."""
        entries = [each for each in self.store.ledger()[after:] if each.action == "rollback"]
        return [("rollback", f"generation {each.generation}: {each.reason}") for each in entries]

    def _requests(self, partition: str) -> list[RetrainRequest]:
        return [request for request in every(self.store) if request.partition == partition]

    def _why(self, partition: str, requests: Sequence[RetrainRequest]) -> list[tuple[str, str]]:
        """Return the sentences of what was decided about a partition; nothing where nothing was to be decided."""
        out = []
        for request in requests:
            out.append(("retrain", request.message))
            if (gate := self._gate(request.id)) is not None:
                out.append(("gate", gate.sentence))
        if not requests and (held := decisions(self.store, partition)):
            newest = held[-1]
            stopped = any(each["fired"] for each in newest.evidence.get("asks", ()))
            out += [("held back", newest.message)] if stopped else []
        causes = self.store.records.names("diagnoses", f"{partition}/")
        newest_first = sorted(causes, key=lambda name: self.store.records.written("diagnoses", name), reverse=True)
        found = self.store.records.get_plain("diagnoses", newest_first[0]) if newest_first else {"cause": "none"}
        return out if found["cause"] == "none" else [("diagnosis", found["sentence"]), *out]

    def _gate(self, request: str) -> GateReport | None:
        if not self.store.records.has("pins", f"gate-{request}"):
            return None
        pin = self.store.records.get_plain("pins", f"gate-{request}")
        return self.store.records.get(GateReport, pin["gate_report"])

    def _generation(self, partition: str) -> int | None:
        if self.store.predictions.part(partition) is None:
            return None
        values = self.store.predictions.read([partition], ["generation"])["generation"].unique().to_pylist()
        return int(values[0])

    def _quarantined(self, partition: str) -> int:
        parts = [
            self.store.quarantine(name).part(partition)
            for name, source in self.model.sources.items()
            if not source.once
        ]
        return sum(part.rows for part in parts if part is not None)

    def _drift(self, partition: str) -> str | None:
        names = self.store.records.names("verdicts", f"{partition}/drift-")
        if not names:
            return None
        tier = str(self.store.records.get_plain("verdicts", names[-1])["tier"])
        return "no" if tier == "none" else tier


def summary(
    partitions: Sequence[Mapping[str, Any]],
    trainings: Sequence[Mapping[str, Any]],
    promotions: int,
    figures: Mapping[str, float | None],
) -> dict[str, Any]:
    """Return the means over the partitions that have predictions, the counts, and the run's figures."""
    scored = [entry for entry in partitions if entry["auc"] is not None]

    def mean(name: str) -> float | None:
        values = [entry[name] for entry in scored if entry.get(name) is not None]
        return statistics.fmean(values) if values else None

    return {
        "mean_auc": mean("auc"),
        "mean_auc_never": mean("auc_never"),
        "mean_auc_monthly": mean("auc_monthly"),
        "trainings": len({training["request"] for training in trainings}),
        "candidates": len(trainings),
        "promotions": promotions,
        "rejections": sum(entry["verdict"] not in (None, "promote") for entry in partitions),
        **figures,
    }


def closed_share(found: Mapping[str, Any]) -> float | None:
    """Return which share of the gap between never and monthly retraining was closed."""
    low, high, own = found["mean_auc_never"], found["mean_auc_monthly"], found["mean_auc"]
    if low is None or high is None or own is None or high <= low:
        return None
    return float((own - low) / (high - low))


def median_task_gap_s(api: Airflow, dag_ids: Sequence[str], since: str) -> float | None:
    """Return the median seconds between the end of a task and the start of the next of the same run."""
    gaps = []
    for run in api.runs(run_after_gte=since):
        if run["dag_id"] not in dag_ids:
            continue
        tasks = sorted((task for task in api.tasks(run) if task["start_date"] and task["end_date"]), key=_start)
        for before, after in pairwise(tasks):
            gap = (_start(after) - datetime.fromisoformat(before["end_date"])).total_seconds()
            if gap >= 0:
                gaps.append(gap)
    return statistics.median(gaps) if gaps else None


def _start(task: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(task["start_date"])
