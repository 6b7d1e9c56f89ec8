"""The validate stage: one delivery in, accepted rows and a quarantine out, or nothing at all."""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from incumbent.admit.order import Reason
from incumbent.config import Model
from incumbent.errors import BatchError, parts_of
from incumbent.partitions import end_of
from incumbent.records import Ingest, canonical_json
from incumbent.store import ModelStore
from incumbent.validate.admission import admit, copied
from incumbent.validate.contract import SourceContract, load_contract, source_contract
from incumbent.validate.delivered import DeliveredRows
from incumbent.validate.delivery import Delivery, is_current, refuse_copies, same_columns, table_of
from incumbent.validate.docs import write_docs
from incumbent.validate.intents import intend, settle
from incumbent.validate.rules import row_rules
from incumbent.validate.suite import Judgement, judge, judge_own
from incumbent.validate.usual import usual

LOG = logging.getLogger(__name__)


def ingest_or_raise(
    store: ModelStore, model: Model, contract_path: Path, source: str, partition: str, path: Path
) -> Ingest:
    """Ingest a delivery; a stopped one is an error for the person who looks after the feed.

    Raises:
        BatchError: The delivery was stopped; the message says why and nothing was committed.
    """
    contract = source_contract(load_contract(contract_path), model, source)
    found = ingest(store, model, contract, source, partition, path)
    if found.verdict == "stopped":
        said = parts_of(found.message)  # one about the file itself has them all, one about its rows says what
        where = said.get("where", path.name).replace(path.name, str(path), 1)
        raise BatchError(
            said["what"],
            where=f"{where} for {model.name}.{source} {partition}".rstrip(),
            expected=said.get("expected"),
            found=said.get("found") or "; ".join(f"{rule}: {count}" for rule, count in found.failures.items()) or None,
            next_step=said.get("next") or "nothing was committed; drop a corrected file under the same name",
        )
    return found


def ingest(
    store: ModelStore, model: Model, contract: SourceContract, source: str, partition: str, path: Path
) -> Ingest:
    """Judge one delivery and commit what passed; return the recorded verdict.

    Args:
        store: The model's store.
        model: Its configuration.
        contract: The source's contract.
        source: Source name.
        partition: Partition key; empty for a once-only source.
        path: The delivered file.

    Raises:
        BatchError: There is no file to judge.
        ConfigError: An expectation cannot be built or computed.
        StoreError: The source has a table already, with other columns than the contract's.
    """
    with tempfile.TemporaryDirectory(prefix="incumbent-") as folder:
        copy, digest = copied(path, Path(folder), contract.policy.max_bytes)
        delivery = Delivery(source, partition, path, digest, contract)
        if store.records.has(Ingest.kind, delivery.record_name):
            known = store.records.get(Ingest, delivery.record_name)
            if is_current(store, model, known):
                settle(store, delivery, known)  # the process that wrote it may have been killed before it did
                return known
        try:
            refuse_copies(store, model, delivery)
        except BatchError as error:
            # Not written down: once the other partition is corrected, the same file is welcome.
            LOG.warning("%s", error)
            return _stopped(delivery, error)
        rules = row_rules(contract, model, source, partition)
        rows = DeliveredRows(Path(folder), contract, source, rules)
        try:
            noted = admit(path, copy, contract, rows)
        except BatchError as error:
            record = _stopped(delivery, error)
        else:
            same_columns(table_of(store, model, delivery), delivery)
            record = _judge(store, model, delivery, rows)
            record = replace(record, failures={**record.failures, **noted})
        if record.verdict == "stopped" and copy is not None:
            _keep(store, copy, digest)
    if contract.digest not in store.objects:  # a record names it: it can be read and tried again
        store.objects.put(canonical_json(contract.model_dump(mode="json")))
    store.records.claim(Ingest.kind, delivery.record_name, record.to_json())
    if record.verdict == "accepted":  # else it is raised
        LOG.info("%s: %s", path, record.message)
    stands = store.records.get(Ingest, delivery.record_name)
    settle(store, delivery, stands)
    return stands


def _keep(store: ModelStore, copy: Path, digest: str) -> None:
    """Keep the bytes of a stopped file: it can be looked at, and judged again, after it is replaced."""
    if digest not in store.objects:
        staged = store.objects.blobs.staging() / f"{secrets.token_hex(8)}.delivery"
        try:
            shutil.copyfile(copy, staged)
            store.objects.put_file(staged, digest)
        finally:
            staged.unlink(missing_ok=True)


