"""Business metrics as SQL: one row for each labelled prediction, one number for each KPI, and means with an interval.

A KPI is the mean of a column, or the ratio of two sums. Because the SQL gives a number for each row, and not the mean
itself, its error can be computed with the rows that share their luck, and two contenders compared row by row.

Here and not with a stage: MONITOR records KPIs, and a gate compares two versions by them.

Long because what is refused of a SQL is told with where, expected and found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from incumbent.config import Guard, Model
from incumbent.errors import ConfigError
from incumbent.features.compute import open_duckdb, quoted
from incumbent.features.lint import RULES, tables
from incumbent.features.syntax import NoSelect, Syntax
from incumbent.sensitive import quotable
from incumbent.stats import Difference, quantile
from incumbent.stats.differences import from_influence

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
FILE = "kpi.sql"
VIEW = "rows"
ORDER = "#order"  # no column has such a name
OVER, UNDER = "__numerator", "__denominator"
ALPHA = 0.05  # one-sided, on either side: a guard-rail is no claim of superiority
NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
SELECT_ONE = "write one SELECT over `rows` with the keys and a numeric column for each KPI"
VALUES = pa.schema(
    [
        ("kpi", pa.string()), ("state", pa.string()), ("value", pa.float64()), ("error", pa.float64()),
        ("low", pa.float64()), ("high", pa.float64()), ("rows", pa.int64()), ("clusters", pa.int64()),
    ]
)  # fmt: skip


@dataclass(frozen=True)
class Kpi:
    """A KPI of some rows: the ratio of two sums; the mean of a column divides by the rows that have a value.

    Attributes:
        name: Its name.
        over: Numerator of each row, shape (n_rows,); 0 where there is none.
        under: Denominator of each row; 0 where the row does not count.
        broken: Rows with a value that is no finite number.
    """

    name: str
    over: Floats
    under: Floats
    broken: int = 0

    @property
    def state(self) -> str:
        """`measured`; else why there is no number: `not finite`, `no rows`, `nothing to divide by`."""
        if self.broken:
            return "not finite"
        if not self.under.any():
            return "no rows"
        return "measured" if self.under.sum() else "nothing to divide by"

    @property
    def value(self) -> float:
        """The ratio; only of one that is measured."""
        return float(self.over.sum() / self.under.sum())

    @property
    def influence(self) -> Floats:
        """What each row contributes to the error of the ratio."""
        out: Floats = (self.over - self.value * self.under) / self.under.sum()
        return out


def kpi_values(sql: str, rows: pa.Table, model: Model, clusters: Codes | None = None) -> pa.Table:
    """Return each KPI of some rows with its clustered error and the interval that holds it 95 times of 100.

    Args:
        sql: Text of `kpi.sql`.
        rows: Labelled predictions; see `kpi_rows`.
        model: Whose they are; names the keys.
        clusters: Cluster code of each row; None for independent rows.

    Returns:
        Columns kpi, state, value, error, low, high, rows, clusters. Without a number the state says why; the error
        is null where one cluster says nothing of it.

    Raises:
        ConfigError: The SQL is refused, does not run, or gives other rows or columns than it should.
    """
    return pa.Table.from_pylist([_measured(kpi, clusters) for kpi in kpis_of(sql, rows, model)], schema=VALUES)


def kpis_of(sql: str, rows: pa.Table, model: Model) -> list[Kpi]:
    """Return the KPIs of each row, in the order of the rows; see `kpi_values`."""
    refuse(sql, model)
    found = _computed(sql, rows, model)
    names = [name for name in found.column_names if name not in model.keys]
    out = []
    for name in names:
        stem = name.removesuffix(OVER).removesuffix(UNDER)
        if not NAME.match(stem):
            raise _wrong(
                model, f"a KPI is named {name!r}", "a name of small letters, digits and _", "rename the column"
            )
        if stem == name:
            out.append(_mean(name, _numbers(found, name, model)))
        elif stem + OVER not in names or stem + UNDER not in names:
            missing = stem + (UNDER if name.endswith(OVER) else OVER)
            raise _wrong(model, f"{name} without {missing}", "both sums of a ratio", f"add the column {missing}")
        elif name.endswith(OVER):
            over, under = (_numbers(found, stem + side, model) for side in (OVER, UNDER))
            out.append(_ratio(stem, over, under))
    if not out:
        raise _wrong(model, "no column beside the keys", "a numeric column for each KPI", "add one")
    if len({kpi.name for kpi in out}) < len(out):
        raise _wrong(model, "a mean and a ratio of one name", "a name for each KPI", "rename one of them")
    return out


def refuse(sql: str, model: Model) -> None:
    """Refuse KPIs that are another number in each run, or read anything but the rows.

    Raises:
        ConfigError: With the line.
    """
    try:
        syntax = Syntax(sql)
    except NoSelect as error:
        raise _wrong(model, " ".join(str(error).split())[:300], "one SELECT", SELECT_ONE) from error
    found = [finding for rule in RULES for finding in rule(syntax)] + list(tables(syntax, {VIEW}))
    if found:
        first = min(found, key=lambda finding: finding.line)
        expected = "the same numbers from the same rows, and nothing else read"
        raise _wrong(model, first.what, expected, first.next_step, line=first.line)


def kpi_differences(ours: Sequence[Kpi], theirs: Sequence[Kpi], clusters: Codes | None) -> dict[str, Difference]:
    """Return by how much each KPI of one contender is larger than the other's on the same rows.

    A KPI that is not measured for both is left out.

    Args:
        ours: KPIs of the candidate.
        theirs: The same of the champion, on the same rows.
        clusters: Cluster code of each row; None for independent rows.

    Raises:
        ValueError: There are fewer than two clusters.
    """
    other = {kpi.name: kpi for kpi in theirs}
    return {
        kpi.name: from_influence(kpi.value - other[kpi.name].value, kpi.influence - other[kpi.name].influence, clusters)
        for kpi in ours
        if kpi.name in other and {kpi.state, other[kpi.name].state} == {"measured"}
    }


def guard(name: str, difference: Difference | None, limit: Guard) -> dict[str, Any]:
    """Judge whether a KPI of a candidate is surely not behind the champion's by more than it may be.

    Args:
        name: The KPI.
        difference: Of `kpi_differences`; None if it was not measured for both.
        limit: How far it may be behind.

    Returns:
        `passed`: True, False, or None for not enough evidence; and the numbers behind it.
    """
    allowed = limit.max_decrease if limit.max_decrease is not None else limit.max_increase or 0.0
    shared = {"gate": f"kpi {name}", **limit.model_dump(exclude_none=True)}
    if difference is None:
        return {**shared, "passed": None, "sentence": f"{name} is not measured on these rows for both"}
    side = 1.0 if limit.max_decrease is not None else -1.0
    worst, best = (
        side * (difference.lower(ALPHA) if side > 0 else difference.upper(ALPHA)),
        side * (difference.upper(ALPHA) if side > 0 else difference.lower(ALPHA)),
    )
    passed = True if worst >= -allowed else (False if best < -allowed else None)
    lower, upper = difference.lower(ALPHA), difference.upper(ALPHA)
    numbers = {"estimate": difference.estimate, "error": difference.error, "clusters": difference.clusters}
    said = f"{name} {difference.estimate:+.4g}, {lower:+.4g} to {upper:+.4g}; {-side * allowed:+.4g} is allowed"
    return {**shared, "passed": passed, **numbers, "alpha": ALPHA, "lower": lower, "upper": upper, "sentence": said}


def kpi_rows(model: Model, predictions: pa.Table, outcomes: pa.Table) -> pa.Table:
    """Return what KPIs are computed from: labelled predictions beside their outcomes, sorted by key.

    Args:
        model: Whose they are.
        predictions: Keys, the time and what was predicted: `prediction`, of several classes also `probability`.
        outcomes: Outcome rows that have a label, once for each key; see `incumbent.features.rows.outcome_rows`. A
            column that the predictions have too is left out.
    """
    keys = quoted(model.keys)
    besides = [name for name in outcomes.column_names if name not in predictions.column_names]
    connection = open_duckdb()
    try:
        connection.register("said", predictions)
        connection.register("known", outcomes.select([*model.keys, *besides]))
        columns = ", ".join(["said.*", *(f"known.{quoted([name])}" for name in besides)])
        day = f"(said.{quoted([model.time])} AT TIME ZONE '{model.timezone}')::DATE AS local_date"
        query = f"SELECT {columns}, {day} FROM said JOIN known USING ({keys}) ORDER BY {keys}"
        return connection.sql(query).to_arrow_table()
    finally:
        connection.close()


def _measured(kpi: Kpi, clusters: Codes | None) -> dict[str, Any]:
    counted = kpi.under != 0
    row: dict[str, Any] = {"kpi": kpi.name, "state": kpi.state, "rows": int(counted.sum()), "clusters": 0}
    if kpi.state != "measured":
        return row
    codes = None if clusters is None else clusters[counted]
    count = row["rows"] if codes is None else len(np.unique(codes))
    row |= {"value": kpi.value, "clusters": count}
    if count < 2:
        return row
    found = from_influence(kpi.value, kpi.influence[counted], codes)
    margin = quantile(0.025, found.df) * found.error
    return {**row, "error": found.error, "low": kpi.value - margin, "high": kpi.value + margin}


def _mean(name: str, values: Floats) -> Kpi:
    there = ~np.isnan(values)
    return Kpi(name, np.where(there, values, 0.0), there.astype(np.float64), int(np.isinf(values).sum()))


def _ratio(name: str, over: Floats, under: Floats) -> Kpi:
    there = ~np.isnan(over) & ~np.isnan(under)
    broken = int((np.isinf(over) | np.isinf(under)).sum())
    return Kpi(name, np.where(there, over, 0.0), np.where(there, under, 0.0), broken)


def _computed(sql: str, rows: pa.Table, model: Model) -> pa.Table:
    """Return what the SQL gives, brought into the order of the rows."""
    hide = bool(model.sensitive.masked.get(model.outcome_source))
    keys, order = quoted(model.keys), quoted([ORDER])
    connection = open_duckdb()
    try:
        connection.register("given", rows.append_column(ORDER, pa.array(np.arange(rows.num_rows))))
        connection.execute(f"CREATE VIEW {VIEW} AS SELECT * EXCLUDE ({order}) FROM given")
        try:
            found = connection.sql(sql)
            names = list(found.columns)
            if missing := [name for name in model.keys if name not in names]:
                raise _wrong(model, f"no column {missing[0]}", "the keys among the columns", SELECT_ONE)
            if len(set(names)) < len(names):
                raise _wrong(model, "two columns of one name", "a name for each column", "rename one")
            connection.register("made", found.to_arrow_table())
        except duckdb.Error as error:
            columns = ", ".join(rows.column_names)
            failure = _wrong(model, quotable(error, hide, 500), f"one SELECT over `rows`: {columns}", SELECT_ONE)
            raise failure from (None if hide else error)
        joined = connection.sql(
            f"SELECT made.*, given.{order} FROM made JOIN given USING ({keys}) ORDER BY given.{order}"
        ).to_arrow_table()
        (count,) = connection.sql("SELECT count(*) FROM made").fetchall()[0]
    finally:
        connection.close()
    if count != rows.num_rows or not np.array_equal(joined[ORDER], np.arange(rows.num_rows)):
        expected = f"one row for each of the {rows.num_rows} labelled predictions"
        advice = "give a number for each row: means are taken afterwards"
        raise _wrong(model, f"{count} rows", expected, advice)
    return joined.drop_columns([ORDER])


def _numbers(rows: pa.Table, name: str, model: Model) -> Floats:
    kind = rows[name].type
    if pa.types.is_null(kind):
        return np.full(rows.num_rows, np.nan)
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if not (numeric or pa.types.is_boolean(kind)):
        raise _wrong(model, f"{name} is {kind}", "a number or a boolean", f"cast {name} to DOUBLE")
    values = (rows[name].cast(pa.int8()) if pa.types.is_boolean(kind) else rows[name]).cast(pa.float64(), safe=False)
    numbers = np.array(values.to_numpy(), dtype=np.float64)
    # A null is a row that does not count; what is no number is a mistake in the SQL.
    numbers[np.asarray(pc.fill_null(pc.is_nan(values), False))] = np.inf
    return numbers


def _wrong(model: Model, found: str, expected: str, next_step: str, line: int | None = None) -> ConfigError:
    where = f"model {model.name}, {FILE}" + (f", line {line}" if line else "")
    return ConfigError("the KPIs are refused", where=where, expected=expected, found=found, next_step=next_step)


def said_columns(values: Floats, classes: Sequence[str]) -> Mapping[str, pa.Array]:
    """Return predictions as KPIs see them: a number; or the likeliest class and its probability.

    Args:
        values: Shape (n_rows,) or (n_rows, n_classes).
        classes: Of several classes, in the order of the probabilities.
    """
    if not classes:
        return {"prediction": pa.array(values)}
    best = values.argmax(axis=1)  # of equals the first
    return {
        "prediction": pa.array(list(classes), pa.string()).take(pa.array(best)),
        "probability": pa.array(values[np.arange(len(values)), best]),
    }
