"""Deliveries that say the same in another way and must be accepted: other writers, layouts and types."""

import io
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
from tests.corpus.makers import WRITERS, Rng, csv, json_lines, parquet, shuffled, with_extra
from tests.corpus.rows import good

COMPRESSIONS = ("none", "snappy", "gzip", "brotli", "zstd", "lz4")


@dataclass(frozen=True)
class Benign:
    """One way to write the same rows, or rows that are unusual and good."""

    name: str
    ending: str
    write: Callable[[pa.Table, Rng], bytes]
    policy: dict[str, Any] = field(default_factory=dict)
    rows: Callable[[Rng], pa.Table] = good


def of_pyarrow(**options: Any) -> Callable[[pa.Table, Rng], bytes]:
    """Return a writer with some of pyarrow's options."""
    return lambda table, rng: parquet(table, **options)


def typed(name: str, kind: pa.DataType) -> Callable[[pa.Table, Rng], bytes]:
    """Return a writer of a column in another type that holds the same values."""

    def write(table: pa.Table, rng: Rng) -> bytes:
        at = table.column_names.index(name)
        return parquet(table.set_column(at, name, table[name].cast(kind)))

    return write


def of_pandas(change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame, **options: Any) -> Any:
    """Return a writer that goes through pandas, with its own metadata in the file."""

    def write(table: pa.Table, rng: Rng) -> bytes:
        sink = io.BytesIO()
        frame = table.to_pandas().convert_dtypes(convert_string=False, convert_floating=False)
        change(frame).to_parquet(sink, index=False, **options)
        return sink.getvalue()

    return write


def of_polars(**options: Any) -> Callable[[pa.Table, Rng], bytes]:
    """Return a writer that goes through polars."""

    def write(table: pa.Table, rng: Rng) -> bytes:
        sink = io.BytesIO()
        pl.from_arrow(table).write_parquet(sink, **options)  # type: ignore[union-attr]
        return sink.getvalue()

    return write


def of_duckdb(options: str, ending: str = "parquet") -> Callable[[pa.Table, Rng], bytes]:
    """Return a writer that is DuckDB's COPY."""

    def write(table: pa.Table, rng: Rng) -> bytes:
        import tempfile
        from pathlib import Path

        with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
            connection.execute("SET TimeZone='UTC'")
            connection.register("rows", table)
            file = Path(folder) / f"rows.{ending}"
            connection.execute(f"COPY rows TO '{file}' ({options})")
            return file.read_bytes()

    return write


def other_order(write: Callable[[pa.Table], bytes]) -> Callable[[pa.Table, Rng], bytes]:
    """Return a writer of the columns in another order."""
    return lambda table, rng: write(shuffled(rng, table))


def pandas_csv(table: pa.Table, rng: Rng) -> bytes:
    """Write CSV as pandas does, with its own way to write a time."""
    return bytes(table.to_pandas().convert_dtypes(convert_string=False).to_csv(index=False).encode())


def lacking(table: pa.Table, rng: Rng) -> bytes:
    """Write JSON lines that leave out what has no value, as many senders do; the first line has every key."""
    import json

    lines = json_lines(table).decode().splitlines()
    kept = [{key: value for key, value in json.loads(line).items() if value is not None} for line in lines[1:]]
    return ("\n".join([lines[0], *(json.dumps(each) for each in kept)])).encode()


def valued(rows: int, **values: Callable[[Rng, pa.Table], Any]) -> Callable[[Rng], pa.Table]:
    """Return what draws rows of which some columns have other values."""

    def make(rng: Rng) -> pa.Table:
        table = good(rng, rows)
        for name, value in values.items():
            made = pa.array(value(rng, table), table.schema.field(name).type)
            table = table.set_column(table.column_names.index(name), name, made)
        return table

    return make


def constant(rng: Rng) -> pa.Table:
    """Return rows that differ in their key alone."""
    table = good(rng)
    once = {name: table[name].drop_null()[0] for name in table.column_names if name != "row"}
    return pa.table({"row": table["row"]} | {name: pa.repeat(value, 50) for name, value in once.items()})


