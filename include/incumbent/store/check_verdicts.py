"""What the records of MONITOR name: predictions, the version that made them, and its references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from incumbent.records import GateReport, ModelVersion
from incumbent.store.check_walk import NAMED, THERE, Walk
from incumbent.store.violation import Violation


def check_verdict(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of a verdict: predictions of its partition, and who made them."""
    partition, generation, version = plain["partition"], plain["generation"], plain["version"]
    yield from walk.record(ModelVersion.kind, version, where)
    if walk.holder(generation) != version:
        yield Violation(NAMED, where, f"generation {generation} is not held by version {version}")
    if walk.store.predictions.part(partition) is None:
        yield Violation(THERE, where, f"no predictions of {partition}")


def check_diagnosis(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of a diagnosis: those of a verdict; a batch that was held has no predictions."""
    if not where.rpartition("/")[2].startswith("hold-"):
        yield from check_verdict(walk, where, plain)


def check_kpis(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of a partition's KPIs: those of a verdict, and the SQL that says what they are."""
    yield from check_verdict(walk, where, plain)
    yield from walk.object(plain["definition"], where, "the SQL")


def check_drift_counts(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield a violation unless the version is there by whose cells a partition was counted."""
    yield from walk.record(ModelVersion.kind, plain["version"], where)


def check_reference(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield the violations of a reference: its version, a profile of each training partition, their counts."""
    yield from walk.record(ModelVersion.kind, where.split("/")[1], where)
    for digest in plain["profiles"]:
        yield from walk.object(digest, where, "the profile")
    if "counts" in plain:  # of today's format: `references/VERSION/2`
        yield from walk.object(plain["counts"], where, "the counts of the profiles")


def check_baseline(walk: Walk, where: str, plain: Mapping[str, Any]) -> Iterator[Violation]:
    """Yield a violation unless the gate report is there that a baseline was computed for; it names that only."""
    yield from walk.record(GateReport.kind, where.split("/", 1)[1], where)
