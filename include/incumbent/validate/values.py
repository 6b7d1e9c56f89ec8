"""What a database returns, in the contract's types: without loss, or refused.

Drivers differ in how they hand over a number or a time; a file must not. Whatever is not said
here has no place in a contract's column, and the query casts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from incumbent.admit.columns import ARROW_TYPES

NUMERIC = "numeric"  # ADBC hands PostgreSQL's over as digits, in an opaque type of this name
FIRST_DAY, LAST_DAY = date.min.toordinal() - date(1970, 1, 1).toordinal(), date.max.toordinal() - 719_163
DAY_US = 86_400_000_000


class Refused(Exception):
    """A column that the contract's type cannot take.

    Args:
        found: What the database returned.
        instead: What the query should say, or how to declare it.
    """

    def __init__(self, found: object, instead: str) -> None:
        super().__init__(str(found))
        self.found = str(found)
        self.instead = instead


def of_python(values: Sequence[Any]) -> pa.Array:
    """Return a column of Python objects, as DB-API drivers fetch them, in the Arrow type of their kind.

    Raises:
        Refused: The objects are of several kinds, or of one that no contract has.
    """
    kinds = {type(value) for value in values if value is not None}
    try:
        if not kinds:
            return pa.nulls(len(values))
        if kinds <= {bool}:
            return pa.array(values, pa.bool_())
        if kinds <= {int}:
            return pa.array(values, pa.int64())
        if kinds <= {float}:
            return pa.array(values, pa.float64())
        if kinds <= {Decimal, float, int}:
            return _numeric([value if value is None else _digits(value) for value in values])
        if kinds <= {str}:
            return pa.array(values, pa.string())
        if all(issubclass(kind, datetime) for kind in kinds):
            return _moments(values)
        if kinds <= {date}:
            return pa.array(values, pa.date32())
    except (pa.ArrowException, OverflowError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise Refused(said, "cast the column in the query") from error
    names = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise Refused(names, "cast the column in the query, to text for example, or leave it out")


def in_type(values: pa.Array, dtype: str, zone: str | None) -> pa.Array:
    """Return a column in a contract's type.

    Args:
        values: What the database returned.
        dtype: The contract's type.
        zone: Zone of times that were written without one; such times are refused if None.

    Raises:
        Refused: The type has no place there, or a value would change.
    """
    kind = ARROW_TYPES[dtype]
    if pa.types.is_null(values.type):
        return pa.nulls(len(values), kind)
    try:
        found = CONVERSIONS[dtype](values, zone)
    except (pa.ArrowException, OverflowError) as error:
        said = " ".join(str(error).split())[:200]
        raise Refused(f"{_name(values.type)}: {said}", "cast the column in the query") from error
    if found is None:
        raise Refused(_name(values.type), "cast the column in the query, or declare its type in the contract")
    _in_calendar(found)
    return found


def _to_int64(values: pa.Array, zone: str | None) -> pa.Array | None:
    if is_numeric(values.type) or pa.types.is_decimal(values.type):
        digits = values.storage if is_numeric(values.type) else values.cast(pa.string())
        return pc.replace_substring_regex(digits, r"\.0+$", "").cast(pa.int64())
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        return values.cast(pa.int64())
    return None


def _to_float64(values: pa.Array, zone: str | None) -> pa.Array | None:
    if is_numeric(values.type):
        return values.storage.cast(pa.float64())
    if pa.types.is_decimal(values.type):  # by its digits: Arrow's own way is off by the last bit
        return values.cast(pa.string()).cast(pa.float64())
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        return values.cast(pa.float64())
    return None


def _to_bool(values: pa.Array, zone: str | None) -> pa.Array | None:
    if pa.types.is_boolean(values.type):
        return values
    # SQLite, MySQL and Oracle have no truth values, and write 0 and 1.
    if pa.types.is_integer(values.type) and pc.all(pc.is_in(values, pa.array([0, 1, None], values.type))).as_py():
        return values.cast(pa.bool_())
    return None


def _to_string(values: pa.Array, zone: str | None) -> pa.Array | None:
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    is_text = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return values.cast(pa.string()) if is_text else None


def _to_timestamp(values: pa.Array, zone: str | None) -> pa.Array | None:
    kind = ARROW_TYPES["timestamp"]
    if (text := _to_string(values, zone)) is not None:  # SQLite has no times: the same rule as for JSON
        if zone is None:
            return text.cast(kind)
        values = text.cast(pa.timestamp("us"))
    if not pa.types.is_timestamp(values.type):
        return None
    if values.type.tz is None:
        if zone is None:
            raise Refused(
                f"{values.type}, without a zone",
                "say in the query which zone it is in (AT TIME ZONE …), or as `timezone` of the source",
            )
        values = pc.assume_timezone(values.cast(pa.timestamp("us")), zone, ambiguous="raise", nonexistent="raise")
    return values.cast(kind)


def _to_date(values: pa.Array, zone: str | None) -> pa.Array | None:
    if (text := _to_string(values, zone)) is not None:
        return text.cast(pa.date32())
    return values.cast(pa.date32()) if pa.types.is_date(values.type) else None


CONVERSIONS = {
    "int64": _to_int64,
    "float64": _to_float64,
    "bool": _to_bool,
    "string": _to_string,
    "timestamp": _to_timestamp,
    "date": _to_date,
}


def is_numeric(kind: pa.DataType) -> bool:
    """Return whether a type is PostgreSQL's `numeric` as digits."""
    return isinstance(kind, pa.OpaqueType) and kind.type_name == NUMERIC and pa.types.is_string(kind.storage_type)


def _name(kind: pa.DataType) -> str:
    return kind.type_name if isinstance(kind, pa.OpaqueType) else str(kind)


def _numeric(digits: list[str | None]) -> pa.Array:
    """Return decimals by their digits: a decimal column of Arrow has no NaN, and one scale for all."""
    kind = pa.opaque(pa.string(), NUMERIC, "PostgreSQL")
    return pa.ExtensionArray.from_storage(kind, pa.array(digits, pa.string()))


def _digits(value: Decimal | float) -> str:
    return format(value, "f") if isinstance(value, Decimal) else repr(value)


def _moments(values: Sequence[Any]) -> pa.Array:
    zoned = {value.tzinfo is not None for value in values if value is not None}
    if len(zoned) > 1:
        raise Refused("times with and without a zone", "return one kind of time in the query")
    return pa.array(values, pa.timestamp("us", "UTC") if zoned == {True} else pa.timestamp("us"))


def _in_calendar(values: pa.Array) -> None:
    """Refuse times before the year 1 and after 9999: as such a one, wrapped around, ADBC hands over infinity."""
    if pa.types.is_date(values.type):
        first, last, plain = FIRST_DAY, LAST_DAY, values.cast(pa.int32())
    elif pa.types.is_timestamp(values.type):
        first, last, plain = FIRST_DAY * DAY_US, (LAST_DAY + 1) * DAY_US - 1, values.cast(pa.int64())
    else:
        return
    found = pc.min_max(plain)
    if plain.null_count < len(plain) and (found["min"].as_py() < first or found["max"].as_py() > last):
        raise Refused("a time before the year 1 or after 9999, or infinity", "turn it into NULL in the query")
