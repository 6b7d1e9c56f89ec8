"""A delivery's rows in a private DuckDB, judged in one pass however many they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from incumbent.errors import ConfigError
from incumbent.room import private_duckdb
from incumbent.sensitive import MASK, quotable
from incumbent.validate.contract import SourceContract
from incumbent.validate.rules import RowRule, identifier, literal

TABLE = "batch"
BATCH_ROWS = 65_536
ROW, RULE = '"#row"', '"#rule"'  # no column of a delivery has such a name
MAX_SAID = 2000


@dataclass(frozen=True)
class Tally:
    """What one pass over a delivery's rows counts.

    Attributes:
        rows: All rows.
        broken: Rule to the rows that break it; a null value breaks none but `required`.
        nulls: Column to the rows that lack it.
        means: Mean of each column whose usual mean is learned, to nine digits: the order of a sum changes the last.
        newest: Newest time of the column that says how fresh the delivery is; None without such a column.
    """

    rows: int
    broken: Mapping[str, int]
    nulls: Mapping[str, int]
    means: Mapping[str, float] = field(default_factory=dict)
    newest: datetime | None = None


class DeliveredRows:
    """The rows of one delivery while they are judged.

    Args:
        folder: Private folder; whoever made it takes it away.
        contract: The source's contract.
        source: Source name.
        rules: Row rules, in contract order.
        is_large: Whether the rows are more than fits into memory.
    """

    def __init__(
        self,
        folder: Path,
        contract: SourceContract,
        source: str,
        rules: Sequence[RowRule],
        *,
        is_large: bool = False,
    ) -> None:
        self.folder = folder
        self.file = folder / "large.duckdb" if is_large else None
        self.contract = contract
        self.source = source
        self.rules = rules
        self.key = ", ".join(identifier(name) for name in contract.key)
        self._connection: duckdb.DuckDBPyConnection | None = None

    def saved(self) -> Path:
        """Write the rows into a DuckDB file, for a library that opens its own, and return it."""
        file, connection = self.folder / "delivery.duckdb", self._opened()
        connection.execute(f"ATTACH {literal(file)} AS saved")
        connection.execute(f"CREATE TABLE saved.{TABLE} AS SELECT * FROM {TABLE}")
        connection.execute("DETACH saved")
        return file

    def load(self, rows: pa.RecordBatchReader) -> None:
        """Take the rows over, in their order."""
        connection = self._opened()
        connection.register("rows", rows)
        connection.execute(f"CREATE TABLE {TABLE} AS SELECT * FROM rows")

    def keys(self, columns: Sequence[str]) -> pa.Table:
        """Return some columns of all rows, in file order, before any was left out."""
        names = ", ".join(identifier(name) for name in columns)
        return self._opened().sql(f"SELECT {names} FROM {TABLE} ORDER BY rowid").to_arrow_table()

    def leave_out(self, rows: Sequence[int]) -> int:
        """Take rows out by their place in the file; return how many."""
        connection = self._opened()
        connection.register("gone", pa.table({"place": pa.array(rows, pa.int64())}))
        connection.execute(f"DELETE FROM {TABLE} WHERE rowid IN (SELECT place FROM gone)")
        return len(rows)

    def tally(self) -> Tally:
        """Count what every rule says, in one pass; how many different keys there are, in another over the keys alone.

        Raises:
            ConfigError: A rule's SQL does not run on these rows.
        """
        columns, learned, fresh = (
            list(self.contract.columns),
            list(self.contract.learned.means),
            self.contract.freshness,
        )
        plain = [rule for rule in self.rules if rule.kind not in ("unique", "required")]
        asked = ["count(*)"]
        asked += [f"coalesce(count_if(NOT ({rule.good})), 0)" for rule in plain]  # a null is not counted
        asked += [f"count(*) - count({identifier(name)})" for name in columns]
        asked += [f"avg({identifier(name)})" for name in learned]
        asked += [f"max({identifier(fresh.column)})" if fresh else "NULL"]
        connection = self._opened()
        failure, found = None, iter(tuple[Any, ...]())
        try:
            found = iter(connection.execute(f"SELECT {', '.join(asked)} FROM {TABLE}").fetchall()[0])
        except duckdb.OutOfMemoryException:
            raise  # no rule's fault
        except duckdb.Error as error:
            failure = self._blame(connection) or type(error)(quotable(error, self._hides, MAX_SAID))
        if failure is not None:
            raise failure  # here, and not from the first error: a log that shows causes would show its values
        rows = next(found)
        counted = {rule.name: next(found) for rule in plain}
        nulls = {name: next(found) for name in columns}
        broken = {rule.name: nulls[rule.column] for rule in self.rules if rule.kind == "required"}
        broken |= counted | {rule.name: self._repeated(rows) for rule in self.rules if rule.kind == "unique"}
        means = {name: float(f"{mean:.9g}") for name in learned if (mean := next(found)) is not None}
        return Tally(rows, broken, nulls, means, next(found))

    def set_aside(self, rules: Sequence[RowRule], first: int = 0) -> int:
        """Mark the rows that break one of these rules; return how many there are.

        Args:
            rules: Some of the rules.
            first: Number of rows at the beginning that stay, whatever they break.
        """
        queries = [
            f"SELECT {ROW}, {number} AS {RULE} FROM (SELECT rowid AS {ROW}, {rule.good} AS good FROM {TABLE}) "
            f"WHERE {ROW} >= {first} AND NOT coalesce(good, true)"
            for number, rule in enumerate(self.rules)
            if rule in rules
        ]
        connection = self._opened()
        marked = " UNION ALL ".join(queries) or f"SELECT 0::BIGINT AS {ROW}, 0 AS {RULE} WHERE false"
        connection.execute(f"CREATE OR REPLACE TABLE aside AS {marked}")
        return int(connection.execute(f"SELECT count(DISTINCT {ROW}) FROM aside").fetchall()[0][0])

    def aside_before(self, row: int) -> int:
        """Return how many of the first rows are set aside."""
        connection = self._opened()
        query = f"SELECT count(DISTINCT {ROW}) FROM aside WHERE {ROW} < {row}"
        return int(connection.execute(query).fetchall()[0][0])

    def good(self) -> pa.RecordBatchReader:
        """Give the rows that are not set aside, sorted by key."""
        names = ", ".join(identifier(name) for name in self.contract.columns)
        left = f"WHERE rowid NOT IN (SELECT {ROW} FROM aside)"
        connection = self._opened()
        query = f"SELECT {names} FROM {TABLE} {left} ORDER BY {self.key}, rowid"
        return connection.sql(query).to_arrow_reader(BATCH_ROWS)

    def aside(self, raw_digest: str) -> pa.RecordBatchReader:
        """Give one quarantine row for each row and rule that it breaks."""
        connection = self._opened()
        return connection.sql(self._quarantine(raw_digest)).to_arrow_reader(BATCH_ROWS)

    def example(self, rule: RowRule) -> str:
        """Return the value of the first row that breaks a rule, as text; empty for a rule over several columns."""
        found = self.examples(rule, 1) if rule.column else []
        return found[0][1] if found else ""

    def examples(self, rule: RowRule, most: int) -> list[tuple[int, str]]:
        """Return the first rows that break a rule: place in the file, from 1 on, and the value, or the row's key."""
        columns = [rule.column] if rule.column else list(self.contract.key)
        said = [
            literal(MASK) if name in self.contract.masked else f"coalesce(CAST({identifier(name)} AS VARCHAR), 'NULL')"
            for name in columns
        ]
        shown = " || ', ' || ".join(
            f"{literal(f'{name} = ')} || {text}" for name, text in zip(columns, said, strict=True)
        )
        query = (
            f"SELECT {ROW} + 1, said FROM (SELECT rowid AS {ROW}, {shown} AS said, {rule.good} AS good FROM {TABLE}) "
            f"WHERE NOT coalesce(good, true) ORDER BY {ROW} LIMIT {most}"
        )
        return [(int(row), str(text)) for row, text in self._opened().execute(query).fetchall()]

    def _quarantine(self, raw_digest: str) -> str:
        key, row = (_as_json(names) for names in (self.contract.key, tuple(self.contract.columns)))
        by_rule = {
            "rule": [literal(rule.name) for rule in self.rules],
            "reason": [literal(rule.reason) for rule in self.rules],
            '"column"': [literal(rule.column) for rule in self.rules],
            "value": [self._value(rule.column) for rule in self.rules],
        }
        chosen = [
            f"CASE {RULE} {' '.join(f'WHEN {at} THEN {value}' for at, value in enumerate(values))} END AS {name}"
            for name, values in by_rule.items()
        ]
        # The rule comes second in the order, so the same delivery gives the same bytes again.
        return (
            f"SELECT {literal(self.source)} AS source, {', '.join(chosen)}, {key} AS key, {row} AS row, "
            f"{ROW} + 1 AS line, {literal(raw_digest)} AS raw_digest "
            f"FROM aside JOIN {TABLE} ON {TABLE}.rowid = {ROW} ORDER BY {ROW}, 2"
        )

    def _value(self, column: str) -> str:
        """Return SQL for a value as people see it."""
        if not column:
            return "NULL"
        if column in self.contract.masked:
            return f"CASE WHEN {identifier(column)} IS NOT NULL THEN {literal(MASK)} END"
        return f"CAST({identifier(column)} AS VARCHAR)"

    def _repeated(self, rows: int) -> int:
        """Return how many rows have a key that another has too."""
        connection = self._opened()
        # Different hashes are different keys: only if two are the same the keys themselves are looked at. A group is
        # spilled where it does not fit, and the states of count(DISTINCT …) beside other aggregates are not.
        query = f"SELECT count(*) FROM (SELECT hash({self.key}) AS key FROM {TABLE} GROUP BY key)"
        if connection.execute(query).fetchall()[0][0] == rows:
            return 0
        whole = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in self.contract.key)
        query = f"SELECT count(*) AS n FROM {TABLE} WHERE {whole} GROUP BY {self.key} HAVING count(*) > 1"
        return int(connection.execute(f"SELECT coalesce(sum(n), 0) FROM ({query})").fetchall()[0][0])

    @property
    def _hides(self) -> bool:
        """Whether a message of the database may repeat what nobody is shown."""
        return bool(self.contract.masked)

    def _blame(self, connection: duckdb.DuckDBPyConnection) -> ConfigError | None:
        """Return the error of the one rule that does not run; None if each does."""
        for rule in self.rules:
            try:
                connection.execute(f"SELECT count(*) FILTER (WHERE NOT coalesce(good, true)) FROM "
                                   f"(SELECT {rule.good} AS good FROM {TABLE})")  # fmt: skip
            except duckdb.Error as own:
                return ConfigError(
                    "an expectation cannot be computed",
                    where=f"contract.yaml, sources.{self.source}, rule {rule.name}",
                    expected="SQL that is true for a good row",
                    found=quotable(own, self._hides, MAX_SAID)
                    .partition("LINE 1:")[0][:300]
                    .strip(),  # without the query
                    next_step=f"correct the SQL of row_rules.{rule.name}, or the entry of the column that the rule is "
                    "made from",
                )
        return None

    def _opened(self) -> duckdb.DuckDBPyConnection:
        """Return the one connection: the rows are in it."""
        if self._connection is None:
            self._connection = private_duckdb(self.folder / "spilled", file=self.file)
            self._connection.execute(f"SET allowed_directories=[{literal(self.folder)}]")
            self._connection.execute("SET enable_external_access=false")
        return self._connection


def _as_json(names: Sequence[str]) -> str:
    packed = ", ".join(f"{identifier(name)} := {identifier(name)}" for name in names)
    return f"CAST(to_json(struct_pack({packed})) AS VARCHAR)"
