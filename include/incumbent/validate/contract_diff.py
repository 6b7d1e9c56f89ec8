"""What a changed contract changes: its words, and what it would have done to deliveries that are here already."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from incumbent.config import Model
from incumbent.errors import ConfigError
from incumbent.records import Ingest, Part
from incumbent.store import ModelStore, Table
from incumbent.validate.contract import SourceContract
from incumbent.validate.delivered import BATCH_ROWS, DeliveredRows
from incumbent.validate.delivery import ONCE, is_current
from incumbent.validate.hashing import stored_schema
from incumbent.validate.past_rows import in_turn, rebuilt
from incumbent.validate.rules import row_rules


@dataclass(frozen=True)
class Change:
    """One entry of a contract that is another one now; None where there was or is none."""

    key: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Effect:
    """What a contract would have done to one past delivery.

    Attributes:
        partition: Partition key.
        rows: Rows of the delivery: those that were accepted and those that were set aside.
        rejected: Rows that were accepted and would be set aside.
        accepted: Rows that were set aside and would be accepted.
        rules: Rule to the rows that break it, for rules that any row breaks.
        stops: Why the whole delivery would be stopped; empty if it would not.
    """

    partition: str
    rows: int
    rejected: int
    accepted: int
    rules: Mapping[str, int]
    stops: str


def contract_in_force(store: ModelStore, model: Model, source: str) -> SourceContract | None:
    """Return the contract of the newest partition's delivery; None before there is one.

    Raises:
        StoreError: The contract that the record names is not there.
    """
    records = [each for each in store.records.all(Ingest, f"{source}/") if each.verdict == "accepted"]
    held = [each for each in records if is_current(store, model, each)]
    if not held:
        return None
    newest = max(held, key=lambda each: each.partition)
    return SourceContract.model_validate(json.loads(store.objects.get(newest.contract_digest)))


def changes(before: SourceContract, after: SourceContract) -> list[Change]:
    """Return what is said in another way, key by key.

    >>> old = SourceContract.model_validate({"key": ["a"], "columns": {"a": {"dtype": "int64"}}})
    >>> new = SourceContract.model_validate({"key": ["a"], "columns": {"a": {"dtype": "int64", "max": 5}}})
    >>> changes(old, new)
    [Change(key='columns.a.max', before=None, after=5.0)]
    """
    old, new = (dict(_flat(each.model_dump(mode="json", exclude_defaults=True))) for each in (before, after))
    return [Change(key, old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)]


def effects(
    store: ModelStore, model: Model, source: str, contract: SourceContract, partitions: int
) -> Iterator[Effect]:
    """Judge the newest past deliveries of a source by another contract; nothing is written.

    Only its rules about rows and shares are tried: a column that past rows do not have cannot be judged, and
    Great Expectations' own are run when a file is delivered.

    Args:
        store: The model's store.
        model: Its configuration.
        source: Source name.
        contract: The contract to try.
        partitions: How many, newest first.
    """
    table = store.source(model.sources[source].role, source)
    past = [name for name in table.columns() if name in contract.columns]
    if missing := [name for name in contract.key if name not in past]:
        raise ConfigError(
            "past deliveries cannot be judged by this key",
            where=f"contract.yaml, sources.{source}.key",
            expected="columns that past rows have",
            found=missing[0],
            next_step="give the source a new name, which gives it a new table",
        )
    judged = contract.model_copy(update={"columns": {name: contract.columns[name] for name in past}})
    for part in list(table.parts().values())[: -partitions - 1 : -1]:
        with tempfile.TemporaryDirectory(prefix="incumbent-") as folder:
            yield _effect(store, model, source, judged, table, part, Path(folder))


def _effect(
    store: ModelStore, model: Model, source: str, contract: SourceContract, table: Table, part: Part, folder: Path
) -> Effect:
    key = "" if part.partition == ONCE else part.partition
    rows = DeliveredRows(folder, contract, source, row_rules(contract, model, source, key))
    rows.load(_past_rows(store, contract, source, table, part))
    tally = rows.tally()
    broken = [rule for rule in rows.rules if tally.broken[rule.name]]
    aside = rows.set_aside([rule for rule in broken if rule.severity == "quarantine"])
    rejected = rows.aside_before(part.rows)
    stops = [rule.name for rule in broken if rule.severity == "stop"]
    stops += [
        f"{name}.nulls"
        for name, column in contract.columns.items()
        if column.nullable
        and tally.nulls[name] > column.max_null_share * tally.rows
        and contract.severity_of(f"{name}.nulls") == "stop"
    ]
    limit = contract.policy.max_quarantine_share
    share = (
        [f"{aside / tally.rows:.1%} of the rows set aside, at most {limit:.1%}"] if aside > limit * tally.rows else []
    )
    return Effect(
        partition=key,
        rows=tally.rows,
        rejected=rejected,
        accepted=tally.rows - part.rows - (aside - rejected),
        rules={rule.name: tally.broken[rule.name] for rule in broken},
        stops="; ".join([*stops, *share]),
    )


def _past_rows(
    store: ModelStore, contract: SourceContract, source: str, table: Table, part: Part
) -> pa.RecordBatchReader:
    """Return the rows that were accepted, then those that were set aside, once each."""
    names, aside = list(contract.columns), store.quarantine(source)
    past = [table.read_parts([part], names).cast(stored_schema(contract))]
    if (kept := aside.part(part.partition)) and kept.rows:
        past.append(rebuilt(aside.read_parts([kept], ["line", "row"]), contract))
    return in_turn(past, BATCH_ROWS)


def _flat(plain: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in plain.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
