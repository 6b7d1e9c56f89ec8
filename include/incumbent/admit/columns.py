"""Names and types of a foreign file's columns, and how they become the contract's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from incumbent.admit.order import Order, Reason, Refused, quoted

COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
MAX_COLUMNS = 2000
SHOWN = 80
HIDDEN = "(not shown)"
ARROW_TYPES = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "bool": pa.bool_(),
}


@dataclass(frozen=True)
class Chosen:
    """Which columns of a file are taken.

    Attributes:
        names: Contract column to its name in the file, in the contract's order; not those that the file lacks.
        added: Columns of the file that the contract does not have.
        dropped: Columns of the contract that the file does not have.
    """

    names: Mapping[str, str]
    added: tuple[str, ...]
    dropped: tuple[str, ...]

    @property
    def notes(self) -> dict[str, str]:
        """What is worth knowing about the file, by the name of its policy."""
        return {"added": ", ".join(self.added), "dropped": ", ".join(self.dropped)}


def choose(order: Order, names: Sequence[str]) -> Chosen:
    """Say which of a file's columns are taken for which of the contract's.

    Raises:
        Refused: A name is not accepted or comes twice, or a column is missing or added against the policy.
    """
    if not names:
        raise Refused(Reason.EMPTY_INPUT, "the file has no columns", expected=", ".join(order.columns), found="none")
    if len(names) > MAX_COLUMNS:
        limit = f"at most {MAX_COLUMNS}"
        raise Refused(Reason.TOO_MANY_COLUMNS, "the file has too many columns", expected=limit, found=len(names))
    # A private file without a header has somebody's values in its first row.
    told = not order.private or any(order.renamed.get(name, name) in order.columns for name in names)
    for name in names:
        if not COLUMN_NAME.fullmatch(name):
            shown = ascii(name)[:SHOWN] if told else HIDDEN
            raise Refused(
                Reason.COLUMN_NAME, "a column name is not accepted", column=shown, expected=COLUMN_NAME.pattern
            )
    lower = [name.lower() for name in names]
    if len(set(lower)) < len(lower):
        twice = sorted({name for name in names if lower.count(name.lower()) > 1})
        shown = ", ".join(twice[:5]) if told else HIDDEN
        raise Refused(Reason.COLUMN_TWICE, "a column name occurs twice", column=shown)
    ours = {order.renamed.get(name, name): name for name in names}
    if len(ours) < len(names):
        both = next(new for old, new in order.renamed.items() if old in names and new in names)
        raise Refused(Reason.COLUMN_TWICE, "a column comes under its old and its new name", column=both)
    lacking = [name for name in order.columns if name not in ours]
    if order.dropped == "nulls":
        lacking = [name for name in lacking if name not in order.nullable]
    if lacking:
        kind = order.columns[lacking[0]]
        raise Refused(
            Reason.COLUMN_MISSING,
            "a column is missing",
            column=lacking[0],
            expected=kind,
            found=_similar(lacking[0], names),
        )
    added = [name for name in ours if name not in order.columns]
    if added and order.added == "stop":
        known = ", ".join(order.columns)
        shown = ours[added[0]] if told else HIDDEN
        raise Refused(Reason.COLUMN_ADDED, "a column is not in the contract", column=shown, expected=known)
    dropped = tuple(name for name in order.columns if name not in ours)
    named = tuple(added) if told else (HIDDEN,) * len(added)
    return Chosen({name: ours[name] for name in order.columns if name in ours}, named, dropped)


def schema_of(order: Order) -> pa.Schema:
    """Return the contract's columns."""
    return pa.schema([(name, ARROW_TYPES[kind]) for name, kind in order.columns.items()])


def conform(order: Order, batch: pa.RecordBatch, chosen: Chosen) -> pa.RecordBatch:
    """Return a batch in the contract's columns and types, with the notes; a column that the file lacks is null.

    Raises:
        Refused: A column has another type, or a value is lost in the contract's.
    """
    schema = schema_of(order)
    columns = [
        cast(order, name, batch.column(chosen.names[name]))
        if name in chosen.names
        else pa.nulls(batch.num_rows, schema.field(name).type)
        for name in order.columns
    ]
    return pa.record_batch(columns, schema=schema.with_metadata(chosen.notes))


def check_type(order: Order, name: str, given: pa.DataType) -> None:
    """Refuse a type whose values would not mean the same in the contract's, or any other if that is the policy.

    Raises:
        Refused: The column has another type.
    """
    kind = ARROW_TYPES[order.columns[name]]
    if given == kind or pa.types.is_null(given):
        return
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    plain_text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    values = given.value_type if pa.types.is_dictionary(given) else given
    text = pa.types.is_string(kind) and any(test(values) for test in plain_text)
    numbers = number and (pa.types.is_integer(given) or pa.types.is_floating(given))
    times = pa.types.is_timestamp(kind) and pa.types.is_timestamp(given) and given.tz is not None
    fits = text or (order.retyped == "cast" and (numbers or times))
    if not fits:
        raise Refused(Reason.COLUMN_TYPE, "a column has another type", column=name, expected=kind, found=given)


def cast(order: Order, name: str, values: pa.Array) -> pa.Array:
    """Return values in the contract's type.

    Raises:
        Refused: The type is another one, or a value would change.
    """
    check_type(order, name, values.type)
    kind = ARROW_TYPES[order.columns[name]]
    if values.type == kind:
        return values
    try:
        return values.cast(kind, safe=True)
    except pa.ArrowException as error:
        raise Refused(
            Reason.VALUE,
            "a value is none of the column's type",
            column=name,
            expected=kind,
            found=f"{values.type}: {quoted(order, error)}",
        ) from error


def _similar(name: str, names: Sequence[str]) -> str:
    """Return what may be the same column under another name, for the message."""
    plain = re.sub("[^a-z0-9]", "", name.lower())
    alike = [other for other in names if re.sub("[^a-z0-9]", "", other.lower()) == plain]
    return f"absent; is it {alike[0]!r}?" if alike else "absent"
