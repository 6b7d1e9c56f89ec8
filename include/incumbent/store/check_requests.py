"""What the steps of a request and the pins of runs name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from incumbent.records import GateReport, ModelVersion, Promotion, RetrainRequest, ScoreOrder, Snapshot
from incumbent.store.check_walk import NAMED, Walk
from incumbent.store.store import generation_name
from incumbent.store.violation import Violation


def check_request(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of one step of a request: it was opened, and its answer names what is there."""
    kind, request, step = where.split("/")
    if step == "open":
        if (found := RetrainRequest.from_json(plain).id) != request:
            yield Violation("a record lies under its own name", where, f"it is request {found}")
        return
    yield from walk.record(kind, f"{request}/open", where)
    if step == "done":
        if plain["version"]:
            yield from walk.record(ModelVersion.kind, plain["version"], where)
        yield from _generation(walk, where, plain["generation"], plain["version"])


def check_score_order(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of one step of an order to score again: it was opened, for a generation of the ledger."""
    kind, order, step = where.split("/")
    if step != "open":
        yield from walk.record(kind, f"{order}/open", where)
        return
    found = ScoreOrder.from_json(plain)
    if found.id != order:
        yield Violation("a record lies under its own name", where, f"it is order {found.id}")
    yield from walk.record(Promotion.kind, generation_name(found.generation), where)


def check_decision(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield a violation unless what a decision looked at is there, so that it can be made again."""
    if plain.get("inputs"):  # of older releases it is not on record
        yield from walk.object(plain["inputs"], where, "what it looked at")


def check_pin(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of a pin; of a kind that is not known here, none."""
    check = PINS.get(where.split("/", 1)[1].partition("-")[0])
    if check is not None:
        yield from check(walk, where, plain)


def _snapshot(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    yield from walk.record(Snapshot.kind, plain["snapshot"], where)
    yield from walk.record(RetrainRequest.kind, f"{plain['request']}/open", where)


def _candidates(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    for about in plain.values():
        if base := about.get("base"):
            yield from walk.record(ModelVersion.kind, base, where)


def _gate(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    yield from walk.record(ModelVersion.kind, plain["candidate"], where)
    for report in (plain["gate_report"], *plain.get("others", ())):
        yield from walk.record(GateReport.kind, report, where)


def _search(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    yield from walk.record(RetrainRequest.kind, f"{plain['request']}/open", where)
    yield from _generation(walk, where, plain["generation"])


def _score(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    yield from _generation(walk, where, plain.get("generation", 0))


def _decision(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    yield from walk.record("decisions", plain["decision"], where)
    if plain["request"]:  # most decisions ask for nothing
        yield from walk.record(RetrainRequest.kind, f"{plain['request']}/open", where)


def _rollback(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    yield from _in_ledger(walk, where, plain["generation"])


PINS: Mapping[str, Callable[[Walk, str, Mapping[str, Any]], Iterator[Violation]]] = {
    "train": _snapshot,
    "candidates": _candidates,
    "gate": _gate,
    "search": _search,
    "score": _score,
    "decision": _decision,
    "rollback": _rollback,
}


def _generation(walk: Walk, where: str, generation: int, version: str | None = None) -> Iterator[Violation]:
    if generation > 0:
        yield from _in_ledger(walk, where, generation, version)


def _in_ledger(walk: Walk, where: str, generation: int, version: str | None = None) -> Iterator[Violation]:
    held = walk.holder(generation)
    if held is None:
        yield Violation(NAMED, where, f"generation {generation} is not in the ledger")
    elif version not in (None, held):
        yield Violation(NAMED, where, f"generation {generation} is held by {held}, not by {version}")
