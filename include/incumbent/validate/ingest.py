"""The validate stage: one delivery in, accepted rows and a quarantine out, or nothing at all."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.config import Model
from incumbent.errors import BatchError, parts_of
from incumbent.records import Ingest, digest_of
from incumbent.store import ModelStore
from incumbent.validate.admission import admit, read_once
from incumbent.validate.contract import SourceContract, load_contract, source_contract
from incumbent.validate.delivery import Delivery, is_current, refuse_copies, same_columns, table_of
from incumbent.validate.intents import intend, settle
from incumbent.validate.quarantine import ROW, broken_rows
from incumbent.validate.rules import row_rules
from incumbent.validate.suite import TABLE, Judgement, judge

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
    raw = read_once(path)
    delivery = Delivery(source, partition, path, digest_of(raw), contract)
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
    try:
        rows = admit(path, raw, contract)
    except BatchError as error:
        record = _stopped(delivery, error)
    else:
        same_columns(table_of(store, model, delivery), delivery)
        record = _judge(store, model, delivery, rows)
    if record.verdict == "stopped":
        store.objects.put(raw)  # nothing is lost: the delivery can be looked at after the file is replaced
    store.records.claim(Ingest.kind, delivery.record_name, record.to_json())
    if record.verdict == "accepted":  # else it is raised
        LOG.info("%s: %s", path, record.message)
    stands = store.records.get(Ingest, delivery.record_name)
    settle(store, delivery, stands)
    return stands


def _judge(store: ModelStore, model: Model, delivery: Delivery, rows: pa.Table) -> Ingest:
    rules = row_rules(delivery.contract, model, delivery.source, delivery.partition)
    with tempfile.TemporaryDirectory(prefix="incumbent-") as folder:
        database = Path(folder) / "delivery.duckdb"
        numbered = rows.append_column(ROW, pa.array(range(rows.num_rows), pa.int64()))
        _load(database, numbered)
        docs = store.reports() / "data_docs" / delivery.source
        judgements = judge(database, delivery.contract, rules, delivery.source, docs)
    broken = {found.rule for found in judgements if found.rule and not found.success}
    suspects = [rule for rule in rules if rule.name in broken]
    bad = broken_rows(numbered, suspects, delivery.contract, delivery.source, delivery.raw_digest)
    good = _good_rows(rows, bad, delivery.contract)
    failures = _failures(bad, judgements)
    problem = _problem(delivery, rows.num_rows, good.num_rows, judgements, bad)
    if problem:
        return _record(
            delivery, "stopped", failures=failures, quarantined=rows.num_rows - good.num_rows, message=problem
        )
    # The rows first: a write that fails must not leave a quarantine of rows that were never delivered.
    table = table_of(store, model, delivery)
    intend(store, delivery, table.prepare(delivery.table_partition, good))
    commit = table.replace(delivery.table_partition, good)
    store.quarantine(delivery.source).replace(delivery.table_partition, bad.drop_columns([ROW]))
    set_aside = rows.num_rows - good.num_rows
    message = f"Accepted {good.num_rows} rows of {delivery.source} {delivery.partition}, {set_aside} in quarantine."
    return _record(
        delivery, "accepted", rows=good.num_rows, quarantined=set_aside, digest=commit.part.digest,
        failures=failures, message=message,
    )  # fmt: skip


def _load(database: Path, rows: pa.Table) -> None:
    connection = duckdb.connect(str(database))
    try:
        connection.execute("SET TimeZone='UTC'")
        connection.register("rows", rows)
        connection.execute(f"CREATE TABLE {TABLE} AS SELECT * FROM rows")
    finally:
        connection.close()


def _good_rows(rows: pa.Table, bad: pa.Table, contract: SourceContract) -> pa.Table:
    positions = pa.array(range(rows.num_rows), pa.int64())
    keep = pc.invert(pc.is_in(positions, value_set=bad[ROW].combine_chunks()))
    return rows.filter(keep).sort_by([(name, "ascending") for name in contract.key])


def _failures(bad: pa.Table, judgements: Sequence[Judgement]) -> dict[str, object]:
    counts = {pair["values"]: pair["counts"] for pair in pc.value_counts(bad["rule"]).to_pylist()}
    whole = {
        found.expectation: f"{found.severity}: {found.observed}"
        for found in judgements
        if not found.rule and not found.success
    }
    return {**counts, **whole}


def _problem(delivery: Delivery, rows: int, good: int, judgements: Sequence[Judgement], bad: pa.Table) -> str:
    """Return why the whole delivery is stopped; empty when it is not."""
    stopped = [found for found in judgements if found.severity == "stop" and not found.success]
    if stopped:
        return f"Stopped: {stopped[0].expectation} does not hold (found {stopped[0].observed})."
    share, limit = (rows - good) / rows, delivery.contract.policy.max_quarantine_share
    if share > limit or good == 0:
        return (
            f"Stopped: {rows - good} of {rows} rows break a rule ({share:.1%}, at most {limit:.1%} are set aside); "
            f"most often: {_most_often(bad)}."
        )
    return ""


def _most_often(bad: pa.Table) -> str:
    """Return the rule that most rows break, why, and the value of the first of them."""
    counts = {pair["values"]: pair["counts"] for pair in pc.value_counts(bad["rule"]).to_pylist()}
    first = bad.filter(pc.equal(bad["rule"], max(counts, key=counts.__getitem__))).slice(0, 1).to_pylist()[0]
    example = f", such as {first['column']} = {first['value']}" if first["column"] else ""
    return f"{first['rule']}, {first['reason']}{example}"


def _stopped(delivery: Delivery, error: BatchError) -> Ingest:
    """Return the record of an error, without the folder: the same delivery has one record on every machine."""
    return _record(delivery, "stopped", message=str(error).replace(str(delivery.path), delivery.path.name))


def _record(
    delivery: Delivery,
    verdict: str,
    *,
    rows: int = 0,
    quarantined: int = 0,
    digest: str = "",
    failures: dict[str, object] | None = None,
    message: str,
) -> Ingest:
    return Ingest(
        source=delivery.source,
        partition=delivery.partition,
        raw_digest=delivery.raw_digest,
        contract_digest=delivery.contract.digest,
        verdict=verdict,
        rows=rows,
        quarantined=quarantined,
        digest=digest,
        failures=failures or {},
        message=message,
    )
