"""The rows that are set aside: which row broke which rule, and what it looked like."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb
import pyarrow as pa

from incumbent.validate.contract import SourceContract
from incumbent.validate.rules import RowRule, identifier, literal
from incumbent.validate.suite import TABLE

ROW = "__row"
QUARANTINE_COLUMNS = ("source", "rule", "reason", "column", "value", "key", "row", "raw_digest")


def broken_rows(
    rows: pa.Table, rules: Sequence[RowRule], contract: SourceContract, source: str, raw_digest: str
) -> pa.Table:
    """Return one quarantine row for each row and rule that it breaks, found by the rules' own SQL.

    Args:
        rows: The delivery, its rows numbered in the column `__row`.
        rules: Rules that some row breaks.
        contract: The source's contract.
        source: Source name.
        raw_digest: SHA-256 of the delivered file.
    """
    if not rules:
        fields = [pa.field(ROW, pa.int64()), *(pa.field(name, pa.string()) for name in QUARANTINE_COLUMNS)]
        return pa.schema(fields).empty_table()
    origin = f"{literal(source)} AS source, {literal(raw_digest)} AS raw_digest"
    key, row = (_as_json(names) for names in (contract.key, contract.columns))
    queries = [_rule_query(rule, origin, f"{key} AS key, {row} AS row") for rule in rules]
    connection = duckdb.connect()
    try:
        connection.execute("SET TimeZone='UTC'")
        connection.register(TABLE, rows)
        # The rule comes second in the order, so the same delivery gives the same bytes again.
        query = " UNION ALL ".join(queries) + f" ORDER BY {ROW}, rule"
        return connection.sql(query).to_arrow_table().select([ROW, *QUARANTINE_COLUMNS])
    finally:
        connection.close()


def _as_json(names: Iterable[str]) -> str:
    packed = ", ".join(f"{identifier(name)} := {identifier(name)}" for name in names)
    return f"CAST(to_json(struct_pack({packed})) AS VARCHAR)"


def _rule_query(rule: RowRule, origin: str, content: str) -> str:
    value = f"CAST({identifier(rule.column)} AS VARCHAR)" if rule.column else "NULL::VARCHAR"
    return (
        f"SELECT {ROW}, {origin}, {literal(rule.name)} AS rule, {literal(rule.reason)} AS reason, "
        f'{literal(rule.column)} AS "column", {value} AS value, {content} '
        f"FROM (SELECT *, {rule.good} AS __good FROM {TABLE}) WHERE NOT coalesce(__good, true)"
    )
