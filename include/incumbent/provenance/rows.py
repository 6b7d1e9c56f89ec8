"""Prediction rows by their key: which content has them, now or at a moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from incumbent.admit.columns import ARROW_TYPES
from incumbent.config import Model
from incumbent.erase.keys import Key
from incumbent.errors import ConfigError, StoreError
from incumbent.partitions import key_of
from incumbent.records import Part
from incumbent.sensitive import MASK
from incumbent.store import ModelStore, Table
from incumbent.store.log import PARTITION
from incumbent.store.salt import NAME as SALT
from incumbent.store.salt import pseudonym
from incumbent.validate.contract import Contract
from incumbent.validate.rules import DATE

BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Stood:
    """A content that a partition of predictions had.

    Attributes:
        table: `predictions`, or `unscored`.
        part: The content.
        since: Commit that brought it, in UTC; None where nobody asked.
        until: Commit that replaced it; None while it stands.
    """

    table: str
    part: Part
    since: datetime | None = None
    until: datetime | None = None


def key_of_row(store: ModelStore, model: Model, contract: Contract, given: Sequence[str]) -> Key:
    """Return the key that a person wrote as `column=value`, once for each key column, as it is stored.

    Raises:
        ConfigError: A column is missing, or none of the model's keys, or a value has another type.
        StoreError: A column is hashed and the salt of the store is gone.
    """
    source = contract.sources[model.batch_source]
    types = {name: ARROW_TYPES[source.columns[name].dtype] for name in model.keys}
    said = dict(each.partition("=")[::2] for each in given)
    if sorted(said) != sorted(types) or len(said) < len(given) or not all("=" in each for each in given):
        raise ConfigError(
            "not the key of a row",
            where=f"model {model.name}",
            expected=" ".join(f"{name}={str(kind).upper()}" for name, kind in types.items()),
            found=", ".join(each.partition("=")[0] for each in given) or "nothing",  # without values: somebody's
            next_step="name each key column of model.yaml once",
        )
    values = {name: _stored(store, name, said[name], types[name], name in source.hashed) for name in types}
    hashed = frozenset(name for name in types if name in source.hashed)
    return Key(values, {name: pa.string() if name in hashed else types[name] for name in types}, hashed)


def shown(model: Model, key: Key) -> dict[str, str]:
    """Return a key as people may see it."""
    hidden = {*key.hashed, *(name for names in model.sensitive.masked.values() for name in names)}
    return {name: MASK if name in hidden else value for name, value in key.values.items()}


def standing(store: ModelStore, partition: str, known_at: datetime | None = None) -> list[Stood]:
    """Return what the tables hold, or held at a moment, of a partition: its predictions, and what was set aside."""
    tables = {table.name: table.parts(known_at).get(partition) for table in (store.predictions, store.unscored)}
    return [Stood(name, part) for name, part in tables.items() if part is not None]


def history(table: Table, partition: str) -> list[Stood]:
    """Return every content that a partition of a table has had, oldest first, with its time."""
    found: list[Stood] = []
    for moment in table.log.moments():
        part = table.log.version(moment.number).parts.get(partition)
        if part is None or (found and found[-1].part == part):
            continue
        if found:
            found[-1] = Stood(table.name, found[-1].part, found[-1].since, moment.at)
        found.append(Stood(table.name, part, moment.at))
    return found


def search_order(model: Model, partitions: Sequence[str], key: Key) -> list[str]:
    """Return the partitions in the order in which a key is best looked for: that of its date first, then newest first.

    >>> from types import SimpleNamespace as Named
    >>> model = Named(grain="month", time="ts", timezone="UTC")
    >>> search_order(model, ["2013-01", "2013-02", "2013-03"], Key({"year": "2013", "month": "1", "day": "9"}, {}))
    ['2013-01', '2013-03', '2013-02']
    """
    newest_first = sorted(partitions, reverse=True)
    first = _of_its_date(model, key.values)
    return sorted(newest_first, key=lambda each: each != first)


def found_in(store: ModelStore, stood: Stood, key: Key) -> pa.Table:
    """Return the rows of a content that have a key: its columns alone are read to look for them, then batch by batch.

    Raises:
        StoreError: The content is gone or has changed.
    """
    table = store.table(stood.table)
    keys = (pa.Table.from_batches([batch]) for batch in table.batches(stood.part, BATCH_ROWS, list(key.columns)))
    if not any(key.rows_of(rows).true_count for rows in keys):
        return table.read_parts([]).drop_columns([PARTITION])
    each = (pa.Table.from_batches([batch]) for batch in table.batches(stood.part, BATCH_ROWS))
    return pa.concat_tables([found for rows in each if (found := rows.filter(key.rows_of(rows))).num_rows])


def rows_at(store: ModelStore, stood: Stood, places: npt.NDArray[np.int64]) -> pa.Table:
    """Return the rows of a content at some places, in ascending order; never more of it than a batch is held.

    Raises:
        StoreError: The content is gone or has changed.
    """
    first, found = 0, list[pa.Table]()
    for batch in store.table(stood.table).batches(stood.part, BATCH_ROWS):
        here = places[(places >= first) & (places < first + len(batch))] - first
        found.append(pa.Table.from_batches([batch.take(pa.array(here))]))
        first += len(batch)
    return pa.concat_tables(found)


def places(
    store: ModelStore, model: Model, key: Key, partition: str | None = None, known_at: datetime | None = None
) -> Iterator[Stood]:
    """Yield the contents that have a key, of the first partition in which it is found."""
    tables = [store.predictions, store.unscored]
    parts = {table.name: table.parts(known_at) for table in tables}
    keys = sorted({each for found in parts.values() for each in found})
    for each in search_order(model, keys, key) if partition is None else [partition]:
        stood = [Stood(name, found[each]) for name, found in parts.items() if each in found]
        having = [place for place in stood if found_in(store, place, key).num_rows]
        yield from having
        if having:
            return


def _of_its_date(model: Model, values: Mapping[str, str]) -> str:
    """Return the partition that a key's own date lies in; empty if it has none."""
    try:
        if model.time in values:
            at = datetime.fromisoformat(values[model.time]).astimezone(ZoneInfo(model.timezone))
            return key_of(at.replace(tzinfo=None), model.grain)
        return key_of(datetime(*(int(values[name]) for name in DATE)), model.grain)  # type: ignore[arg-type]
    except (KeyError, ValueError):
        return ""


def _stored(store: ModelStore, name: str, text: str, kind: pa.DataType, is_hashed: bool) -> str:
    """Return a value as the text of what is stored."""
    try:
        value = pa.scalar(text).cast(kind)
    except pa.ArrowException as error:
        raise ConfigError(
            "the value is of another type than its column",
            where=f"key column {name}",
            expected=str(kind),
            found=f"a text of {len(text)} characters",
            next_step="write it as the contract's dtype says",
        ) from error
    if not is_hashed:
        return str(value.cast(pa.string()).as_py())
    if not store.blobs.has(SALT):  # asking for it would make a new one
        raise StoreError(
            "the salt of the store is gone",
            where=f"{store.blobs.url}/{SALT}",
            expected=f"what the values of {name} were hashed with",
            found="nothing",
            next_step="restore the file from a backup",
        )
    return pseudonym(store.blobs, [value.as_py()])
