"""What the records from a snapshot to its gate report name: data files, model files and each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from incumbent.records import (
    GateReport,
    ModelVersion,
    Rebuild,
    RetrainRequest,
    Search,
    Snapshot,
    Training,
    Trial,
    digest_of,
)
from incumbent.store.check_walk import NAMED, Walk
from incumbent.store.violation import Violation, guarded

COMPLETE = "a record has the fields of its kind"


def check_snapshot(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of a snapshot: its name, its definition and every content it pins."""
    yield from _name("a snapshot's name is its digest", where, plain)
    snapshot = Snapshot.from_json(plain)
    yield from walk.object(snapshot.definition, where, "the definition")
    tables = {"features": [f"features/{snapshot.definition[:16]}"], "outcomes": walk.tables_of("outcomes")}
    for role, parts in (("features", snapshot.features), ("outcomes", snapshot.outcomes)):
        for part in parts:
            at = f"{where}, {role} {part['partition']}"
            found = walk.data(tables[role], part["partition"], part["digest"], part["rows"], at)
            yield from guarded(COMPLETE, at, found)


def check_version(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of a version: its name, its files and the snapshot it was fitted on."""
    version = ModelVersion.from_json(plain)
    if version.digest != (name := _last(where)):
        yield Violation("a version's name is its file's digest", where, f"the manifest names {version.digest}")
    yield from walk.object(name, where, "the model file")
    yield from walk.object(version.definition, where, "the definition")
    if version.script:
        yield from walk.object(version.script, where, "the training script")
    if version.base:
        yield from walk.record(ModelVersion.kind, version.base, where)
    if version.functions:
        yield from walk.object(version.functions, where, "model.py")
    if version.order:
        yield from walk.object(version.order, where, "the order of the training")
    if version.snapshot:  # an adopted version has none
        yield from walk.record(Snapshot.kind, version.snapshot, where)


def check_training(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of a training: its request, its snapshot and the version that came out."""
    training = Training.from_json(plain)
    if training.name != _last(where):
        yield Violation("a training is named by its request", where, f"it is training {training.name}")
    yield from walk.record(RetrainRequest.kind, f"{training.request}/open", where)
    yield from walk.record(Snapshot.kind, training.snapshot, where)
    yield from walk.record(ModelVersion.kind, training.version, where)
    if training.search:
        yield from walk.record(Search.kind, training.search, where)


def check_rebuild(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of the proof that a version can be fitted again: its name and its version."""
    found = Rebuild.from_json(plain)
    name = f"{Rebuild.kind}/{found.version}/{digest_of(found.code)}"
    if name != where:
        yield Violation("a rebuild is named by its version and its code", where, f"it is {name}")
    yield from walk.record(ModelVersion.kind, found.version, where)


def check_search(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of a search: its name, its snapshot, its trials and its choice."""
    yield from _name("a search's name is its digest", where, plain)
    search = Search.from_json(plain)
    yield from walk.record(Snapshot.kind, search.snapshot, where)
    for trial in search.trials:
        yield from walk.record(Trial.kind, f"{search.work}/{trial['number']:04d}", where)
    chosen = [trial for trial in search.trials if trial["number"] == search.chosen]
    found = [(trial["params"], trial["rounds"]) for trial in chosen]
    if found != [(search.params, search.rounds)] or search.chosen not in search.pareto:
        yield Violation("a search's choice is one of its trials", where, f"trial {search.chosen}")


def check_trial(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of a trial: its name. Its search is there once all of its trials are."""
    if (found := f"{Trial.from_json(plain).number:04d}") != _last(where):
        yield Violation("a trial is named by its number", where, f"it is trial {found}")


def check_gate_report(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of a gate report: its name, contenders, snapshot, request, and the text of own gates."""
    yield from _name("a gate report's name is its digest", where, plain)
    report = GateReport.from_json(plain)
    yield from walk.record(ModelVersion.kind, report.candidate, where)
    yield from walk.record(Snapshot.kind, report.snapshot, where)
    yield from walk.record(RetrainRequest.kind, f"{report.request}/open", where)
    for text in sorted({gate["functions"] for gate in report.gates if gate.get("functions")}):
        yield from walk.object(text, where, "model.py")
    held = walk.holder(report.champion_generation) if report.champion_generation else ""
    if report.champion != held:
        found = f"generation {report.champion_generation} is not held by champion {report.champion}"
        yield Violation(NAMED, where, found)
    if report.champion:
        yield from walk.record(ModelVersion.kind, report.champion, where)


def check_card(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of a card that was written down: its version and its two files."""
    if (name := f"cards/{plain['version']}/{plain['moment']}") != where:
        yield Violation("a card is named by its version and its moment", where, f"it is {name}")
    yield from walk.record(ModelVersion.kind, plain["version"], where)
    for each in ("markdown", "page"):
        yield from walk.object(plain[each], where, f"the card's {each}")


def _name(promise: str, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Compare a name with the digest of what is stored, so that a field of a later schema counts as well."""
    digest = digest_of({key: value for key, value in plain.items() if key != "schema"})
    if digest != _last(where):
        yield Violation(promise, where, digest)


def _last(where: str) -> str:
    return where.rsplit("/", 1)[1]
