"""The record of a rollout: begun once for a request, ended once, and one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from incumbent.config import Rollout
from incumbent.records import GateReport, Record
from incumbent.store import ModelStore

OPEN, DONE = "open", "done"
VERDICTS = "rollout_verdicts"


@dataclass(frozen=True)
class Plan(Record):
    """A rollout as it was begun; what the folder says later is for the next one.

    Attributes:
        id: The request that it answers; the salt of its assignment.
        version: Digest of the challenger.
        generation: The champion's, which the challenger was gated against.
        gate_report: What it has passed.
        after: Newest partition that was scored when it began: those after it take part.
        reason: Why, for the ledger.
        approved_by: Who approved, when approval is required.
        unit, steps, cycle_days, cycles, exclude: See `incumbent.config.Rollout`.
        alpha: Chance that a challenger which is no worse is sent back.
    """

    kind: ClassVar[str] = "rollouts"

    id: str
    version: str
    generation: int
    gate_report: str
    after: str
    reason: str
    approved_by: str
    unit: tuple[str, ...]
    steps: tuple[float, ...]
    cycle_days: int
    cycles: int
    exclude: tuple[str, ...]
    alpha: float


def begin(
    store: ModelStore, settings: Rollout, report: GateReport, reason: str, approved_by: str, alpha: float
) -> Plan | None:
    """Begin the rollout of a report's candidate, or find the one that was begun; None while another one goes on."""
    name = f"{report.request}/{OPEN}"
    if not store.records.has(Plan.kind, name):
        if open_plan(store) is not None:
            return None
        after = max(store.predictions.parts(), default="")
        plan = Plan(
            report.request, report.candidate, report.champion_generation, report.id, after, reason, approved_by,
            settings.unit, settings.steps, settings.cycle_days, settings.cycles, settings.exclude, alpha,
        )  # fmt: skip
        store.records.claim(Plan.kind, name, plan.to_json())
    return store.records.get(Plan, name)


def open_plan(store: ModelStore) -> Plan | None:
    """Return the rollout that goes on; None without one. One whose champion has lost the seat has no end to come to."""
    names = store.records.names(Plan.kind)
    head = store.champion()
    for name in reversed(names):
        if name.endswith(f"/{OPEN}") and f"{name.removesuffix(OPEN)}{DONE}" not in names:
            plan = store.records.get(Plan, name)
            if head is not None and head.generation == plan.generation:
                return plan
    return None


def end(store: ModelStore, plan: Plan, outcome: str, sentence: str) -> dict[str, Any]:
    """End a rollout; the first end stands, and is returned."""
    return store.records.claim(Plan.kind, f"{plan.id}/{DONE}", {"outcome": outcome, "sentence": sentence})


def found_in(store: ModelStore, plan: Plan) -> dict[str, Mapping[str, Any]]:
    """Return what was found about each partition that a rollout has a part in: the newest verdict of each."""
    found: dict[str, Mapping[str, Any]] = {}
    for name in store.records.names(VERDICTS, f"{plan.id}/"):
        plain = store.records.get_plain(VERDICTS, name)
        partition = plain["partition"]
        if partition not in found or plain["rows"] >= found[partition]["rows"]:  # outcomes that came late add rows
            found[partition] = plain
    return found
