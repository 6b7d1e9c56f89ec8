"""Row rules: each a name, a reason and an SQL predicate that is true for a good row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from incumbent.config import Model
from incumbent.partitions import KEY_FORMATS, end_of, start_of
from incumbent.validate.contract import Column, Severity, SourceContract

KEY_RULE = "key.unique"
DATE = ("year", "month", "day")
DATE_DTYPES = ("int64", "float64", "string")


@dataclass(frozen=True)
class RowRule:
    """One rule.

    Attributes:
        name: Stable id, such as `distance.range`.
        good: SQL that is true for a good row; a null counts as good.
        reason: What is wrong with a row that breaks it.
        column: Column it is about; empty for a rule over several.
        kind: The named expectation that says the same, or `sql`. It is not told from the name:
            a user may call his own rule `unique`.
        severity: What breaking it does.
    """

    name: str
    good: str
    reason: str
    column: str = ""
    kind: Literal["required", "range", "values", "unique", "sql"] = "sql"
    severity: Severity = "quarantine"


def row_rules(contract: SourceContract, model: Model | None, source: str, partition: str) -> list[RowRule]:
    """Return the rules of a source's rows, in contract order; without a model or a partition all but `in_partition`."""
    rules = [rule for name, column in contract.columns.items() for rule in _column_rules(name, column)]
    key = ", ".join(identifier(name) for name in contract.key)
    lacking = " OR ".join(f"{identifier(name)} IS NULL" for name in contract.key)  # of which `required` speaks
    good = f"{lacking} OR count(*) OVER (PARTITION BY {key}) = 1"
    reason = "the key occurs more than once: which row is right is not known"
    rules.append(RowRule(KEY_RULE, good, reason, kind="unique"))
    if _has_date(contract):
        rules.append(_date_rule(contract))
    if partition and model is not None:
        rules += _partition_rule(contract, model, partition)
    rules += [RowRule(name, f"({sql})", f"breaks {name}: {sql}") for name, sql in contract.row_rules.items()]
    return [replace(rule, severity=contract.severity_of(rule.name)) for rule in rules]


def identifier(name: str) -> str:
    """Return a column name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: object) -> str:
    """Return a value as an SQL literal."""
    return str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"


def _column_rules(name: str, column: Column) -> Iterator[RowRule]:
    quoted = identifier(name)
    if not column.nullable:
        yield RowRule(f"{name}.required", f"{quoted} IS NOT NULL", "a value is required", name, "required")
    if column.dtype == "float64":
        yield RowRule(f"{name}.finite", f"isfinite({quoted})", "the number is not finite", name)
    if column.min is not None or column.max is not None:
        low, high = column.min, column.max
        tests = [f"{quoted} >= {low}"] if low is not None else []
        tests += [f"{quoted} <= {high}"] if high is not None else []
        reason = (
            f"outside {'-∞' if low is None else f'{low:g}'} to {'∞' if high is None else f'{high:g}'} {column.unit}"
        )
        yield RowRule(f"{name}.range", " AND ".join(tests), reason.strip(), name, "range")
    if column.values is not None:
        allowed = ", ".join(literal(value) for value in column.values)
        yield RowRule(f"{name}.values", f"{quoted} IN ({allowed})", f"not one of {allowed}", name, "values")
    if column.pattern is not None:
        good = f"regexp_full_match({quoted}, {literal(column.pattern)})"
        yield RowRule(f"{name}.pattern", good, f"does not match {column.pattern}", name)


def _has_date(contract: SourceContract) -> bool:
    """Return whether a row's date is spread over three columns that hold numbers."""
    return all(name in contract.columns and contract.columns[name].dtype in DATE_DTYPES for name in DATE)


def _date() -> str:
    """Return SQL for the date in the three columns; null where the calendar has no such day.

    `make_date` would end the query instead, and one bad row must not stop a delivery.
    """
    parts = ", ".join(f"TRY_CAST({identifier(name)} AS BIGINT)" for name in DATE)
    return f"try_strptime(printf('%04d-%02d-%02d', {parts}), '%Y-%m-%d')"


def _date_rule(contract: SourceContract) -> RowRule:
    missing = [f"{identifier(name)} IS NULL" for name in DATE if contract.columns[name].nullable]
    good = " OR ".join([*missing, f"{_date()} IS NOT NULL"])
    return RowRule("real_date", f"({good})", "year, month and day are no day of the calendar")


def _partition_rule(contract: SourceContract, model: Model, partition: str) -> list[RowRule]:
    first, until = start_of(partition, model.grain), end_of(partition, model.grain)
    if model.time in contract.columns:
        local = f"({identifier(model.time)} AT TIME ZONE {literal(model.timezone)})"
    elif _has_date(contract):
        local = _date()
    else:
        return []
    good = f"{local} >= TIMESTAMP '{first}' AND {local} < TIMESTAMP '{until}'"
    example = first.strftime(KEY_FORMATS[model.grain])
    reason = f"outside {model.grain} {example} of {model.timezone}"
    return [RowRule("in_partition", good, reason, model.time if model.time in contract.columns else "")]
