"""Walk the records: each is canonical JSON, and what a record of a known kind names is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from incumbent.records import (
    GateReport,
    Ingest,
    ModelVersion,
    Rebuild,
    RetrainRequest,
    Revisit,
    ScoreOrder,
    Search,
    Snapshot,
    Training,
    Trial,
    canonical_json,
)
from incumbent.store.check_deliveries import check_ingest
from incumbent.store.check_features import check_profile
from incumbent.store.check_removals import check_erasure, check_removal
from incumbent.store.check_requests import check_decision, check_pin, check_request, check_score_order
from incumbent.store.check_revisits import check_revisit
from incumbent.store.check_training import (
    check_card,
    check_gate_report,
    check_rebuild,
    check_search,
    check_snapshot,
    check_training,
    check_trial,
    check_version,
)
from incumbent.store.check_verdicts import (
    check_baseline,
    check_diagnosis,
    check_drift_counts,
    check_kpis,
    check_reference,
    check_verdict,
)
from incumbent.store.check_walk import Walk
from incumbent.store.removals import Removal
from incumbent.store.violation import Violation, guarded

Check = Callable[[Walk, str, Mapping[str, Any]], Iterator[Violation]]
CANONICAL = "a record is canonical JSON"
KINDS: Mapping[str, Check] = {
    "baselines": check_baseline,
    "cards": check_card,
    "decisions": check_decision,
    "diagnoses": check_diagnosis,
    "drift_counts": check_drift_counts,
    "erasures": check_erasure,
    "estimates": check_verdict,
    "gate_figures": check_baseline,
    "kpis": check_kpis,
    "pins": check_pin,
    "profiles": check_profile,
    "recalibrations": check_baseline,
    "references": check_reference,
    "verdicts": check_verdict,
    GateReport.kind: check_gate_report,
    Ingest.kind: check_ingest,
    ModelVersion.kind: check_version,
    Rebuild.kind: check_rebuild,
    Removal.kind: check_removal,
    RetrainRequest.kind: check_request,
    Revisit.kind: check_revisit,
    ScoreOrder.kind: check_score_order,
    Search.kind: check_search,
    Snapshot.kind: check_snapshot,
    Training.kind: check_training,
    Trial.kind: check_trial,
}


def check_records(walk: Walk) -> Iterator[Violation]:
    """Yield the violations of all records but the ledger's; of an unknown kind only the bytes are judged."""
    for name in walk.store.records.blobs.names():
        where = name.removesuffix(".json")
        yield from guarded("a record can be read", where, _record(walk, name, where))


def _record(walk: Walk, name: str, where: str) -> Iterator[Violation]:
    data = walk.store.records.blobs.read(name)
    try:
        plain = json.loads(data)
    except ValueError as error:
        yield Violation("a record is JSON", where, str(error))
        return
    try:
        canonical = canonical_json(plain)
    except ValueError as error:
        yield Violation(CANONICAL, where, str(error))
        return
    if canonical != data:
        yield Violation(CANONICAL, where, "other bytes for the same value")
    if not isinstance(plain, dict):
        yield Violation("a record is a JSON object", where, str(plain)[:120])
    elif step := KINDS.get(where.split("/")[0]):
        yield from step(walk, where, plain)
