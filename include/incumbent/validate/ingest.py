"""The validate stage: one delivery in, accepted rows and a quarantine out, or nothing at all."""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from incumbent.config import Model
from incumbent.errors import BatchError, parts_of
from incumbent.records import Ingest, Part, canonical_json
from incumbent.room import enough_room
from incumbent.store import ModelStore
from incumbent.store.place import Place
from incumbent.validate.admission import admit, copied
from incumbent.validate.contract import SourceContract, load_contract, source_contract
from incumbent.validate.delivered import DeliveredRows
from incumbent.validate.delivery import Delivery, is_current, refuse_copies, same_columns, same_hashes, table_of
from incumbent.validate.erased import keeps, leave_out
from incumbent.validate.hashing import secret_of
from incumbent.validate.intents import intend, settle
from incumbent.validate.rules import row_rules
from incumbent.validate.verdict import decide

LARGE = 2**29  # bytes of a file; its rows take about twice as many in memory
LOG = logging.getLogger(__name__)


def ingest_or_raise(
    store: ModelStore, model: Model, contract_path: Path, source: str, partition: str, path: Place
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
    store: ModelStore, model: Model, contract: SourceContract, source: str, partition: str, path: Place
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
        UnavailableError: There is not enough room to judge it in.
    """
    where = f"{path} for {model.name}.{source} {partition}".rstrip()
    with tempfile.TemporaryDirectory(prefix="incumbent-") as folder, enough_room(where, "deliver smaller partitions"):
        copy, digest = copied(path, Path(folder), contract.policy.max_bytes)
        delivery = Delivery(source, partition, path, digest, contract)
        if known := _known(store, model, delivery):
            settle(store, delivery, known)  # the process that wrote it may have been killed before it did
            return known
        try:
            refuse_copies(store, model, delivery)
        except BatchError as error:
            # Not written down: once the other partition is corrected, the same file is welcome.
            LOG.warning("%s", error)
            return _stopped(delivery, error)
        rules, secret = row_rules(contract, model, source, partition), secret_of(store, contract)
        is_large = copy is not None and copy.stat().st_size > LARGE
        rows, erased = DeliveredRows(Path(folder), contract, source, rules, is_large=is_large), None
        try:
            noted = admit(path, copy, contract, rows, secret)
        except BatchError as error:
            record = _stopped(delivery, error)
        else:
            same_columns(table_of(store, model, delivery), delivery)
            same_hashes(store, model, delivery)
            erased = leave_out(store, contract, rows)
            record = _judge(store, model, delivery, rows)
            record = replace(record, failures={**record.failures, **noted, **erased})
        if (
            record.verdict == "stopped"
            and copy is not None
            and not contract.hashed  # it has in the clear what is stored as pseudonyms
            and keeps(store, contract, digest, erased)
        ):
            _keep(store, copy, digest)
    if contract.digest not in store.objects:  # a record names it: it can be read and tried again
        store.objects.put(canonical_json(contract.model_dump(mode="json")))
    store.records.claim(Ingest.kind, delivery.record_name, record.to_json())
    if record.verdict == "accepted":  # else it is raised
        LOG.info("%s: %s", path, record.message)
    stands = store.records.get(Ingest, delivery.record_name)
    settle(store, delivery, stands)
    return stands


def _known(store: ModelStore, model: Model, delivery: Delivery) -> Ingest | None:
    """Return the verdict on this file that stands: under this contract, or with the rows that were replayed since.

    What a person replayed is not judged again from the file: the corrected rows are not in it.
    """
    names = store.records.names(Ingest.kind, delivery.file_name)
    known = {name: store.records.get(Ingest, name) for name in names}
    standing = [record for name, record in known.items() if record.revisit or name == delivery.record_name]
    return next((record for record in standing if is_current(store, model, record)), None)


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
    found = decide(store, model, delivery, rows)
    known: dict[str, Any] = {"failures": found.failures, "results": found.results, "quarantined": found.aside}
    if found.message:
        return _record(delivery, "stopped", message=found.message, reason=found.reason, **known)
    part = _commit(store, model, delivery, rows)
    message = f"Accepted {part.rows} rows of {delivery.source} {delivery.partition}, {found.aside} in quarantine."
    means = dict(found.means)
    return _record(delivery, "accepted", rows=part.rows, digest=part.digest, message=message, means=means, **known)


def _commit(store: ModelStore, model: Model, delivery: Delivery, rows: DeliveredRows) -> Part:
    """Commit the good rows, then those that are set aside.

    The good rows first: a write that fails must not leave a quarantine of rows that were never delivered. And the
    others only beside them: another delivery of the partition, that came meanwhile, has its own.
    """
    table, partition = table_of(store, model, delivery), delivery.table_partition
    with rows.good() as good:
        part = table.prepare(partition, good)
    intend(store, delivery, part)
    table.commit(part)
    quarantine = store.quarantine(delivery.source)
    with rows.aside(delivery.raw_digest) as aside:
        quarantine.commit(quarantine.prepare(partition, aside), if_still=lambda: table.part(partition) == part)
    return part


def _stopped(delivery: Delivery, error: BatchError) -> Ingest:
    """Return the record of an error, without the folder: the same delivery has one record on every machine."""
    return _record(
        delivery, "stopped", message=str(error).replace(str(delivery.path), delivery.path.name), reason=error.reason
    )


def _record(
    delivery: Delivery, verdict: str, *, rows: int = 0, quarantined: int = 0, message: str = "", **found: Any
) -> Ingest:
    hashed = delivery.contract.hashed
    if verdict == "stopped" and hashed:
        message = message if message.endswith(".") else f"{message}."
        message += f" The file is not kept: it holds {', '.join(hashed)} in the clear."
    return Ingest(
        source=delivery.source,
        partition=delivery.partition,
        raw_digest=delivery.raw_digest,
        contract_digest=delivery.contract.digest,
        verdict=verdict,
        rows=rows,
        quarantined=quarantined,
        message=message,
        masked=delivery.contract.masked,
        hashed=hashed,
        **found,
    )
