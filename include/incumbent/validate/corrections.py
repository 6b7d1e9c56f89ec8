"""Rows that a person corrected: JSON lines of `line`, the row's number in its delivery, and `row`."""

from __future__ import annotations

import json

import duckdb
import pyarrow as pa

from incumbent.errors import BatchError
from incumbent.validate.contract import SourceContract
from incumbent.validate.past_rows import rebuilt


def with_corrections(entries: pa.Table, data: bytes) -> pa.Table:
    """Return quarantine entries with corrected rows in the place of those that were delivered.

    >>> entries = pa.table({"line": [2, 3], "row": ['{"x":-1.0}', '{"x":-2.0}']})
    >>> with_corrections(entries, b'{"line": 3, "row": {"x": 2.0}}')["row"].to_pylist()
    ['{"x":-1.0}', '{"x": 2.0}']
    """
    plain = [json.loads(text) for text in data.splitlines() if text.strip()]
    corrected = {each["line"]: json.dumps(each["row"], ensure_ascii=False) for each in plain}
    pairs = zip(entries["line"].to_pylist(), entries["row"].to_pylist(), strict=True)
    rows = pa.array([corrected.get(line, row) for line, row in pairs], pa.string())
    return entries.set_column(entries.column_names.index("row"), "row", rows)


def check_corrections(entries: pa.Table, contract: SourceContract, data: bytes) -> None:
    """Refuse corrected rows that cannot stand for rows that are set aside.

    Args:
        entries: The quarantine's entries that are replayed.
        contract: The contract that they will be judged by.
        data: The corrected rows.

    Raises:
        BatchError: It is no JSON lines, a line is not set aside, or a row does not fit the contract's columns.
    """
    known = set(entries["line"].to_pylist())
    for number, text in enumerate(data.splitlines(), 1):
        if text.strip():
            _check(text, known, contract, f"corrected rows, line {number}")


def _check(text: bytes, known: set[int], contract: SourceContract, where: str) -> None:
    try:
        plain = json.loads(text)
        line, row = plain["line"], dict(plain["row"])
    except (ValueError, KeyError, TypeError) as error:
        raise _refused("this is no corrected row", where, '{"line": 12, "row": {…}}', error) from error
    if line not in known:
        raise _refused("a corrected row stands for none that is replayed", where, "a line of the quarantine", line)
    if set(row) != set(contract.columns):
        odd = ", ".join(sorted(set(row) ^ set(contract.columns)))
        raise _refused("a corrected row has other columns", where, ", ".join(contract.columns), f"not in both: {odd}")
    try:
        rebuilt(pa.table({"line": [line], "row": [json.dumps(row)]}), contract)
    except duckdb.Error as error:
        expected = ", ".join(f"{name} {column.dtype}" for name, column in contract.columns.items())
        raise _refused("a corrected value does not fit its column", where, expected, error) from error


def _refused(what: str, where: str, expected: str, found: object) -> BatchError:
    return BatchError(
        what,
        where=where,
        expected=expected,
        found=" ".join(str(found).split())[:300],
        next_step="correct the file; `incumbent quarantine show … --json` prints the lines to start from",
    )
