"""Who was given the seat and why, and what the version that has it was made of: the links to its decision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from incumbent.provenance.link import AGREES, BROKEN, GONE, Link, content, held, stored_object
from incumbent.records import GateReport, ModelVersion, Part, Promotion, RetrainRequest, Snapshot, digest_of
from incumbent.rollout.plan import OPEN, Plan
from incumbent.store import ModelStore, generation_name
from incumbent.store.check_walk import Walk


def seat(walk: Walk, generation: int, version: str) -> Iterator[Link]:
    """Yield the entry of the ledger, the request that led to it and the report that it rests on.

    Args:
        walk: A walk through the model's store.
        generation: Position in the ledger.
        version: Digest of the version that is said to have it.
    """
    yield from held("generation", lambda: _entry(walk.store, generation, version))
    records = walk.store.records
    if not records.has(Promotion.kind, generation_name(generation)):
        return
    entry = walk.store.promotion(generation)
    if entry.request:
        yield from held("request", lambda: _request(walk.store, entry.request))
    yield from held("gate report", lambda: _report(walk.store, entry.gate_report, version))


def rolled_out(walk: Walk, generation: int, version: str) -> Iterator[Link]:
    """Yield who had the seat while a challenger predicted a share of the rows, its rollout, and the report behind it.

    Args:
        walk: A walk through the model's store.
        generation: Position in the ledger of who had the seat.
        version: Digest of the challenger.
    """
    store = walk.store
    yield from held("generation", lambda: _entry(store, generation, store.promotion(generation).version))
    yield from held("rollout", lambda: _rollout(store, generation, version))


def _rollout(store: ModelStore, generation: int, version: str) -> Iterator[Link]:
    names = [name for name in store.records.names(Plan.kind) if name.endswith(f"/{OPEN}")]
    plans = [store.records.get(Plan, name) for name in names]
    found = [plan for plan in plans if (plan.generation, plan.version) == (generation, version)]
    if not found:
        yield Link("rollout", "", state=BROKEN, found=f"none deals rows to it beside generation {generation}")
        return
    who = f", approved by {found[-1].approved_by}" if found[-1].approved_by else ""
    yield Link("rollout", f"challenger of rollout {found[-1].id}{who}: {found[-1].reason}", state=AGREES)
    yield from held("request", lambda: _request(store, found[-1].id))
    yield from held("gate report", lambda: _report(store, found[-1].gate_report, version))


def trained(walk: Walk, digest: str, definition: str = "") -> Iterator[Link]:
    """Yield the version's record, the files that it names and the training set that it was fitted on.

    Args:
        walk: A walk through the model's store.
        digest: The version.
        definition: Digest of the feature definition that it is said to have; not compared if empty.
    """
    records = walk.store.records
    yield from held("version", lambda: _version(walk, digest, definition))
    if not records.has(ModelVersion.kind, digest):
        return
    version = records.get(ModelVersion, digest)
    named = {"packages": version.code.get("packages", ""), "training script": version.script}
    named |= {"model.py of the training": version.functions, "order of the training": version.order}
    yield from held("model file", lambda: [stored_object(walk, "model file", digest, f"{version.estimator}")])
    for name, each in named.items():
        if each:
            yield from held(name, lambda name=name, each=each: [stored_object(walk, name, each, "")])  # type: ignore[misc]
    if version.snapshot:
        yield from held("snapshot", lambda: _snapshot(walk, version.snapshot))


def _entry(store: ModelStore, generation: int, version: str) -> Iterator[Link]:
    entry, name = store.promotion(generation), generation_name(generation)
    at = store.records.written(Promotion.kind, name)
    who = f", approved by {entry.approved_by}" if entry.approved_by else ""
    says = f"generation {generation}, by {entry.action} on {at:%Y-%m-%d %H:%M:%S} UTC{who}: {entry.reason}"
    wrong = (entry.generation, entry.version) != (generation, version)
    found = f"the ledger gives it to generation {entry.generation}, version {entry.version[:16]}" if wrong else ""
    more = {"written": at.isoformat(), "approved_by": entry.approved_by, "action": entry.action}
    yield Link("generation", says, "", BROKEN if wrong else AGREES, found, {**more, "reason": entry.reason})


def _request(store: ModelStore, name: str) -> Iterator[Link]:
    request = store.records.get(RetrainRequest, f"{name}/open")
    wrong = request.id != name
    found = f"it is request {request.id}" if wrong else ""
    yield Link("request", f"{name}, {request.reason}: {request.message}", "", BROKEN if wrong else AGREES, found)


def _report(store: ModelStore, digest: str, version: str) -> Iterator[Link]:
    plain = store.records.get_plain(GateReport.kind, digest)
    report, found = GateReport.from_json(plain), _altered(plain, digest)
    if not found and report.candidate != version:
        found = f"it is over version {report.candidate[:16]}"
    says = f"{report.verdict}: {report.sentence}"
    yield Link("gate report", says, digest, BROKEN if found else "verified", found, {"gates": list(report.gates)})


def _version(walk: Walk, digest: str, definition: str) -> Iterator[Link]:
    version = walk.store.records.get(ModelVersion, digest)
    found = f"the record names model file {version.digest[:16]}" if version.digest != digest else ""
    if definition and version.definition != definition:
        found = f"its definition is {version.definition[:16]}, that of the row {definition[:16]}"
    commit = version.code.get("commit", "")
    says = f"{version.estimator}, {version.rounds} rounds on {version.train_rows} rows before {version.train_until}"
    says += f"; code commit {commit}" if commit else "; of code that is in no git"
    more = {"params": dict(version.params), "code": dict(version.code), "base": version.base}
    yield Link("version", says, digest, BROKEN if found else AGREES, found, more)


def _snapshot(walk: Walk, digest: str) -> Iterator[Link]:
    plain = walk.store.records.get_plain(Snapshot.kind, digest)
    snapshot, found = Snapshot.from_json(plain), _altered(plain, digest)
    keys = [part["partition"] for part in snapshot.features]
    says = f"{len(keys)} partitions {min(keys, default='')} to {max(keys, default='')}, training rows before "
    says += f"{snapshot.train_until}, gate rows {snapshot.gate_from} to {snapshot.gate_until}"
    yield Link("snapshot", says, digest, BROKEN if found else "verified", found, {"partitions": keys})
    if not found:
        yield from held("training rows", lambda: _contents(walk, snapshot))


def _contents(walk: Walk, snapshot: Snapshot) -> Iterator[Link]:
    """Yield one link for all contents of a training set, and one for each that is gone or damaged."""
    outcomes = walk.tables_of("outcomes")
    named = [(f"features/{snapshot.definition[:16]}", part) for part in snapshot.features]
    for part in snapshot.outcomes:  # it does not say of which source they are
        holds = (name for name in outcomes if walk.store.blobs.has(_file(walk, name, part)))
        named.append((next(holds, outcomes[0] if outcomes else "outcomes"), part))
    found = [content(walk, "training rows", table, Part(**part)) for table, part in named]
    states = Counter(each.state for each in found)
    yield from (each for each in found if each.state in (GONE, BROKEN))
    yield Link("training rows", f"{states['verified']} of {len(found)} contents are there and hashed again")


def _file(walk: Walk, table: str, part: Mapping[str, Any]) -> str:
    return f"{walk.folder(table, part['partition'])}/{part['digest']}.parquet"


def _altered(plain: Mapping[str, Any], digest: str) -> str:
    """Return what is wrong with a record that is named by its digest; nothing if it is as it was written."""
    found = digest_of({key: value for key, value in plain.items() if key != "schema"})
    return "" if found == digest else f"its content has the digest {found[:16]}"