TINY = [5e-324, 2.2250738585072009e-308, -0.0, 0.0, 2.2250738585072014e-308, 1e-300]
ENDS = [-(2**63), -(2**63) + 1, -(2**53) - 1, 2**53 + 1, 2**63 - 2, 2**63 - 1]
UNUSUAL = {
    "denormals and zeros below zero": valued(50, x=lambda rng, table: rng.choice(TINY, 50)),
    "whole numbers at both ends": valued(6, row=lambda rng, table: ENDS, n=lambda rng, table: ENDS),
    "constant columns": constant,
}
MANY = {
    "a hundred thousand categories": valued(
        100_000, note=lambda rng, table: table["row"].cast(pa.string()).combine_chunks()
    ),
    "few long texts": valued(20_000, note=lambda rng, table: [chr(97 + n) * 1000 for n in rng.integers(0, 20, 20_000)]),
}
VALUES = [
    *(
        Benign(f"{name}, {ending}", ending, lambda table, rng, ending=ending: WRITERS[ending](table), rows=rows)
        for name, rows in UNUSUAL.items()
        for ending in ("parquet", "csv", "jsonl")
    ),
    *(
        Benign(f"{name}, dictionary {dictionary}", "parquet", of_pyarrow(use_dictionary=dictionary), rows=rows)
        for name, rows in MANY.items()
        for dictionary in (True, False)
    ),
]
PYARROW = [
    Benign(
        f"pyarrow, {packed}, rows {rows}, dictionary {dictionary}",
        "parquet",
        of_pyarrow(compression=packed, row_group_size=rows, use_dictionary=dictionary),
    )
    for packed, (rows, dictionary) in itertools.product(COMPRESSIONS, [(7, True), (1000, False)])
]
TYPES = [
    *(
        Benign(f"row as {kind}", "parquet", typed("row", kind))
        for kind in (pa.int16(), pa.int32(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float64())
    ),
    *(
        Benign(f"n as {kind}", "parquet", typed("n", kind))
        for kind in (pa.int8(), pa.int16(), pa.uint8(), pa.float64())
    ),
    *(
        Benign(f"kind as {kind}", "parquet", typed("kind", kind))
        for kind in (pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string()))
    ),
    *(
        Benign(f"ts as {kind}", "parquet", typed("ts", kind))
        for kind in (
            pa.timestamp("ms", "UTC"),
            pa.timestamp("ns", "UTC"),
            pa.timestamp("us", "America/New_York"),
            pa.timestamp("ms", "+02:00"),
        )
    ),
    Benign("day as date64", "parquet", typed("day", pa.date64())),
]
LAYOUTS = [
    *(
        Benign(f"format {version}, pages {pages}", "parquet", of_pyarrow(version=version, data_page_version=pages))
        for version, pages in itertools.product(("1.0", "2.4", "2.6"), ("1.0", "2.0"))
    ),
    Benign("no Arrow schema", "parquet", of_pyarrow(store_schema=False)),
    Benign("no statistics", "parquet", of_pyarrow(write_statistics=False)),
    Benign("byte stream split", "parquet", of_pyarrow(use_dictionary=False, use_byte_stream_split=["x"])),
    Benign("small pages", "parquet", of_pyarrow(data_page_size=64)),
    Benign("page index", "parquet", of_pyarrow(write_page_index=True)),
    Benign("other order, parquet", "parquet", other_order(parquet)),
    Benign("other order, csv", "csv", other_order(csv)),
    Benign("other order, json", "jsonl", other_order(json_lines)),
    *(
        Benign(
            f"column more, {ending}",
            ending,
            lambda table, rng, ending=ending: with_extra(lambda _: "more", ending, table)(rng),
        )
        for ending in ("parquet", "csv", "jsonl")
    ),
]
WRITTEN = [
    *(
        Benign(f"pandas, {packed}", "parquet", of_pandas(compression=packed))
        for packed in (None, "snappy", "gzip", "zstd")
    ),
    Benign("pandas, categories", "parquet", of_pandas(lambda frame: frame.astype({"kind": "category"}))),
    Benign(
        "pandas, nullable types", "parquet", of_pandas(lambda frame: frame.astype({"n": "Int16", "flag": "boolean"}))
    ),
    Benign(
        "pandas, an index", "parquet", of_pandas(lambda frame: frame.set_index("row", drop=False).rename_axis(None))
    ),
    *(
        Benign(f"polars, {packed}", "parquet", of_polars(compression=packed))
        for packed in ("uncompressed", "snappy", "zstd", "lz4")
    ),
    Benign("polars, no statistics", "parquet", of_polars(statistics=False)),
    Benign("polars, small row groups", "parquet", of_polars(row_group_size=9)),
    *(
        Benign(f"DuckDB, {packed}", "parquet", of_duckdb(f"FORMAT parquet, COMPRESSION {packed}"))
        for packed in ("uncompressed", "snappy", "gzip", "zstd", "lz4")
    ),
    Benign("DuckDB, csv", "csv", of_duckdb("FORMAT csv, HEADER, TIMESTAMPFORMAT '%Y-%m-%dT%H:%M:%S%z'", "csv")),
    Benign("pyarrow, csv", "csv", lambda table, rng: csv(table)),
    Benign("pandas, csv", "csv", pandas_csv),
    Benign("json lines", "jsonl", lambda table, rng: json_lines(table)),
    Benign("json lines named json", "json", lambda table, rng: json_lines(table)),
    Benign("json lines named ndjson", "ndjson", lambda table, rng: json_lines(table)),
    Benign("json lines that leave out nulls", "jsonl", lacking),
]
TEXT = [
    Benign("byte order mark, csv", "csv", lambda table, rng: b"\xef\xbb\xbf" + csv(table)),
    Benign("byte order mark, json", "jsonl", lambda table, rng: b"\xef\xbb\xbf" + json_lines(table)),
    Benign("Windows line ends, csv", "csv", lambda table, rng: csv(table).replace(b"\n", b"\r\n")),
    Benign("Windows line ends, json", "jsonl", lambda table, rng: json_lines(table).replace(b"\n", b"\r\n")),
    Benign("no last line end, csv", "csv", lambda table, rng: csv(table).rstrip(b"\n")),
    Benign("no last line end, json", "jsonl", lambda table, rng: json_lines(table).rstrip(b"\n")),
    Benign("blank lines, csv", "csv", lambda table, rng: csv(table) + b"\n\n"),
    Benign("blank lines, json", "jsonl", lambda table, rng: json_lines(table).replace(b"\n", b"\n\n")),
]
BENIGN: list[Benign] = [*PYARROW, *TYPES, *LAYOUTS, *WRITTEN, *TEXT, *VALUES]
