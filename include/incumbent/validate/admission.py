"""Judge a file before it is believed: its size, its form, its columns and their types."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.parquet as pq

from incumbent.errors import BatchError
from incumbent.validate.contract import SourceContract

COLUMN_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")
MAX_COLUMNS = 2000
QUOTED = ("string", "timestamp", "date")  # what JSON writes as text
ARROW_TYPES = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
    "bool": pa.bool_(),
}


def read_once(path: Path) -> bytes:
    """Return a file's bytes, which are then hashed and judged: the file itself may be replaced meanwhile.

    Raises:
        BatchError: There is no file, or it cannot be read.
    """
    if not path.is_file():
        found = "nothing" if not path.exists() else "a folder"
        raise _error(path, "there is no such file", expected="a file", found=found)
    try:
        return path.read_bytes()
    except OSError as error:
        raise _error(path, "the file cannot be opened", expected="a file that may be read", found=error) from error


def admit(path: Path, raw: bytes, contract: SourceContract) -> pa.Table:
    """Return the rows of a file's bytes in the contract's columns and types, in file order.

    Raises:
        BatchError: The file is empty, unreadable, too large, or its columns do not fit;
            the message names the file, the column, what was expected and what was found.
    """
    _size(path, len(raw), contract)
    table = _read(path, raw, contract)
    _names(path, table)
    if table.num_rows == 0:
        raise _error(path, "the file has no rows", expected=f"at least {contract.policy.min_rows} rows", found="0 rows")
    return _conform(path, table, contract)


def _size(path: Path, size: int, contract: SourceContract) -> None:
    if size == 0:
        raise _error(path, "the file is empty", expected="rows", found="0 bytes")
    if size > contract.policy.max_bytes:
        raise _error(path, "the file is too large", expected=f"at most {contract.policy.max_bytes} bytes", found=size)


def _read(path: Path, raw: bytes, contract: SourceContract) -> pa.Table:
    try:
        if path.suffix == ".csv":
            return _read_csv(raw, contract)
        if path.suffix in (".json", ".jsonl", ".ndjson"):
            return _read_json(path, raw, contract)
        return _read_parquet(path, raw, contract)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _error(
            path,
            "the file cannot be read",
            column=_column_of(str(error), raw),
            expected={
                ".csv": f"CSV with a header, missing values written as {_nulls(contract)}",
                ".parquet": "Parquet",
            }.get(path.suffix, "Parquet, CSV or JSON lines"),
            found=" ".join(str(error).split())[:300],
        ) from error


def _nulls(contract: SourceContract) -> str:
    return " or ".join(null or "nothing" for null in contract.nulls)


def _column_of(said: str, raw: bytes) -> str:
    """Return the column that Arrow's message is about, empty for one about the file: CSV's are numbered."""
    if found := re.search(r"CSV column #(\d+)", said):
        header = raw.split(b"\n", 1)[0].decode(errors="replace").split(",")
        return header[int(found[1])].strip('"\r ') if int(found[1]) < len(header) else f"#{found[1]}"
    found = re.search(r"Column\(/(\w+)", said)
    return found[1] if found else ""


def _read_csv(raw: bytes, contract: SourceContract) -> pa.Table:
    # Numbers and times are read as declared, and nulls are what the contract says: what does not parse
    # is an error, never a guess. NA is Namibia, and somebody's name is Null.
    declared = {name: ARROW_TYPES[column.dtype] for name, column in contract.columns.items()}
    options = pacsv.ConvertOptions(column_types=declared, strings_can_be_null=True, null_values=list(contract.nulls))
    return pacsv.read_csv(pa.BufferReader(raw), convert_options=options)


def _read_json(path: Path, raw: bytes, contract: SourceContract) -> pa.Table:
    def read(names: Collection[str]) -> pa.Table:
        schema = pa.schema([(name, pa.string()) for name in names])
        return pajson.read_json(pa.BufferReader(raw), parse_options=pajson.ParseOptions(explicit_schema=schema))

    # JSON has no times: Arrow guesses them from text and loses the zone, so text is read as text.
    quoted = {name: ARROW_TYPES[column.dtype] for name, column in contract.columns.items() if column.dtype in QUOTED}
    table = read(quoted)
    given = [name for name in quoted if table[name].null_count < table.num_rows]
    if len(given) < len(quoted):
        table = read(given)  # a declared column that the file lacks would read as nulls
    for name in given:
        try:
            values = table[name].cast(quoted[name])
        except pa.ArrowException as error:
            example = (
                "2013-07-01T05:00:00Z, with its zone" if quoted[name] == ARROW_TYPES["timestamp"] else "2013-07-01"
            )
            found = " ".join(str(error).split())[:300]
            raise _error(path, "a text is no such time", column=name, expected=example, found=found) from error
        table = table.set_column(table.column_names.index(name), name, values)
    return table


def _read_parquet(path: Path, raw: bytes, contract: SourceContract) -> pa.Table:
    size = len(raw)
    file = pq.ParquetFile(pa.BufferReader(raw), page_checksum_verification=True)
    metadata = file.metadata
    if metadata.num_rows > contract.policy.max_rows:
        limit = f"at most {contract.policy.max_rows} rows"
        raise _error(path, "the file has too many rows", expected=limit, found=metadata.num_rows)
    unpacked = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    if unpacked > max(100 * size, contract.policy.max_bytes):
        raise _error(path, "the file unpacks to too much", expected=f"at most 100 x {size} bytes", found=unpacked)
    for field in file.schema_arrow:
        if isinstance(field.type, pa.BaseExtensionType) or b"ARROW:extension:name" in (field.metadata or {}):
            raise _error(
                path, "an extension type is not accepted", column=field.name, expected="a plain type", found=field.type
            )
    return file.read()


def _names(path: Path, table: pa.Table) -> None:
    names = table.column_names
    if len(names) > MAX_COLUMNS:
        raise _error(path, "the file has too many columns", expected=f"at most {MAX_COLUMNS}", found=len(names))
    if bad := [name for name in names if not COLUMN_NAME.match(name)]:
        raise _error(path, "a column name is not accepted", column=repr(bad[0])[:80], expected=COLUMN_NAME.pattern)
    if len({name.lower() for name in names}) < len(names):
        twice = sorted({name for name in names if [n.lower() for n in names].count(name.lower()) > 1})
        raise _error(path, "a column name occurs twice", column=", ".join(twice[:5]), expected="different names")


def _conform(path: Path, table: pa.Table, contract: SourceContract) -> pa.Table:
    found = set(table.column_names)
    if missing := [name for name in contract.columns if name not in found]:
        raise _error(
            path, "a column is missing", column=missing[0], expected=contract.columns[missing[0]].dtype, found="absent"
        )
    extra = [name for name in table.column_names if name not in contract.columns]
    if extra and contract.policy.extra_columns == "stop":
        raise _error(path, "a column is not in the contract", column=extra[0], expected=", ".join(contract.columns))
    columns = []
    for name, column in contract.columns.items():
        kind = ARROW_TYPES[column.dtype]
        columns.append(_cast(path, name, table[name], kind))
    return pa.table(columns, names=list(contract.columns))


def _cast(path: Path, name: str, values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if values.type == kind:
        return values
    both_numbers = pa.types.is_integer(values.type) and (pa.types.is_integer(kind) or pa.types.is_floating(kind))
    floats = pa.types.is_floating(values.type) and (pa.types.is_floating(kind) or pa.types.is_integer(kind))
    texts = pa.types.is_string(kind) and (pa.types.is_large_string(values.type) or pa.types.is_dictionary(values.type))
    times = pa.types.is_timestamp(kind) and pa.types.is_timestamp(values.type) and values.type.tz is not None
    empty = pa.types.is_null(values.type)
    other = _error(path, "a column has another type", column=name, expected=kind, found=values.type)
    if not (both_numbers or floats or texts or times or empty):
        raise other
    try:
        return values.cast(kind, safe=True)
    except pa.ArrowException as error:  # lossy
        raise other from error


def _error(path: Path, what: str, *, column: str = "", expected: object = None, found: object = None) -> BatchError:
    return BatchError(
        what,
        where=f"{path}" + (f", column {column}" if column else ""),
        expected=expected,
        found=found,
        next_step="ask the sender for a corrected file and drop it under the same name",
    )
