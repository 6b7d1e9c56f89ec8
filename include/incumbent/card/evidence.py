"""All that is on record of a version as files by name, for one archive."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import yaml

from incumbent.card.document import document
from incumbent.card.known import Known
from incumbent.card.markdown import markdown
from incumbent.card.page import page
from incumbent.card.sbom import sbom
from incumbent.definition import files_of
from incumbent.errors import StoreError
from incumbent.evaluate.figures import GateFigures
from incumbent.provenance.version import VersionWhy
from incumbent.provenance.version import why as look
from incumbent.records import (
    GateReport,
    ModelVersion,
    Promotion,
    Record,
    RetrainRequest,
    Snapshot,
    Training,
    TrainingCost,
)
from incumbent.store import generation_name

CONFIGURATION = "# The configuration that the version was trained by, with every default written out.\n"


def evidence(known: Known) -> tuple[dict[str, bytes], VersionWhy]:
    """Return the files of the evidence, without its index, and what a look at all that it rests on has found.

    Each link is looked at and each content hashed again: what is broken or gone is said in `provenance.json`.
    """
    made = document(known)
    looked = look(known.store, known.version)
    files = {"card.md": markdown(made).encode(), "card.html": page(made).encode()}
    files |= dict(_configuration(known))
    files |= dict(_records(known))
    files |= {
        "ledger.json": _json(list(_ledger(known))),
        "monitoring.json": _json([dict(each) for each in known.verdicts()]),
        "provenance.json": _json(_provenance(looked)),
    }
    packages = _object(known, known.version.code.get("packages", ""))
    if packages is not None:
        files["sbom.cdx.json"] = sbom(known.version, packages)
    return files, looked


def _configuration(known: Known) -> Iterator[tuple[str, bytes]]:
    """Yield what the version was made by: its configuration, definition, functions, script and contracts."""
    version, store = known.version, known.store
    if known.of_then is not None:
        told = json.loads(store.objects.get(version.order))["model"]
        yield "model.yaml", (CONFIGURATION + yaml.safe_dump(told, sort_keys=False, allow_unicode=True)).encode()
    if (definition := _object(known, version.definition)) is not None:
        yield from files_of(definition.decode()).items()
    for name, digest in (("training_model.py", version.functions), ("training_script.py", version.script)):
        if (text := _object(known, digest)) is not None:
            yield name, text
    for source, digest in sorted(known.snapshot.contracts.items() if known.snapshot else ()):
        if (contract := _object(known, digest)) is not None:
            yield f"contracts/{source}.json", contract


def _records(known: Known) -> Iterator[tuple[str, bytes]]:
    """Yield the records about it, byte for byte as they lie in the store."""
    version, training = known.version, known.training
    named: list[tuple[type[Record], str]] = [(ModelVersion, version.digest)]
    if version.snapshot:
        named.append((Snapshot, version.snapshot))
    if training:
        named += [(Training, training.name), (TrainingCost, training.name)]
    requests = {*(report.request for report in known.reports), *([training.request] if training else ())}
    named += [(RetrainRequest, f"{name}/open") for name in sorted(requests)]
    for report in known.reports:
        named += [(GateReport, report.id), (GateFigures, report.id)]
    named += [(Promotion, generation_name(each.entry.generation)) for each in known.seats]
    records = known.store.records
    for kind, name in named:
        if records.has(kind.kind, name):
            yield f"records/{records.key(kind.kind, name)}", records.blobs.read(records.key(kind.kind, name))


def _ledger(known: Known) -> Iterator[dict[str, Any]]:
    """Yield its entries of the ledger and those that followed each, with when they were written and who approved."""
    records, mine = known.store.records, {each.entry.generation for each in known.seats}
    for entry in known.store.ledger():
        if entry.generation in mine or entry.generation - 1 in mine:
            written = records.written(Promotion.kind, generation_name(entry.generation))
            yield {"written": written.isoformat(), "is_this_version": entry.generation in mine, **entry.to_json()}


def _provenance(looked: VersionWhy) -> Mapping[str, Any]:
    return {
        "links": [asdict(each) for each in looked.links],
        "broken": [each.name for each in looked.broken],
        "scored": [asdict(each) for each in looked.scored],
        "followers": list(looked.followers),
        "rebuilds": [{"written": at, **proof.to_json()} for at, proof in looked.rebuilds],
    }


def _object(known: Known, digest: str) -> bytes | None:
    """Return a stored file; None if there is none, or it is not what it should be: the look at the links names it."""
    try:
        return known.store.objects.get(digest) if digest else None
    except StoreError:
        return None


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, default=str) + "\n").encode()
