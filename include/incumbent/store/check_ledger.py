"""Walk the ledger and report every promotion that the evidence does not carry."""

from __future__ import annotations

from collections.abc import Iterator

from incumbent.errors import PipelineError
from incumbent.records import GateReport, ModelVersion, Promotion
from incumbent.store.store import ModelStore, generation_name
from incumbent.store.violation import Violation, guarded

DENSE = "generations are 1, 2, 3, … without gaps"
GATED = "nothing is promoted without passed gates over the same model and the then-current champion"
CITED = "a rollback cites the report of an older generation with the same version"
FILES = "a champion has its files, and they are what their names say"


def check_ledger(store: ModelStore) -> list[Violation]:
    """Return every violation in a model's ledger, in generation order; an empty list is a sound one."""
    found: list[Violation] = []
    held: dict[int, Promotion] = {}
    for position, name in enumerate(store.records.names(Promotion.kind), start=1):
        where = f"promotions/{name}"
        found += guarded("a ledger entry can be read", where, _entry(store, position, name, held, where))
    return found


def _entry(store: ModelStore, position: int, name: str, held: dict[int, Promotion], where: str) -> Iterator[Violation]:
    entry = store.records.get(Promotion, name)
    if name != generation_name(position) or entry.generation != position:
        yield Violation(DENSE, where, f"generation {entry.generation} at position {position}")
    if entry.previous != position - 1:
        yield Violation(DENSE, where, f"took the seat from generation {entry.previous}")
    yield from _report(store, entry, held, where)
    yield from _files(store, entry.version, where)
    held[entry.generation] = entry


def _report(store: ModelStore, entry: Promotion, held: dict[int, Promotion], where: str) -> Iterator[Violation]:
    if not store.records.has(GateReport.kind, entry.gate_report):
        yield Violation(GATED, where, f"gate report {entry.gate_report[:16]} is missing")
        return
    report = store.records.get(GateReport, entry.gate_report)
    if report.verdict != "promote" or any(gate["passed"] is not True for gate in report.gates):
        yield Violation(GATED, where, f"verdict {report.verdict}: {report.sentence}")
    if report.candidate != entry.version:
        yield Violation(GATED, where, f"the report is over version {report.candidate[:16]}")
    if entry.action == "rollback":
        older = [old for old in held.values() if (old.version, old.gate_report) == (entry.version, entry.gate_report)]
        if not older:
            yield Violation(CITED, where, f"no older generation holds version {entry.version[:16]} by that report")
        return
    before = held[entry.generation - 1].version if entry.generation - 1 in held else ""
    if (report.champion_generation, report.champion) != (entry.generation - 1, before):
        yield Violation(GATED, where, f"gated against generation {report.champion_generation}")


def _files(store: ModelStore, digest: str, where: str) -> Iterator[Violation]:
    try:
        version = store.records.get(ModelVersion, digest)
        if version.digest != digest:
            yield Violation(FILES, where, f"the manifest names model file {version.digest[:16]}")
        for name in (version.digest, version.definition):
            store.objects.get(name)
    except PipelineError as error:
        yield Violation(FILES, where, f"{error.what}: {error.where}")
