"""The ledger: put-if-absent records, one per generation, without gaps.

A candidate that was judged against generation k may become k+1 and nothing else. The file system
lets exactly one writer create that record, so of any number of racing promotions one wins and the
others learn that their gate is stale. Pools and `max_active_runs` only save work; they are not the
guarantee.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from incumbent.errors import ConfigError, RecordConflict, StoreError
from incumbent.records import GateReport, ModelVersion, Promotion, digest_of
from incumbent.store import ModelStore, generation_name

log = logging.getLogger(__name__)
ROLLBACK_ATTEMPTS = 20
PINS = "pins"


@dataclass(frozen=True)
class Outcome:
    """What became of a promotion.

    Attributes:
        kind: `promoted`, `already` (this report holds that generation), `stale` (another one does:
            gate again against the new champion) or `not_passed`.
        promotion: The ledger entry of this report; None unless `promoted` or `already`.
    """

    kind: str
    promotion: Promotion | None = None


def champion(store: ModelStore) -> Promotion | None:
    """Return the newest entry of the ledger, or None before the first promotion."""
    return store.champion()


def ledger(store: ModelStore) -> list[Promotion]:
    """Return all entries in generation order."""
    return store.ledger()


def champion_at(store: ModelStore, moment: datetime) -> Promotion | None:
    """Return who held the seat at a moment, by the time at which each entry was written; None before the first.

    That of the data would not do: a rollback has none, and who is asked for is who scored then.

    Args:
        store: The model's store.
        moment: Moment, in UTC. Clocks of writers differ: what follows an entry in the ledger was not there before it.
    """
    found = None
    for name in store.records.names(Promotion.kind):
        if store.records.written(Promotion.kind, name) > moment:
            break
        found = store.records.get(Promotion, name)
    return found


def promote(store: ModelStore, report: GateReport, reason: str, partition: str, approved_by: str = "") -> Outcome:
    """Give the seat to a report's candidate, if its gates passed and the ledger has not moved.

    Calling it again with the same report changes nothing and says `already`, also long after.

    Args:
        store: The model's store.
        report: A recorded gate report.
        reason: Why, in one sentence.
        partition: Partition whose data led to it.
        approved_by: Who approved, when approval is required.

    Raises:
        StoreError: The report is not recorded, or the version's files are missing or altered, or the
            ledger does not hold the champion that the report was judged against.
    """
    if report.verdict != "promote":
        return Outcome("not_passed")
    generation = report.champion_generation + 1
    if found := _settled(store, generation, report):
        return found
    _check_evidence(store, report)
    promotion = Promotion(
        generation=generation,
        version=report.candidate,
        previous=report.champion_generation,
        gate_report=report.id,
        action="promote",
        reason=reason,
        request=report.request,
        partition=partition,
        approved_by=approved_by,
    )
    try:
        store.records.put(generation_name(generation), promotion)
    except RecordConflict:
        return _settled(store, generation, report) or Outcome("stale")
    log.info("generation %d: version %s", generation, report.candidate[:16])
    return Outcome("promoted", promotion)


def promotion_of(store: ModelStore, report: GateReport) -> Promotion | None:
    """Return the entry by which a report's candidate was promoted; None if it was not."""
    found = _settled(store, report.champion_generation + 1, report)
    return None if found is None else found.promotion


def rollback(store: ModelStore, to_generation: int, reason: str, approved_by: str = "", run: str = "") -> Promotion:
    """Give the seat back to an older generation's version, as a new generation that cites its report.

    When that version holds the seat already, its entry is returned and nothing is written. A run rolls
    back once: retried or cleared, also after later promotions, it gets the entry that it got first. A
    promotion that lands meanwhile does not lose the rollback: it comes after.

    Args:
        store: The model's store.
        to_generation: The generation whose version comes back.
        reason: Why, in one sentence.
        approved_by: Who asked for it, if that is known.
        run: Airflow run id; empty for a call that belongs to no run.

    Raises:
        ConfigError: There is no such generation.
        StoreError: The older version's files are missing or altered.
    """
    name = digest_of(run)[:16] if run else ""
    pin = f"rollback-{name}"
    if name and store.records.has(PINS, pin):
        return store.promotion(store.records.get_plain(PINS, pin)["generation"])
    entry = _give_back(store, to_generation, reason, approved_by, name)
    if name:
        store.records.claim(PINS, pin, {"generation": entry.generation})
    return entry


def _give_back(store: ModelStore, to_generation: int, reason: str, approved_by: str, run: str) -> Promotion:
    target = _target(store, to_generation)
    _check_version(store, target.version)
    for _ in range(ROLLBACK_ATTEMPTS):
        entries = store.ledger()
        # What this run wrote before it could pin it, or what another try of it writes: that takes the next number.
        if own := [entry for entry in entries if run and entry.run == run]:
            return own[0]
        head = entries[-1]
        if head.version == target.version:
            return head
        entry = Promotion(
            generation=head.generation + 1,
            version=target.version,
            previous=head.generation,
            gate_report=target.gate_report,
            action="rollback",
            reason=reason,
            approved_by=approved_by,
            run=run,
        )
        try:
            store.records.put(generation_name(entry.generation), entry)
        except RecordConflict:
            continue
        log.info("generation %d: rolled back to version %s", entry.generation, entry.version[:16])
        return entry
    raise StoreError(
        "the rollback lost every race",
        where=f"{store.records.blobs.url}/{Promotion.kind}",
        expected=f"success within {ROLLBACK_ATTEMPTS} attempts",
        next_step="find out what promotes without pause, stop it, and roll back again",
    )


def _settled(store: ModelStore, generation: int, report: GateReport) -> Outcome | None:
    """Return the outcome if the generation is taken, else None."""
    if not store.records.has(Promotion.kind, generation_name(generation)):
        return None
    taken = store.promotion(generation)
    if taken.gate_report == report.id and taken.action == "promote":
        return Outcome("already", taken)
    return Outcome("stale")


def _check_evidence(store: ModelStore, report: GateReport) -> None:
    """Refuse a report that is not recorded, or whose champion is not the one the ledger names."""
    if not store.records.has(GateReport.kind, report.id):
        raise StoreError(
            "the gate report is not recorded",
            where=store.records.where(GateReport.kind, report.id),
            next_step="let EVALUATE record it; nothing is promoted on a report that nobody can read",
        )
    before = report.champion_generation
    known = before == 0 or store.records.has(Promotion.kind, generation_name(before))
    held = store.promotion(before).version if before and known else ""
    if not known or held != report.champion:
        raise StoreError(
            "the ledger does not hold the champion that the report was judged against",
            where=f"generation {before}",
            expected=report.champion[:16] or "an empty ledger",
            found=held[:16] if known else "no such generation",
            next_step="run `incumbent store check`; restore the ledger from a backup",
        )
    _check_version(store, report.candidate)


def _check_version(store: ModelStore, digest: str) -> None:
    version = store.records.get(ModelVersion, digest)
    for name in (version.digest, version.definition):
        store.objects.get(name)


def _target(store: ModelStore, generation: int) -> Promotion:
    if generation < 1 or not store.records.has(Promotion.kind, generation_name(generation)):
        raise ConfigError(
            "there is no such generation",
            where=f"ledger of {store.name}",
            expected=f"1 to {len(store.records.names(Promotion.kind))}",
            found=generation,
            next_step=f"choose an entry of {store.records.blobs.url}/{Promotion.kind}, a file for each generation",
        )
    return store.promotion(generation)
