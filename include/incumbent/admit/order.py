"""What the reading process is told about a foreign file. Light: that process imports little."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Literal

Format = Literal["csv", "parquet", "json"]
MAX_RATIO = 1000  # of unpacked to packed: dictionaries of a constant column reach hundreds
FORMATS: Mapping[str, Format] = {".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json"}


class Reason(StrEnum):
    """Why a delivery was stopped: a code for programs, stable from one version to the next."""

    NOT_FOUND = "NOT_FOUND"  # no file, a folder, or one that may not be read
    EMPTY_INPUT = "EMPTY_INPUT"  # no bytes, no header or no rows
    TOO_LARGE = "TOO_LARGE"  # more bytes than the contract allows
    TOO_MANY_ROWS = "TOO_MANY_ROWS"
    TOO_MANY_COLUMNS = "TOO_MANY_COLUMNS"
    UNPACKS_TOO_LARGE = "UNPACKS_TOO_LARGE"  # a small file that says it is a huge one
    UNREADABLE = "UNREADABLE"  # not of the format that its name says, cut short, or ragged
    CHECKSUM = "CHECKSUM"  # a page whose bytes have changed since they were written
    ENCODING = "ENCODING"  # text that is not UTF-8
    COLUMN_NAME = "COLUMN_NAME"
    COLUMN_TWICE = "COLUMN_TWICE"
    COLUMN_MISSING = "COLUMN_MISSING"
    COLUMN_ADDED = "COLUMN_ADDED"
    COLUMN_TYPE = "COLUMN_TYPE"  # the whole column is of another type
    VALUE = "VALUE"  # a value that is none of the column's type
    EXTENSION_TYPE = "EXTENSION_TYPE"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    OUT_OF_TIME = "OUT_OF_TIME"
    CRASHED = "CRASHED"  # the reader itself died
    COPY = "COPY"  # another partition was made from the same bytes
    ROW_COUNT = "ROW_COUNT"
    NULL_SHARE = "NULL_SHARE"
    RULE = "RULE"  # a rule that stops was broken
    EXPECTATION = "EXPECTATION"  # the user's own expectation, or SQL, did not hold
    QUARANTINE_SHARE = "QUARANTINE_SHARE"  # too many rows would be set aside
    STALE = "STALE"  # its newest row is too old
    UNUSUAL = "UNUSUAL"  # far from what was accepted before


@dataclass(frozen=True)
class Order:
    """How to read one file.

    Attributes:
        path: A private copy: nobody changes it while it is read.
        format: What its name says it is.
        columns: Column name to its contract dtype, in stored order.
        nullable: Columns that a file may lack or leave empty where its format cannot tell the two apart.
        nulls: What a CSV file writes for a missing value.
        renamed: Name in the file to name in the contract.
        added: What happens to a column that is not in the contract: `drop`, `warn` or `stop`.
        dropped: What happens when a nullable column is absent: `stop`, or `nulls`.
        retyped: What happens to a column of another type that holds the same values: `cast`, or `stop`.
        max_rows: Most rows.
        max_unpacked: Most bytes once unpacked.
        memory: Bytes that reading may take.
        seconds: Processor time that reading may take.
        private: Nobody may be shown what the file holds.
    """

    path: str
    format: Format
    columns: Mapping[str, str]
    nullable: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ("",)
    renamed: Mapping[str, str] = field(default_factory=dict)
    added: str = "drop"
    dropped: str = "stop"
    retyped: str = "cast"
    max_rows: int = 50_000_000
    max_unpacked: int = 4 * 2**30
    memory: int = 2**30
    seconds: int = 120
    private: bool = False

    def to_json(self) -> str:
        """Return the order as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Order:
        """Rebuild an order."""
        plain = json.loads(text)
        return cls(**{**plain, "nullable": tuple(plain["nullable"]), "nulls": tuple(plain["nulls"])})


def quoted(order: Order, error: object) -> str:
    """Return what a library said in one line; of a private file only the row, for its words repeat values."""
    said = " ".join(str(error).split())
    if not order.private:
        return said[:300]
    row = re.search(r"[Rr]ow #\d+|line \d+", said)
    return "what is not shown: the source has sensitive columns" + (f", {row[0].lower()}" if row else "")


class Refused(Exception):
    """A file is not what it should be; told to the parent as plain fields."""

    def __init__(
        self, reason: Reason, what: str, *, column: str = "", expected: object = None, found: object = None
    ) -> None:
        super().__init__(what)
        self.reason = reason
        self.what = what
        self.column = column
        self.expected = None if expected is None else str(expected)
        self.found = None if found is None else str(found)

    def to_json(self) -> str:
        """Return what is said, as text."""
        return json.dumps({key: value for key, value in vars(self).items() if not key.startswith("_")})

    @classmethod
    def from_json(cls, text: str) -> Refused:
        """Rebuild what a child said."""
        plain = json.loads(text)
        return cls(Reason(plain.pop("reason")), plain.pop("what"), **plain)
