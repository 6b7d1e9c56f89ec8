"""Deliveries that must be refused, each class with the reason code that it must be refused for.

A class is a function of a random generator: each seed draws another variant of it (which column, where it is cut).
Long because it is one table: a class is found by reading down.
"""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import time
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from tests.corpus.makers import (
    NAMES,
    Rng,
    at_one,
    changed_lines,
    constant,
    csv,
    cut,
    extension,
    far_times,
    flipped,
    garbage_footer,
    huge_value,
    json_lines,
    latin,
    nested,
    one_value,
    parquet,
    pick,
    pickled,
    renamed,
    shuffled,
    some_column,
    some_rows,
    text_of,
    wide,
    with_column,
    with_extra,
    zipped,
)
from tests.corpus.rows import COLUMNS, good

from incumbent.admit.order import Reason


@dataclass(frozen=True)
class Bad:
    """One class of bad deliveries."""

    name: str
    reason: Reason
    ending: str
    make: Callable[[Rng], bytes]
    policy: dict[str, Any] = field(default_factory=dict)


R = Reason
EVERY = ("parquet", "csv", "jsonl")
BAD: list[Bad] = [
    *(Bad(f"no bytes, {ending}", R.EMPTY_INPUT, ending, lambda rng: b"") for ending in EVERY),
    Bad("no rows, parquet", R.EMPTY_INPUT, "parquet", lambda rng: parquet(shuffled(rng, good(rng).slice(0, 0)))),
    Bad("header only", R.EMPTY_INPUT, "csv", lambda rng: csv(shuffled(rng, good(rng).slice(0, 0)))),
    Bad("blank lines, csv", R.EMPTY_INPUT, "csv", lambda rng: b"\n" * int(rng.integers(1, 9))),
    Bad("blank lines, json", R.EMPTY_INPUT, "jsonl", lambda rng: b"\n" * int(rng.integers(1, 9))),
    Bad("cut short", R.UNREADABLE, "parquet", cut),
    Bad("garbage footer", R.UNREADABLE, "parquet", garbage_footer),
    Bad("wrong magic", R.UNREADABLE, "parquet", lambda rng: b"PAR2" + parquet(good(rng))[4:-4] + b"PAR2"),
    Bad("csv named parquet", R.UNREADABLE, "parquet", lambda rng: csv(good(rng))),
    Bad("json named parquet", R.UNREADABLE, "parquet", lambda rng: json_lines(good(rng))),
    Bad("parquet named csv", R.UNREADABLE, "csv", lambda rng: parquet(good(rng))),
    Bad("parquet named json", R.UNREADABLE, "jsonl", lambda rng: parquet(good(rng))),
    Bad("csv named json", R.UNREADABLE, "jsonl", lambda rng: csv(good(rng))),
    *(
        Bad(f"noise, {ending}", R.UNREADABLE, ending, lambda rng: b"\0" + rng.bytes(int(rng.integers(10, 5000))))
        for ending in EVERY
    ),
    *(
        Bad(f"gzip named {ending}", R.UNREADABLE, ending, lambda rng: gzip.compress(csv(good(rng))))
        for ending in ("parquet", "jsonl")
    ),
    Bad("zip named parquet", R.UNREADABLE, "parquet", zipped),
    Bad("UTF-16", R.UNREADABLE, "csv", lambda rng: csv(good(rng)).decode().encode("utf-16")),
    Bad("Latin-1 text", R.ENCODING, "csv", latin),
    Bad("one bit flipped", R.CHECKSUM, "parquet", flipped),
    Bad(
        "a web page", R.COLUMN_NAME, "csv", lambda rng: b"<html><body>Error %d</body></html>\n" % rng.integers(400, 600)
    ),
    Bad(
        "another delimiter",
        R.COLUMN_NAME,
        "csv",
        changed_lines(lambda rng, lines: [line.replace(",", pick(rng, [";", "|", "\t"])) for line in lines]),
    ),
    Bad("no header", R.COLUMN_NAME, "csv", changed_lines(lambda rng, lines: lines[1:])),
    Bad("too many bytes", R.TOO_LARGE, "parquet", lambda rng: parquet(good(rng)), {"max_bytes": 1000}),
    *(
        Bad(
            f"too many rows, {ending}",
            R.TOO_MANY_ROWS,
            ending,
            some_rows(ending, 41, 500),
            {"max_rows": 40},
        )
        for ending in EVERY
    ),
    Bad("too many columns", R.TOO_MANY_COLUMNS, "parquet", wide),
    Bad(
        "gigabytes in a megabyte",
        R.UNPACKS_TOO_LARGE,
        "parquet",
        lambda rng: parquet(
            pa.table({"row": np.zeros(int(rng.integers(20_000_000, 30_000_000)), np.int64)}),
            compression="zstd",
            use_dictionary=False,
        ),
    ),
    Bad("one text, a thousand times", R.OUT_OF_MEMORY, "parquet", huge_value),
    *(
        Bad(
            f"hostile name, {ending}",
            R.COLUMN_NAME,
            ending,
            with_extra(lambda rng: str(pick(rng, NAMES)), ending),
        )
        for ending in ("parquet", "jsonl")
    ),
    *(
        Bad(
            f"column name of a megabyte, {ending}",
            R.COLUMN_NAME,
            ending,
            with_extra(lambda rng: "x" * int(rng.integers(10**6, 2 * 10**6)), ending),
        )
        for ending in EVERY
    ),
    Bad(
        "hostile name of a known column",
        R.COLUMN_NAME,
        "parquet",
        renamed(lambda rng, names: (some_column(rng, names), str(pick(rng, NAMES)))),
    ),
    Bad(
        "missing column",
        R.COLUMN_MISSING,
        "parquet",
        lambda rng: parquet((table := good(rng)).drop_columns([some_column(rng, table.column_names)])),
    ),
    Bad(
        "missing column, csv",
        R.COLUMN_MISSING,
        "csv",
        lambda rng: csv((table := good(rng)).drop_columns([some_column(rng, table.column_names)])),
    ),
    Bad(
        "missing column, json",
        R.COLUMN_MISSING,
        "jsonl",
        lambda rng: json_lines((table := good(rng)).drop_columns([some_column(rng, table.column_names)])),
    ),
    Bad(
        "renamed column",
        R.COLUMN_MISSING,
        "parquet",
        renamed(lambda rng, names: (old := some_column(rng, names), f"{old}_id")),
    ),
    Bad(
        "other case",
        R.COLUMN_MISSING,
        "parquet",
        renamed(lambda rng, names: (old := some_column(rng, names), old.upper())),
    ),
    Bad("column twice", R.COLUMN_TWICE, "parquet", with_extra(lambda rng: some_column(rng, list(COLUMNS)))),
    Bad("column twice, csv", R.COLUMN_TWICE, "csv", with_extra(lambda rng: some_column(rng, list(COLUMNS)), "csv")),
    Bad(
        "column twice by case",
        R.COLUMN_TWICE,
        "parquet",
        with_extra(lambda rng: some_column(rng, list(COLUMNS)).upper()),
    ),
    *(
        Bad(
            f"column added, {ending}",
            R.COLUMN_ADDED,
            ending,
            with_extra(lambda rng: f"more_{rng.integers(99)}", ending),
            {"evolution": {"added": "stop"}},
        )
        for ending in EVERY
    ),
    Bad("extension type", R.EXTENSION_TYPE, "parquet", extension),
    Bad("pickled objects", R.EXTENSION_TYPE, "parquet", pickled),
    Bad("text for a number", R.COLUMN_TYPE, "parquet", with_column("row", text_of)),
    Bad("number for a text", R.COLUMN_TYPE, "parquet", with_column("kind", lambda rng, table: table["row"])),
    Bad(
        "bytes for a text",
        R.COLUMN_TYPE,
        "parquet",
        with_column("note", lambda rng, table: pa.array([b"x"] * 50, pa.binary())),
    ),
    Bad("number for a truth", R.COLUMN_TYPE, "parquet", with_column("flag", lambda rng, table: table["row"])),
    Bad("truth for a number", R.COLUMN_TYPE, "parquet", with_column("n", lambda rng, table: pa.array([True] * 50))),
    Bad(
        "time without a zone",
        R.COLUMN_TYPE,
        "parquet",
        with_column("ts", lambda rng, table: table["ts"].cast(pa.timestamp(pick(rng, ["s", "ms", "us", "ns"])))),
    ),
    Bad(
        "text for a time", R.COLUMN_TYPE, "parquet", with_column("ts", lambda rng, table: table["ts"].cast(pa.string()))
    ),
    Bad(
        "number for a time",
        R.COLUMN_TYPE,
        "parquet",
        with_column("ts", lambda rng, table: table["ts"].cast(pa.int64())),
    ),
    Bad(
        "text for a date",
        R.COLUMN_TYPE,
        "parquet",
        with_column("day", lambda rng, table: table["day"].cast(pa.string())),
    ),
    Bad("time for a date", R.COLUMN_TYPE, "parquet", with_column("day", lambda rng, table: table["ts"])),
    Bad(
        "clock for a time", R.COLUMN_TYPE, "parquet", with_column("ts", lambda rng, table: pa.array([time(1, 2)] * 50))
    ),
    Bad(
        "decimal for a number",
        R.COLUMN_TYPE,
        "parquet",
        with_column(
            "x", lambda rng, table: pa.array([Decimal("1.50")] * 50, pa.decimal128(int(rng.integers(5, 38)), 2))
        ),
    ),
    Bad("list for a number", R.COLUMN_TYPE, "parquet", with_column("n", lambda rng, table: pa.array([[1, 2]] * 50))),
    Bad(
        "struct for a text", R.COLUMN_TYPE, "parquet", with_column("note", lambda rng, table: pa.array([{"a": 1}] * 50))
    ),
    Bad(
        "fraction for a whole number",
        R.VALUE,
        "parquet",
        with_column("n", lambda rng, table: pa.array(rng.random(50) + 0.1)),
    ),
    Bad("NaN for a whole number", R.VALUE, "parquet", with_column("n", constant(float("nan"), pa.float64()))),
    Bad(
        "number beyond 64 bits",
        R.VALUE,
        "parquet",
        with_column(
            "row", lambda rng, table: pa.array([2**63 + int(n) for n in rng.integers(0, 2**60, 50)], pa.uint64())
        ),
    ),
    Bad(
        "nanoseconds that would be lost",
        R.VALUE,
        "parquet",
        with_column(
            "ts",
            lambda rng, table: pa.array((rng.integers(1, 10**6, 50) * 1000 + 1).tolist(), pa.timestamp("ns", "UTC")),
        ),
    ),
    Bad(
        "milliseconds that overflow",
        R.VALUE,
        "parquet",
        with_column("ts", lambda rng, table: pa.array([2**62] * 50, pa.timestamp("ms", "UTC"))),
    ),
    *(
        Bad(f"no {kind}, csv", R.VALUE, "csv", one_value("csv", column, texts))
        for kind, column, texts in (
            ("whole number", "row", ["abc", "1.5", "0x1F", "1e3x", "99999999999999999999", "NULL", "--1"]),
            ("number", "x", ["abc", "1.2.3", '"1,5"', "1_000,5"[:5] + "x", "twelve", "$1"]),
            (
                "time",
                "ts",
                ["2020-13-01T00:00Z", "2020-01-05T12:00:00", "yesterday", "1578225600x", "2020-02-30T00:00Z"],
            ),
            ("truth", "flag", ["yes", "perhaps", "2", "TRUEISH"]),
            ("date", "day", ["2020-02-30", "01/02/2020", "today", "2020-1"]),
        )
    ),
    *(
        Bad(f"no {kind}, json", R.VALUE, "jsonl", one_value("jsonl", column, texts))
        for kind, column, texts in (
            ("whole number", "row", ['"5"', "1.5", "true", "[1]", '{"a": 1}', "99999999999999999999"]),
            ("number", "x", ['"5"', "true", "[1.5]"]),
            ("text", "kind", ["5", "true", '["a"]', '{"a": "b"}']),
            ("time", "ts", ['"2020-01-05T12:00:00"', '"yesterday"', "1578225600"]),
            ("date", "day", ['"2020-02-30"', "18000", '"today"']),
        )
    ),
    Bad(
        "ragged rows",
        R.UNREADABLE,
        "csv",
        changed_lines(
            lambda rng, lines: at_one(rng, lines, lambda line: pick(rng, [line + ",more", line.rpartition(",")[0]]))
        ),
    ),
    Bad(
        "unclosed quote",
        R.UNREADABLE,
        "csv",
        changed_lines(lambda rng, lines: at_one(rng, lines, lambda line: line + '"open')),
    ),
    Bad(
        "array instead of lines",
        R.UNREADABLE,
        "jsonl",
        lambda rng: b"[" + json_lines(good(rng)).strip().replace(b"\n", b",") + b"]\n",
    ),
    Bad(
        "one object over lines",
        R.UNREADABLE,
        "jsonl",
        lambda rng: json.dumps({"row": int(rng.integers(10**6)), "x": 2}, indent=2).encode(),
    ),
    Bad(
        "no object",
        R.UNREADABLE,
        "jsonl",
        lambda rng: pick(rng, [b"%d\n", b'"%d"\n', b"[%d]\n", b"true\n" * 3 + b"%d"]) % rng.integers(10**6),
    ),
    Bad(
        "broken line",
        R.UNREADABLE,
        "jsonl",
        changed_lines(
            lambda rng, lines: at_one(
                rng, lines, lambda line: pick(rng, [line[:-1], line.replace(":", " ", 1), line.replace('"', "'")])
            ),
            "jsonl",
        ),
    ),
    Bad("nested without end", R.UNREADABLE, "jsonl", nested),
]
BATCH: list[Bad] = [
    Bad(
        "rows out of range",
        R.QUARANTINE_SHARE,
        "parquet",
        with_column("x", lambda rng, table: pa.array(rng.random(50) * 1e6 + 101)),
    ),
    Bad("no values", R.QUARANTINE_SHARE, "parquet", with_column("x", constant(None, pa.float64()))),
    Bad(
        "NaN and infinity",
        R.QUARANTINE_SHARE,
        "parquet",
        with_column(
            "x",
            lambda rng, table: pa.array(
                [pick(rng, [float("nan"), float("inf"), -float("inf"), 1e308]) for _ in range(50)]
            ),
        ),
    ),
    Bad(
        "unknown levels",
        R.QUARANTINE_SHARE,
        "parquet",
        with_column("kind", lambda rng, table: pa.array([pick(rng, ["A", "d", "", "a "]) for _ in range(50)])),
    ),
    Bad(
        "a hundred thousand levels",
        R.QUARANTINE_SHARE,
        "parquet",
        lambda rng: parquet((table := good(rng, 100_000)).set_column(3, "kind", table["row"].cast(pa.string()))),
    ),
    Bad(
        "keys twice",
        R.QUARANTINE_SHARE,
        "parquet",
        with_column("row", lambda rng, table: pa.array((rng.integers(0, 20, 50) % 20).tolist())),
    ),
    Bad("another time", R.QUARANTINE_SHARE, "parquet", with_column("ts", far_times)),
    Bad("mostly null", R.NULL_SHARE, "parquet", with_column("n", constant(None, pa.int64()))),
    Bad(
        "too few rows",
        R.ROW_COUNT,
        "parquet",
        some_rows("parquet", 1, 19),
        {"min_rows": 20},
    ),
]
