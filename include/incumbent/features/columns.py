"""What the columns of feature rows may be: keys, the time, and features that a model takes."""

from __future__ import annotations

import pyarrow as pa

from incumbent.classes import SCORE, score_names
from incumbent.config import Model
from incumbent.errors import FeatureError

RESERVED = ("partition", "label", "local_date", SCORE)  # columns that stages add to feature rows


def plain_types(rows: pa.Table) -> pa.Table:
    """Return rows in the types that features are stored in: int64, float64, string, timestamp, date.

    A sum of integers comes out of DuckDB as a decimal, an enum as a dictionary, and which one
    depends on the engine's version; the stored type must not.
    """
    return rows.cast(plain_schema(rows.schema))


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns in the types that features are stored in."""
    return pa.schema([pa.field(field.name, _plain_type(field.type)) for field in schema])


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return pa.float64()
    if pa.types.is_dictionary(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    return kind


def check_keys(model: Model, schema: pa.Schema, where: str) -> None:
    """Refuse rows without a key or the time, or whose time has no zone.

    Args:
        model: Its configuration.
        schema: Of the rows.
        where: What they come from, for people.

    Raises:
        FeatureError: They are of this kind.
    """
    needed = [*model.keys, model.time]
    if missing := [name for name in needed if name not in schema.names]:
        raise FeatureError(
            "the feature definition leaves out a key or the time",
            where=where,
            expected=", ".join(needed),
            found=f"without {', '.join(missing)}",
            next_step="select the key columns and the time column beside the features",
        )
    time = schema.field(model.time).type
    if not (pa.types.is_timestamp(time) and time.tz):
        expected, remedy = "a timestamp with its zone", f"select {model.time} as it comes, without a cast"
        raise wrong(where, model.time, "the time column has another type", expected, time, remedy)


def check_features(model: Model, schema: pa.Schema, where: str) -> None:
    """Refuse rows without features, or with one that no model takes; see `check_keys`."""
    features = [field for field in schema if field.name not in (*model.keys, model.time)]
    if not features:
        what, expected = "the feature definition has no features", "at least one column beside keys and time"
        raise wrong(where, "*", what, expected, "none", "select one")
    for field in features:
        _check_feature(model, field, where)


def wrong(where: str, column: str, what: str, expected: str, found: object, next_step: str) -> FeatureError:
    """Return the error of a column."""
    return FeatureError(what, where=f"{where}, column {column}", expected=expected, found=found, next_step=next_step)


def _check_feature(model: Model, field: pa.Field, where: str) -> None:
    reserved = (*RESERVED, *score_names(model.label.classes))
    if field.name in reserved:
        what, expected = "a feature has a reserved name", f"none of {', '.join(dict.fromkeys(reserved))}"
        raise wrong(where, field.name, what, expected, field.name, "rename it with AS")
    known = (pa.types.is_int64, pa.types.is_float64, pa.types.is_boolean, pa.types.is_string)
    if not any(is_known(_plain_type(field.type)) for is_known in known):
        what, expected = "a feature has a type that no model takes", "a number, a text or a boolean"
        remedy = "turn it into numbers, such as days since another date, or leave it out"
        raise wrong(where, field.name, what, expected, field.type, remedy)
