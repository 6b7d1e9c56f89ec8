"""Which contents hold a key, and what is left of each without it: written beside them, and committed by nobody yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from incumbent.config import Model
from incumbent.erase.keys import Key, rows_with
from incumbent.records import Part
from incumbent.store import PARTITION, ModelStore, Table
from incumbent.store.live import Content
from incumbent.store.removals import ERASURE, OBJECTS, Removal, kept, removal_of
from incumbent.store.vacuum import contents, file_of, remove

# What is made of others comes after them: predictions name the features and the batch that they were made from.
ORDER = ("batches", "context", "outcomes", "quarantine", "features", "predictions", "unscored", "explanations")
SCORED = ("predictions", "unscored", "explanations")
BATCH = "batch_digest"
MADE_FROM = ("features_digest", BATCH)


@dataclass
class Plan:
    """What an erasure takes away.

    Attributes:
        removals: Contents that hold the key, each with what is left of it.
        rows: Table to the rows that are erased from what it holds now.
        batch_keys: Partition to the model's keys of the batch rows that are erased.
    """

    removals: list[Removal] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    batch_keys: dict[str, set[tuple[object, ...]]] = field(default_factory=dict)


def plan(store: ModelStore, model: Model, key: Key, erasure: str, *, is_trial: bool = False) -> Plan:
    """Find the contents that hold a key and write down, for each, what is left of it.

    Nothing is removed before all is planned: rows of features and predictions are known by the batch rows that
    they were made of. Planned again, a content keeps its first record.

    Args:
        store: The model's store.
        model: Its configuration.
        key: The key.
        erasure: Id of the erasure.
        is_trial: Only look; the successors of what is found are not written.
    """
    found = Plan()
    tables = store.tables()
    for role in ORDER:
        for name in [each for each in tables if each.split("/")[0] == role]:
            _plan_table(store, model, key, tables[name], found, "" if is_trial else erasure)
    return found


def _plan_table(store: ModelStore, model: Model, key: Key, table: Table, found: Plan, erasure: str) -> None:
    columns, held = table.columns(), table.parts()
    for content in list(contents(table, table.name)):
        with pq.ParquetFile(store.blobs.open(file_of(content))) as file:
            part = Part(content.partition, content.digest, file.metadata.num_rows)
        gone = _gone(model, key, table, columns, part, found.batch_keys)
        erased = 0 if gone is None else int(pc.sum(gone).as_py() or 0)
        if erased and table.name == _batches(model):
            keys = table.read_parts([part], model.keys).filter(gone)
            found.batch_keys.setdefault(part.partition, set()).update(_tuples(keys, model.keys))
        if erased and held.get(part.partition) == part:
            found.rows[table.name] = found.rows.get(table.name, 0) + erased
        if not erased and not (erasure and _is_made_from_erased(store, model, table, part)):
            continue
        removal = removal_of(store.records, table.name, part.partition, part.digest, [ERASURE])
        if removal is None and erasure:
            removal = _write_down(store, model, table, part, gone if erased else None, erasure)
        found.removals.append(removal or Removal(*content, rows=part.rows, why=ERASURE))


def _write_down(
    store: ModelStore, model: Model, table: Table, part: Part, gone: pa.Array | None, erasure: str
) -> Removal:
    rows = table.read_parts([part]).drop_columns([PARTITION])
    deliveries = dict[str, int]()
    if table.name.startswith("quarantine/"):
        deliveries = dict.fromkeys(sorted(set(rows["raw_digest"].to_pylist())), 0)
    rows = rows if gone is None else rows.filter(pc.invert(gone))
    for raw in rows["raw_digest"].to_pylist() if deliveries else ():
        deliveries[raw] += 1
    if table.name in SCORED:
        rows = _renamed(store, model, rows, part.partition)
    left = table.prepare(part.partition, rows)
    removal = Removal(
        table.name, part.partition, part.digest, part.rows, ERASURE, left.digest, left.rows, deliveries, erasure
    )
    store.records.put(removal.name, removal)
    return removal


def _gone(
    model: Model,
    key: Key,
    table: Table,
    columns: Sequence[str],
    part: Part,
    batch_keys: dict[str, set[tuple[object, ...]]],
) -> pa.Array | None:
    """Return which rows of a content are erased; None where no row can be."""
    role = table.name.split("/")[0]
    if role == "quarantine":
        texts = table.read_parts([part], ["row"])["row"].to_pylist()
        return pa.array([key.is_of(json.loads(text)) for text in texts], pa.bool_())
    gone = key.rows_of(table.read_parts([part], key.columns)) if set(key.columns) <= set(columns) else None
    wanted = batch_keys.get(part.partition)
    if wanted and role not in ("batches", "context") and set(model.keys) <= set(columns):
        of_batch = rows_with(table.read_parts([part], model.keys), wanted, model.keys)
        gone = of_batch if gone is None else pc.or_(gone, of_batch)
    return gone


def _tuples(rows: pa.Table, columns: Sequence[str]) -> Iterator[tuple[object, ...]]:
    yield from zip(*(rows[name].to_pylist() for name in columns), strict=True)


def _is_made_from_erased(store: ModelStore, model: Model, table: Table, part: Part) -> bool:
    if table.name not in SCORED:
        return False
    rows = table.read_parts([part], ["definition", *MADE_FROM])
    return not _renamed(store, model, rows, part.partition).equals(rows)


def _renamed(store: ModelStore, model: Model, rows: pa.Table, partition: str) -> pa.Table:
    """Return predictions that name what is left of the features and the batch which they were made from."""
    for column in MADE_FROM:
        pairs, left = list(_tuples(rows, ["definition", column])), dict[tuple[object, ...], str]()
        for definition, digest in set(pairs):
            table = _batches(model) if column == BATCH else f"features/{str(definition)[:16]}"
            left[definition, digest] = kept(store.records, table, Part(partition, str(digest), 0)).digest
        renamed = pa.array([left[pair] for pair in pairs], rows.schema.field(column).type)
        rows = rows.set_column(rows.column_names.index(column), rows.schema.field(column), renamed)
    return rows


def _batches(model: Model) -> str:
    return f"batches/{model.batch_source}"


def carry_out(store: ModelStore) -> None:
    """Commit what is left of each content that a table holds, then remove files and kept bytes.

    Of every erasure that is on record: one that was killed before it had finished is finished by the next.
    """
    tables = store.tables()
    for role in ORDER:
        for name in [each for each in tables if each.split("/")[0] == role]:
            for part in tables[name].parts().values():
                if (left := kept(store.records, name, part)) != part:
                    tables[name].commit(left)
    for removal in store.records.all(Removal, f"{ERASURE}/"):
        content = Content(removal.table, removal.partition, removal.digest)
        if removal.table == OBJECTS:
            store.objects.remove(removal.digest)
        elif store.blobs.has(file_of(content)):
            remove(store, content)
