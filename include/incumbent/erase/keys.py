"""Which rows have the key that is to be erased."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from incumbent.admit.columns import ARROW_TYPES
from incumbent.config import Model
from incumbent.errors import ConfigError
from incumbent.store.blobs import Blobs
from incumbent.store.salt import pseudonym
from incumbent.validate.contract import Contract


@dataclass(frozen=True)
class Key:
    """One key.

    Attributes:
        values: Column to its value, as text in the column's canonical form.
        types: Column to its type in the contract.
        hashed: Columns of it whose values are stored as pseudonyms.
    """

    values: Mapping[str, str]
    types: Mapping[str, pa.DataType]
    hashed: frozenset[str] = frozenset()

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, sorted."""
        return tuple(sorted(self.values))

    def rows_of(self, rows: pa.Table) -> pa.Array:
        """Return which rows have this key, shape (n_rows,)."""
        found = pa.chunked_array([pa.array([True] * rows.num_rows, pa.bool_())])
        for name in self.columns:
            value = _cast(self.values[name], rows.schema.field(name).type)
            if value is None:
                return pa.array([False] * rows.num_rows, pa.bool_())
            found = pc.and_(found, pc.fill_null(pc.equal(rows[name], value), False))
        return found.combine_chunks()

    def is_of(self, row: Mapping[str, Any]) -> bool:
        """Return whether a row that was written as JSON has this key."""
        if not self.values.keys() <= row.keys():
            return False
        for name, text in self.values.items():
            found = _cast(row[name] if isinstance(row[name], str) else json.dumps(row[name]), self.types[name])
            if found is None or found.cast(pa.string()).as_py() != text:
                return False
        return True


def parse_key(model: Model, contract: Contract, given: Sequence[str], blobs: Blobs) -> Key:
    """Return the key that a person wrote as `column=value`, once for each column, as it is stored.

    Args:
        model: The model's configuration.
        contract: Its contract, which says what is stored as a pseudonym.
        given: The key.
        blobs: The model's store, for its salt.

    Raises:
        ConfigError: A column is no key column of the model or of any source, or its value has another type.
    """
    types = _key_columns(model, contract)
    hashed = {
        name for source in model.sources if source in contract.sources for name in contract.sources[source].hashed
    }
    values = {}
    for each in given:
        name, separator, text = each.partition("=")
        if not separator or name not in types or name in values:
            raise ConfigError(
                "not a key column and its value",
                where=f"--key {name}",  # without the value, which is somebody's
                expected=f"COLUMN=VALUE, each column once, of {', '.join(types)}",
                found=name,
                next_step="name key columns of model.yaml or contract.yaml",
            )
        value = _cast(text, types[name])
        if value is None:
            raise ConfigError(
                "the value is of another type than its column",
                where=f"--key {name}",
                expected=str(types[name]),
                found=f"a text of {len(text)} characters",
                next_step="write it as the contract's dtype says",
            )
        if name in hashed:
            value, types[name] = pa.scalar(pseudonym(blobs, [value.as_py()])), pa.string()
        values[name] = str(value.cast(pa.string()).as_py())
    return Key(values, {name: types[name] for name in values}, frozenset(hashed & values.keys()))


def rows_with(rows: pa.Table, keys: Iterable[Sequence[Any]], columns: Sequence[str]) -> pa.Array:
    """Return which rows have one of some keys, shape (n_rows,)."""
    wanted = set(map(tuple, keys))
    return pa.array(
        [each in wanted for each in zip(*(rows[name].to_pylist() for name in columns), strict=True)], pa.bool_()
    )


def _key_columns(model: Model, contract: Contract) -> dict[str, pa.DataType]:
    """Return the type of each column that is part of a key."""
    found: dict[str, pa.DataType] = {}
    for source in model.sources:
        given = contract.sources.get(source)
        for name, column in ({} if given is None else given.columns).items():
            if given is not None and (name in given.key or name in model.keys):
                found.setdefault(name, ARROW_TYPES[column.dtype])
    return found


def _cast(text: str, kind: pa.DataType) -> pa.Scalar | None:
    try:
        return pa.scalar(text).cast(kind)
    except pa.ArrowException:
        return None
