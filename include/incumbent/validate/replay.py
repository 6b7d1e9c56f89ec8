"""Judge rows again that were set aside, and let those that are good join the rows that were accepted.

Everything starts from the exact contents that the order names, so a run that was killed is done again from where
it began: the same contents under the same contract give the same rows, whoever came between.
"""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from incumbent.config import Model
from incumbent.errors import BatchError, StoreError
from incumbent.records import Ingest, Part, Revisit, canonical_json
from incumbent.store import ModelStore, Table
from incumbent.store.removals import OBJECTS, kept, removal_of
from incumbent.validate.contract import SourceContract
from incumbent.validate.corrections import check_corrections, not_shown, with_corrections
from incumbent.validate.delivered import BATCH_ROWS, DeliveredRows
from incumbent.validate.delivery import ONCE, Delivery, is_current, same_columns, stored_contract, table_of
from incumbent.validate.erased import leave_out
from incumbent.validate.hashing import stored_schema
from incumbent.validate.intents import intend, settle
from incumbent.validate.past_rows import in_turn, rebuilt
from incumbent.validate.revisits import REPLAY, finish, unanswered
from incumbent.validate.rules import row_rules
from incumbent.validate.suite import judge_own

LOG = logging.getLogger(__name__)
DONE, STOPPED, STALE = "done", "stopped", "stale"


@dataclass(frozen=True)
class Replayed:
    """What a replay gives, before anything is committed.

    Attributes:
        joins: Rows that were set aside and are good now.
        left: Rows that stay set aside.
        rules: Rule to the rows that break it, of those that stay.
        stops: The user's own expectations on the whole batch that would stop it.
        quarantine: The entries that stay, as they will be stored.
    """

    joins: int
    left: int
    rules: dict[str, int]
    stops: str
    quarantine: pa.Table


def do_unanswered(store: ModelStore, model: Model, source: str, partition: str) -> Ingest | None:
    """Do what was asked for about a batch, first asked first.

    Returns:
        The record of what the partition holds then; None if nothing was asked for, or nothing names its rows.
    """
    waiting = unanswered(store, source, partition)
    for revisit in waiting:
        if revisit.action == REPLAY:
            replay(store, model, revisit)
        else:
            finish(store, revisit, DONE, f"Released: {revisit.reason}")
    return accepted_now(store, model, source, partition) if waiting else None


def accepted_now(store: ModelStore, model: Model, source: str, partition: str, raw_digest: str = "") -> Ingest | None:
    """Return the record of the delivery, or of the replay, that a partition's rows are from.

    Two deliveries that differ in bad rows alone give the same content; a digest says which of them is meant.
    """
    known = store.records.all(Ingest, f"{source}/{partition or ONCE}/{raw_digest[:16]}")
    accepted = [record for record in known if record.verdict == "accepted" and is_current(store, model, record)]
    return accepted[0] if accepted else None


def replay_of(
    store: ModelStore,
    model: Model,
    contract: SourceContract,
    source: str,
    partition: str,
    *,
    rule: str = "",
    corrections: bytes = b"",
    reason: str,
    by: str,
) -> Revisit:
    """Return the order to replay what is set aside of a partition now, under a contract.

    Args:
        store: The model's store; the contract and the corrected rows are put there.
        model: Its configuration.
        contract: The source's contract.
        source: Source name.
        partition: Partition key; empty for a once-only source.
        rule: Only rows that break this rule; all if empty.
        corrections: Corrected rows, as JSON lines; see `incumbent.validate.corrections`.
        reason: Why, in a sentence.
        by: Who asks.

    Raises:
        BatchError: Nothing is set aside there, or a corrected row cannot stand for one that is.
    """
    aside = store.quarantine(source).part(partition or ONCE)
    entries = None if aside is None else store.quarantine(source).read_parts([aside])
    lines = pa.array([]) if entries is None else chosen_lines(entries, rule)
    if aside is None or entries is None or not len(lines):
        raise BatchError(
            "nothing is set aside there",
            where=f"{model.name}.{source} {partition}".rstrip(),
            expected=f"rows that break {rule}" if rule else "rows in quarantine",
            found="none",
            next_step=f"incumbent quarantine list {model.name}",
        )
    record = _delivered(store, model, source, partition, entries["raw_digest"][0].as_py())
    if corrections:
        asked = entries.filter(pc.is_in(entries["line"], lines))
        check_corrections(asked, contract, corrections, not_shown(store, contract, source))
    return Revisit(
        action=REPLAY,
        source=source,
        partition=partition,
        raw_digest=record.raw_digest,
        contract_digest=store.objects.put(canonical_json(contract.model_dump(mode="json"))),
        accepted=asdict(Part(partition or ONCE, record.digest, record.rows)),
        aside=asdict(aside),
        rule=rule,
        corrections=store.objects.put(corrections) if corrections else "",
        reason=reason,
        by=by,
    )


