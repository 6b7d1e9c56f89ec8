"""Rows that a person corrected: JSON lines of `line`, the row's number in its delivery, and `row`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from incumbent.errors import BatchError
from incumbent.records import Ingest
from incumbent.sensitive import MASK, quotable
from incumbent.store import ModelStore
from incumbent.validate.contract import SourceContract
from incumbent.validate.past_rows import rebuilt


def not_shown(store: ModelStore, contract: SourceContract, source: str) -> set[str]:
    """Return the columns that are hashed, or whose values nobody is shown, or was not when they were delivered."""
    recorded = (name for record in store.records.all(Ingest, f"{source}/") for name in record.masked)
    return {*contract.masked, *contract.hashed, *recorded}


def with_corrections(entries: pa.Table, data: bytes, masked: Collection[str] = ()) -> pa.Table:
    """Return quarantine entries with corrected rows in the place of those that were delivered.

    A masked value stands for the one that was delivered: nobody was shown it.

    >>> entries = pa.table({"line": [2, 3], "row": ['{"x":-1.0}', '{"x":-2.0}']})
    >>> with_corrections(entries, b'{"line": 3, "row": {"x": 2.0}}')["row"].to_pylist()
    ['{"x":-1.0}', '{"x": 2.0}']
    """
    plain = [json.loads(text) for text in data.splitlines() if text.strip()]
    corrected = {each["line"]: each["row"] for each in plain}
    pairs = zip(entries["line"].to_pylist(), entries["row"].to_pylist(), strict=True)
    rows = [_filled(corrected[line], row, masked) if line in corrected else row for line, row in pairs]
    return entries.set_column(entries.column_names.index("row"), "row", pa.array(rows, pa.string()))


def _filled(corrected: Mapping[str, Any], delivered: str, masked: Collection[str]) -> str:
    known = json.loads(delivered)
    row = {name: known[name] if name in masked and value == MASK else value for name, value in corrected.items()}
    return json.dumps(row, ensure_ascii=False)


def check_corrections(entries: pa.Table, contract: SourceContract, data: bytes, masked: Collection[str] = ()) -> None:
    """Refuse corrected rows that cannot stand for rows that are set aside.

    Args:
        entries: The quarantine's entries that are replayed.
        contract: The contract that they will be judged by.
        data: The corrected rows.
        masked: Columns whose values may come back as they were shown: see `not_shown`.

    Raises:
        BatchError: It is no JSON lines, a line is not set aside, or a row does not fit the contract's columns.
    """
    known = dict(zip(entries["line"].to_pylist(), entries["row"].to_pylist(), strict=True))
    for number, text in enumerate(data.splitlines(), 1):
        if text.strip():
            _check(text, known, contract, masked, f"corrected rows, line {number}")


def _check(
    text: bytes, known: Mapping[int, str], contract: SourceContract, masked: Collection[str], where: str
) -> None:
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
    delivered = json.loads(known[line])
    if changed := [name for name in contract.hashed if row[name] not in (delivered[name], MASK)]:
        expected = "the value as it was printed; a corrected file is hashed, these rows are not"
        raise _refused("a hashed value cannot be corrected here", where, expected, f"another {changed[0]}")
    try:
        rebuilt(pa.table({"line": [line], "row": [_filled(row, known[line], masked)]}), contract)
    except duckdb.Error as error:
        expected = ", ".join(f"{name} {column.dtype}" for name, column in contract.columns.items())
        said, hide = quotable(error, bool(contract.masked)), bool(contract.masked)
        raise _refused("a corrected value does not fit its column", where, expected, said) from (
            None if hide else error
        )


def _refused(what: str, where: str, expected: str, found: object) -> BatchError:
    return BatchError(
        what,
        where=where,
        expected=expected,
        found=" ".join(str(found).split())[:300],
        next_step="correct the file; `incumbent quarantine show … --json` prints the lines to start from",
    )
