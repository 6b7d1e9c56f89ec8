"""The validate stage: one delivery in, accepted rows and a quarantine out, or nothing at all."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.config import Model
from incumbent.errors import BatchError
from incumbent.records import Ingest, digest_of
from incumbent.store import ModelStore
from incumbent.validate.admission import admit
from incumbent.validate.contract import SourceContract, load_contract, source_contract
from incumbent.validate.rules import RowRule, identifier, row_rules
from incumbent.validate.suite import TABLE, Judgement, judge

LOG = logging.getLogger(__name__)
ONCE = "once"
ROW = "__row"
QUARANTINE_COLUMNS = ("source", "rule", "reason", "column", "value", "key", "row", "raw_digest")


@dataclass(frozen=True)
class Delivery:
    """One file as it is judged."""

    source: str
    partition: str
    path: Path
    raw_digest: str
    contract: SourceContract

    @property
    def table_partition(self) -> str:
        """Partition of the source's table."""
        return self.partition or ONCE

    @property
    def record_name(self) -> str:
        """Name of the ingest record: the same file under the same contract is the same work."""
        digests = f"{self.raw_digest[:16]}-{self.contract.digest[:16]}"
        return f"{self.source}/{self.table_partition}/{digests}"


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
        raise BatchError(
            found.message,
            where=f"{path} for {model.name}.{source} {partition}".rstrip(),
            found="; ".join(f"{rule}: {count}" for rule, count in found.failures.items()) or None,
            next_step="nothing was committed; drop a corrected file under the same name",
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
    """
    if not path.is_file():
        admit(path, contract)
    raw = path.read_bytes()
    delivery = Delivery(source, partition, path, digest_of(raw), contract)
    if store.records.has(Ingest.kind, delivery.record_name):
        known = store.records.get(Ingest, delivery.record_name)
        if is_current(store, model, known):
            return known
    try:
        _refuse_copies(store, model, delivery)
    except BatchError as error:
        # Not written down: once the other partition is corrected, the same file is welcome.
        LOG.warning("%s", error)
        return _record(delivery, "stopped", message=str(error))
    try:
        rows = admit(path, contract)
        record = _judge(store, model, delivery, rows)
    except BatchError as error:
        record = _record(delivery, "stopped", message=str(error))
    if record.verdict == "stopped":
        store.objects.put(raw)  # nothing is lost: the delivery can be looked at after the file is replaced
    store.records.claim(Ingest.kind, delivery.record_name, record.to_json())
    LOG.info("%s", record.message)
    return store.records.get(Ingest, delivery.record_name)


def is_current(store: ModelStore, model: Model, record: Ingest) -> bool:
    """Return whether a recorded verdict still says what the table holds.

    A file that comes back after another one took its place is judged and committed again.
    """
    if record.verdict != "accepted":
        return True
    part = store.source(model.sources[record.source].role, record.source).part(record.partition or ONCE)
    return part is not None and part.digest == record.digest


def _judge(store: ModelStore, model: Model, delivery: Delivery, rows: pa.Table) -> Ingest:
    rules = row_rules(delivery.contract, model, delivery.source, delivery.partition)
    with tempfile.TemporaryDirectory(prefix="incumbent-") as folder:
        database = Path(folder) / "delivery.duckdb"
        numbered = rows.append_column(ROW, pa.array(range(rows.num_rows), pa.int64()))
        _load(database, numbered)
        docs = store.reports() / "data_docs" / delivery.source
        judgements = judge(database, delivery.contract, rules, delivery.source, docs)
    broken = {found.rule for found in judgements if found.rule and not found.success}
    bad = _broken_rows(numbered, delivery, [rule for rule in rules if rule.name in broken])
    good = _good_rows(rows, bad, delivery.contract)
    failures = _failures(bad, judgements)
    problem = _problem(delivery, rows.num_rows, good.num_rows, judgements)
    if problem:
        return _record(
            delivery, "stopped", failures=failures, quarantined=rows.num_rows - good.num_rows, message=problem
        )
    store.quarantine(delivery.source).replace(delivery.table_partition, bad.drop_columns([ROW]))
    role = model.sources[delivery.source].role
    commit = store.source(role, delivery.source).replace(delivery.table_partition, good)
    set_aside = rows.num_rows - good.num_rows
    message = f"Accepted {good.num_rows} rows of {delivery.source} {delivery.partition}, {set_aside} in quarantine."
    return _record(
        delivery, "accepted", rows=good.num_rows, quarantined=set_aside, digest=commit.part.digest,
        failures=failures, message=message,
    )  # fmt: skip


def _refuse_copies(store: ModelStore, model: Model, delivery: Delivery) -> None:
    """Stop a file whose rows another partition holds: somebody renamed the wrong one.

    What is looked up may stay the same from one partition to the next.
    """
    if model.sources[delivery.source].role == "context":
        return
    for name in store.records.names(Ingest.kind, f"{delivery.source}/"):
        _, partition, digests = name.split("/")
        if partition == delivery.table_partition or not digests.startswith(delivery.raw_digest[:16]):
            continue
        record = store.records.get(Ingest, name)
        if record.verdict == "accepted" and is_current(store, model, record):
            raise BatchError(
                "this file was delivered before, for another partition",
                where=str(delivery.path),
                expected=f"the rows of {delivery.partition}",
                found=f"the same bytes as {partition}",
                next_step=f"drop the file of {delivery.partition} under this name; if it belongs here, correct "
                f"{partition} first and drop it again",
            )


def _load(database: Path, rows: pa.Table) -> None:
    connection = duckdb.connect(str(database))
    try:
        connection.execute("SET TimeZone='UTC'")
        connection.register("rows", rows)
        connection.execute(f"CREATE TABLE {TABLE} AS SELECT * FROM rows")
    finally:
        connection.close()


def _broken_rows(rows: pa.Table, delivery: Delivery, rules: Sequence[RowRule]) -> pa.Table:
    """Return one quarantine row for each row and rule that it breaks, found by the rules' own SQL."""
    key = ", ".join(f"{identifier(name)} := {identifier(name)}" for name in delivery.contract.key)
    row = ", ".join(f"{identifier(name)} := {identifier(name)}" for name in delivery.contract.columns)
    queries = [_rule_query(delivery, rule, key, row) for rule in rules]
    if not queries:
        fields = [pa.field(ROW, pa.int64()), *(pa.field(name, pa.string()) for name in QUARANTINE_COLUMNS)]
        return pa.schema(fields).empty_table()
    connection = duckdb.connect()
    try:
        connection.execute("SET TimeZone='UTC'")
        connection.register(TABLE, rows)
        # The rule comes second in the order, so the same delivery gives the same bytes again.
        query = " UNION ALL ".join(queries) + f" ORDER BY {ROW}, rule"
        return connection.sql(query).to_arrow_table()
    finally:
        connection.close()


def _rule_query(delivery: Delivery, rule: RowRule, key: str, row: str) -> str:
    def text(value: str) -> str:
        return "'" + value.replace("'", "''") + "'"

    value = f"CAST({identifier(rule.column)} AS VARCHAR)" if rule.column else "NULL::VARCHAR"
    return (
        f"SELECT {ROW}, {text(delivery.source)} AS source, {text(rule.name)} AS rule, {text(rule.reason)} AS reason, "
        f'{text(rule.column)} AS "column", {value} AS value, '
        f"CAST(to_json(struct_pack({key})) AS VARCHAR) AS key, CAST(to_json(struct_pack({row})) AS VARCHAR) AS row, "
        f"{text(delivery.raw_digest)} AS raw_digest "
        f"FROM (SELECT *, {rule.good} AS __good FROM {TABLE}) WHERE NOT coalesce(__good, true)"
    )


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


def _problem(delivery: Delivery, rows: int, good: int, judgements: Sequence[Judgement]) -> str:
    """Return why the whole delivery is stopped; empty when it is not."""
    stopped = [found for found in judgements if found.severity == "stop" and not found.success]
    if stopped:
        return f"Stopped: {stopped[0].expectation} does not hold (found {stopped[0].observed})."
    share, limit = (rows - good) / rows, delivery.contract.policy.max_quarantine_share
    if share > limit or good == 0:
        return f"Stopped: {rows - good} of {rows} rows break a rule ({share:.1%}, at most {limit:.1%} are set aside)."
    return ""


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
