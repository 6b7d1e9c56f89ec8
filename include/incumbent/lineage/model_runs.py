"""Runs that make and seat a model version: its training set, its training, its gates, its promotion."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from incumbent.lineage.data_runs import of_version, table_role
from incumbent.lineage.event import Dataset, Run, facet, model_facet, of_partitions, version
from incumbent.lineage.naming import Naming
from incumbent.records import GateReport, ModelVersion, Promotion, Snapshot, Training


def took(naming: Naming, snapshot: Snapshot, at: datetime) -> Run:
    """Return the run that pinned a training set."""
    outcomes = next(name for name, source in naming.model.sources.items() if source.role == "outcomes")
    named = ((f"features/{snapshot.definition[:16]}", snapshot.features), (f"{table_role('outcomes')}/{outcomes}",
             snapshot.outcomes))  # fmt: skip
    return Run(
        job="train.snapshot",
        what=f"{Snapshot.kind}/{snapshot.id}",
        at=at,
        inputs=[
            Dataset(naming.table(table), {}, of_partitions("input", [str(part["partition"]) for part in parts]))
            for table, parts in named if parts
        ],
        outputs=[Dataset(naming.records(Snapshot.kind), version(snapshot.id))],
        partition=snapshot.partition,
    )  # fmt: skip


def trained(naming: Naming, training: Training, made: ModelVersion, at: datetime) -> Run:
    """Return the run that fitted a version."""
    inputs = [Dataset(naming.records(Snapshot.kind), version(training.snapshot))]
    if made.base:
        inputs.append(of_version(naming, made.base, None))
    how = {"launcher": training.launcher, "device": training.device, "request": training.request}
    return Run(
        job="train.train",
        what=f"{Training.kind}/{training.name}",
        at=at,
        inputs=inputs,
        outputs=[of_version(naming, training.version, made, **how)],
        request=training.request,
    )


def judged(naming: Naming, report: GateReport, candidate: ModelVersion | None, at: datetime) -> Run:
    """Return the run that compared a candidate with the champion."""
    gates = [_gate(each) for each in report.gates if each.get("passed") is not None]
    judged = of_version(naming, report.candidate, candidate, verdict=report.verdict)
    inputs = [Dataset(judged.name, judged.facets, facet("dataQualityAssertions", assertions=gates))]
    if report.champion:
        inputs.append(of_version(naming, report.champion, None, generation=report.champion_generation))
    inputs.append(Dataset(naming.records(Snapshot.kind), version(report.snapshot)))
    return Run(
        job="train.evaluate",
        what=f"{GateReport.kind}/{report.id}",
        at=at,
        inputs=inputs,
        outputs=[Dataset(naming.records(GateReport.kind), version(report.id))],
        partition=report.partition,
        request=report.request,
    )


def seated(naming: Naming, entry: Promotion, holder: ModelVersion | None, at: datetime) -> Run:
    """Return the run that gave a version the seat."""
    about = {"generation": entry.generation, "action": entry.action, "previousGeneration": entry.previous}
    said = model_facet(model=naming.model.name, digest=entry.version, gateReport=entry.gate_report, **about)
    inputs = [of_version(naming, entry.version, holder)]
    if entry.gate_report:
        inputs.append(Dataset(naming.records(GateReport.kind), version(entry.gate_report)))
    return Run(
        job="rollback.promote" if entry.action == "rollback" else "train.promote",
        what=f"{Promotion.kind}/{entry.generation}",
        at=at,
        inputs=inputs,
        outputs=[Dataset(naming.records(Promotion.kind), version(str(entry.generation)) | said)],
        partition=entry.partition,
        request=entry.request,
    )


def _gate(gate: Any) -> dict[str, Any]:
    return {"assertion": str(gate["gate"]), "success": bool(gate["passed"]), "severity": "error"}