def _delivered(store: ModelStore, model: Model, source: str, partition: str, raw_digest: str) -> Ingest:
    record = accepted_now(store, model, source, partition, raw_digest)
    if record is None:
        raise BatchError(
            "the rows that are set aside are not of the delivery that is there",
            where=f"{model.name}.{source} {partition}".rstrip(),
            expected=f"a record of delivery {raw_digest[:16]}",
            found="none that holds",
            next_step="run `incumbent store check`; an ingest that is under way ends first",
        )
    return record


def replay(store: ModelStore, model: Model, revisit: Revisit) -> Ingest | None:
    """Do a replay; return its record, or None if the rows it was asked for are not the partition's any more.

    Args:
        store: The model's store.
        model: Its configuration.
        revisit: What was asked for.

    Raises:
        BatchError: An expectation of the user's own does not hold for the batch as it would be.
        StoreError: The contract has other columns than the table.
    """
    delivery = delivery_of(store, model, revisit)
    table, partition = table_of(store, model, delivery), delivery.table_partition
    accepted = Part(**revisit.accepted)
    try:
        same_columns(table, delivery)
    except StoreError as error:  # an order that nobody can carry out must not wait for ever
        finish(store, revisit, STOPPED, f"Nothing was replayed: {error.what}.")
        raise
    if _is_erased(store, table, revisit):
        finish(store, revisit, STALE, "Nothing was replayed: some of its rows were erased since it was asked for.")
        return None
    with tempfile.TemporaryDirectory(prefix="incumbent-") as folder:
        rows, found = judged_again(store, model, revisit, Path(folder))
        if found.stops:
            finish(store, revisit, STOPPED, f"Nothing was replayed: {found.stops} does not hold.")
            raise BatchError(
                "the batch would not hold with the replayed rows",
                where=f"{model.name}.{revisit.source} {revisit.partition}".rstrip(),
                found=found.stops,
                next_step="correct the rows or the contract, and ask for the replay again",
            )
        with rows.good() as good:
            part = table.prepare(partition, good)
        now = table.part(partition)
        if now not in (accepted, part):
            finish(store, revisit, STALE, "Nothing was replayed: the partition has other rows since it was asked for.")
            return None
        intend(store, delivery, part)
        table.commit(part)
        quarantine = store.quarantine(revisit.source)
        left = quarantine.prepare(partition, found.quarantine)
        quarantine.commit(left, if_still=lambda: table.part(partition) == part)  # as an ingest does
    message = f"Replayed {found.joins} rows into {revisit.source} {revisit.partition}, {found.left} stay in quarantine."
    record = _record(delivery.contract, revisit, part, found, message)
    store.records.claim(Ingest.kind, f"{delivery.record_name}-{revisit.id}", record.to_json())
    settle(store, delivery, record)
    finish(store, revisit, DONE, message)
    LOG.info("%s", message)
    return record