def _judge(store: ModelStore, model: Model, delivery: Delivery, rows: DeliveredRows) -> Ingest:
    tally = rows.tally()
    bounds = usual(store, model, delivery)
    judgements = judge(delivery.contract, rows.rules, tally, _oldest(model, delivery), bounds)
    judgements += judge_own(rows.database, delivery.contract, delivery.source)
    write_docs(judgements, delivery.source, store.reports() / "data_docs" / delivery.source)
    failures = _failures(judgements)
    stop = next((found for found in judgements if found.severity == "stop" and not found.success), None)
    if stop is not None:
        name = f"{stop.rule}, {stop.expectation}," if stop.rule else stop.expectation
        said = f"Stopped: {name} does not hold (found {stop.observed})."
        return _record(delivery, "stopped", failures=failures, message=said, reason=stop.reason)
    broken = [rule for rule in rows.rules if tally.broken[rule.name] and rule.severity == "quarantine"]
    bad = rows.set_aside(broken)
    share, limit = bad / tally.rows, delivery.contract.policy.max_quarantine_share
    if share > limit or bad == tally.rows:
        most = max(broken, key=lambda rule: tally.broken[rule.name])
        said = (
            f"Stopped: {bad} of {tally.rows} rows break a rule ({share:.1%}, at most {limit:.1%} are set aside); "
            f"most often: {most.name}, {most.reason}{_such_as(rows.example(most))}."
        )
        reason = Reason.QUARANTINE_SHARE
        return _record(delivery, "stopped", failures=failures, quarantined=bad, message=said, reason=reason)
    accepted = _commit(store, model, delivery, rows, bad)
    return replace(accepted, failures=failures, means=dict(tally.means))


def _oldest(model: Model, delivery: Delivery) -> datetime | None:
    """Return the oldest time, UTC, that a delivery's newest row may have; None if nobody asks or there is no end."""
    fresh = delivery.contract.freshness
    if fresh is None or not delivery.partition:
        return None
    end = end_of(delivery.partition, model.grain).replace(tzinfo=ZoneInfo(model.timezone))
    return (end - timedelta(hours=fresh.max_age_hours)).astimezone(UTC)


def _commit(store: ModelStore, model: Model, delivery: Delivery, rows: DeliveredRows, bad: int) -> Ingest:
    """Commit the good rows, then those that are set aside.

    The good rows first: a write that fails must not leave a quarantine of rows that were never delivered.
    """
    table, partition = table_of(store, model, delivery), delivery.table_partition
    with rows.good() as good:
        part = table.prepare(partition, good)
    intend(store, delivery, part)
    table.commit(part)
    with rows.aside(delivery.raw_digest) as aside:
        store.quarantine(delivery.source).replace(partition, aside)
    message = f"Accepted {part.rows} rows of {delivery.source} {delivery.partition}, {bad} in quarantine."
    return _record(delivery, "accepted", rows=part.rows, quarantined=bad, digest=part.digest, message=message)


def _such_as(example: str) -> str:
    return f", such as {example}" if example else ""


def _failures(judgements: Sequence[Judgement]) -> dict[str, object]:
    """Return what did not hold: a rule whose rows are set aside with their number, others with what was found."""
    broken = [found for found in judgements if not found.success]
    return {
        found.rule or found.expectation: found.result["unexpected_count"]
        if found.severity == "quarantine"
        else f"{found.severity}: {found.observed}"
        for found in broken
    }


def _stopped(delivery: Delivery, error: BatchError) -> Ingest:
    """Return the record of an error, without the folder: the same delivery has one record on every machine."""
    message = str(error).replace(str(delivery.path), delivery.path.name)
    return _record(delivery, "stopped", message=message, reason=error.reason)


def _record(delivery: Delivery, verdict: str, *, rows: int = 0, quarantined: int = 0, **found: Any) -> Ingest:
    return Ingest(
        source=delivery.source,
        partition=delivery.partition,
        raw_digest=delivery.raw_digest,
        contract_digest=delivery.contract.digest,
        verdict=verdict,
        rows=rows,
        quarantined=quarantined,
        **found,
    )