def _record(contract: SourceContract, revisit: Revisit, part: Part, found: Replayed, message: str) -> Ingest:
    return Ingest(
        source=revisit.source,
        partition=revisit.partition,
        raw_digest=revisit.raw_digest,
        contract_digest=revisit.contract_digest,
        verdict="accepted",
        rows=part.rows,
        quarantined=found.left,
        digest=part.digest,
        failures=found.rules,
        message=message,
        revisit=revisit.id,
        masked=contract.masked,
        hashed=contract.hashed,
    )


def delivery_of(store: ModelStore, model: Model, revisit: Revisit) -> Delivery:
    """Return the delivery that an order is about, under the contract that it names."""
    contract = stored_contract(store, model, revisit.source, revisit.contract_digest)
    return Delivery(revisit.source, revisit.partition, Path(revisit.source), revisit.raw_digest, contract)


def judged_again(store: ModelStore, model: Model, revisit: Revisit, folder: Path) -> tuple[DeliveredRows, Replayed]:
    """Judge what a replay would give; nothing is written but in a private folder.

    Rows that were accepted stay: only what was set aside can be set aside, and it is when an accepted row
    has its key.

    Args:
        store: The model's store.
        model: Its configuration.
        revisit: What was asked for.
        folder: Private folder; whoever made it takes it away.
    """
    delivery = delivery_of(store, model, revisit)
    same_columns(table_of(store, model, delivery), delivery)
    contract, accepted = delivery.contract, Part(**revisit.accepted)
    entries = store.quarantine(revisit.source).read_parts([Part(**revisit.aside)]).drop_columns(["partition"])
    lines = chosen_lines(entries, revisit.rule)
    asked = entries.filter(pc.is_in(entries["line"], lines))
    corrections = store.objects.get(revisit.corrections) if revisit.corrections else b""
    corrected = with_corrections(asked, corrections, not_shown(store, contract, revisit.source))
    past = table_of(store, model, delivery).read_parts([accepted], list(contract.columns)).cast(stored_schema(contract))
    rows = DeliveredRows(
        folder, contract, revisit.source, row_rules(contract, model, revisit.source, revisit.partition)
    )
    rows.load(in_turn([past, rebuilt(corrected, contract)], BATCH_ROWS))
    erased = leave_out(store, contract, rows).get("erased", 0)
    broken = [rule for rule in rows.rules if rule.severity != "warn"]
    rows.set_aside(broken, first=accepted.rows)
    with rows.aside(revisit.raw_digest) as reader:
        again = reader.read_all()
    if again.num_rows:  # the lines they had when they were delivered
        at = pc.subtract(again["line"], accepted.rows + 1)
        again = again.set_column(again.column_names.index("line"), "line", pc.take(lines, at))
    others = entries.filter(pc.invert(pc.is_in(entries["line"], lines)))
    left = pa.concat_tables([others.cast(again.schema), again]).sort_by([("line", "ascending"), ("rule", "ascending")])
    stays = pc.count_distinct(left["line"]).as_py()
    own = [found for found in judge_own(rows, contract, revisit.source) if found.severity == "stop"]
    return rows, Replayed(
        joins=len(lines) - pc.count_distinct(again["line"]).as_py() - erased,
        left=stays,
        rules=dict(Counter(left["rule"].to_pylist()).most_common()),
        stops="; ".join(found.expectation for found in own if not found.success),
        quarantine=left,
    )


def _is_erased(store: ModelStore, table: Table, revisit: Revisit) -> bool:
    """Return whether a key was erased from what a replay starts from."""
    records, quarantine = store.records, store.quarantine(revisit.source)
    started = [(table, Part(**revisit.accepted)), (quarantine, Part(**revisit.aside))]
    return any(kept(records, each.name, part) != part for each, part in started) or (
        removal_of(records, OBJECTS, "", revisit.corrections) is not None
    )


def chosen_lines(entries: pa.Table, rule: str) -> pa.Array:
    """Return the lines of quarantine entries, in order: of all, or of those rows that break a rule."""
    chosen = entries.filter(pc.equal(entries["rule"], rule)) if rule else entries
    return pc.unique(chosen["line"]).sort()
