"""CSV and JSON lines: what does not parse as declared is an error, never a guess."""

from __future__ import annotations

import codecs
import csv
import io
import json
import mmap
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.json as pajson

from incumbent.admit.columns import ARROW_TYPES, HIDDEN, SHOWN, choose, conform
from incumbent.admit.order import Order, Reason, Refused, quoted

PACKED = (b"PAR1", b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")  # Parquet, gzip, zip, …
BLOCK = 4 * 2**20  # the longest row fits into one block
QUOTED = ("string", "timestamp", "date")  # what JSON writes as text
EXAMPLES = {"timestamp": "2013-07-01T05:00:00Z, with its zone", "date": "2013-07-01"}


def read_csv(order: Order) -> Iterator[pa.RecordBatch]:
    """Yield a CSV file's rows in the contract's columns."""
    csv.field_size_limit(order.max_unpacked)  # a name that is too long is refused as one
    header = _header(order)
    chosen = choose(order, header)
    # NA is Namibia, and somebody's name is Null: nulls are what the contract says.
    declared = {theirs: ARROW_TYPES[order.columns[name]] for name, theirs in chosen.names.items()}
    try:
        _refuse_open_quote(order)
        if _has_hexadecimal(order.path):
            _refuse_hexadecimal(order, chosen.names)
        for batch in _csv_batches(order, declared):
            yield conform(order, batch, chosen)
    except pa.ArrowInvalid as error:
        raise _csv_value(str(error), header, order) or error from error


def _csv_batches(order: Order, declared: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    yield from pacsv.open_csv(
        order.path,
        read_options=pacsv.ReadOptions(use_threads=False, block_size=BLOCK),
        parse_options=pacsv.ParseOptions(newlines_in_values=True),
        convert_options=pacsv.ConvertOptions(
            column_types=declared, include_columns=list(declared), strings_can_be_null=True,
            null_values=list(order.nulls),
        ),
    )  # fmt: skip


def _refuse_open_quote(order: Order) -> None:
    """Refuse a file that ends inside a quoted text: it was cut off there, and Arrow takes what it finds for the text.

    Quotes come in pairs, but for one that is a letter of an unquoted text: then the rows are looked at one by one.
    """
    with Path(order.path).open("rb") as file:
        if sum(block.count(b'"') for block in iter(lambda: file.read(BLOCK), b"")) % 2 == 0:
            return
    try:
        with Path(order.path).open(encoding="utf-8", errors="replace", newline="") as text:
            for _ in csv.reader(text, strict=True):
                pass
    except csv.Error as error:
        if "unexpected end" in str(error):
            what, expected = "the file ends inside a quoted text", "a quote that closes it"
            raise Refused(Reason.UNREADABLE, what, expected=expected, found="the end of the file") from error


def _has_hexadecimal(path: str) -> bool:
    """Return whether `0x` occurs anywhere: few files have it, and one look through the bytes is cheap."""
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(b"0x") >= 0 or data.find(b"0X") >= 0


def _refuse_hexadecimal(order: Order, names: Mapping[str, str]) -> None:
    """Refuse a whole number that is written as 0x1F: Arrow reads 31, and nobody who sends numbers means that."""
    whole = {theirs: name for name, theirs in names.items() if order.columns[name] == "int64"}
    for batch in _csv_batches(order, dict.fromkeys(whole, pa.string())) if whole else ():
        for theirs, name in whole.items():
            found = batch.column(theirs).filter(pc.match_substring_regex(batch.column(theirs), r"^\s*[+-]?0[xX]"))
            if len(found):
                said = quoted(order, found[0].as_py()[:40])
                what, expected = "a value is none of the column's type", "int64, in decimal digits"
                raise Refused(Reason.VALUE, what, column=name, expected=expected, found=said)


def read_json(order: Order) -> Iterator[pa.RecordBatch]:
    """Yield the rows of JSON lines in the contract's columns; a key that no row has is a missing column.

    Each row may use a column's old or its new name: a sender renames a column between two rows, not between two files.
    """
    # A first object may leave out what it has no value for: what no row has is known at the end.
    chosen = choose(replace(order, dropped="nulls", nullable=tuple(order.columns)), _keys(order))
    taken = replace(chosen, names={name: name for name in order.columns})
    empty = set(order.columns)
    try:
        for batch in _json_batches(order):
            rows = _renamed(order, _with_times(order, batch))
            empty -= {name for name in empty if rows.column(name).null_count < rows.num_rows}
            yield conform(order, rows, taken)
    except pa.ArrowInvalid as error:
        raise _json_value(str(error), order) or error from error
    optional = order.nullable if order.dropped == "nulls" else ()
    if lacking := [name for name in order.columns if name in empty and name in chosen.dropped and name not in optional]:
        kind = order.columns[lacking[0]]
        raise Refused(Reason.COLUMN_MISSING, "a column is missing", column=lacking[0], expected=kind, found="absent")


def _kinds(order: Order) -> dict[str, str]:
    """Return the contract dtype of each key that an object may have: a column's name, or its former one."""
    former = {old: order.columns[new] for old, new in order.renamed.items() if new in order.columns}
    return {**order.columns, **former}


def _json_batches(order: Order) -> Iterator[pa.RecordBatch]:
    # JSON has no times: Arrow guesses them from text and loses the zone, so text is read as text.
    kinds = {name: pa.string() if kind in QUOTED else ARROW_TYPES[kind] for name, kind in _kinds(order).items()}
    options = pajson.ParseOptions(
        explicit_schema=pa.schema(list(kinds.items())), newlines_in_values=False,
        unexpected_field_behavior="error" if order.added == "stop" else "ignore",
    )  # fmt: skip
    read_options = pajson.ReadOptions(use_threads=False, block_size=BLOCK)
    yield from pajson.open_json(order.path, read_options=read_options, parse_options=options)


def _renamed(order: Order, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch under the contract's names.

    Raises:
        Refused: A row has a column under its old and its new name.
    """
    columns = {name: batch.column(name) for name in order.columns}
    for old, new in order.renamed.items():
        if new in columns:
            if pc.any(pc.and_(columns[new].is_valid(), batch.column(old).is_valid())).as_py():
                raise Refused(Reason.COLUMN_TWICE, "a column comes under its old and its new name", column=new)
            columns[new] = pc.coalesce(columns[new], batch.column(old))
    return pa.record_batch(columns)


def _header(order: Order) -> list[str]:
    """Return the names in a CSV file's first row."""
    rows = csv.reader(io.StringIO(_beginning(order).lstrip("\r\n")))
    try:
        return next(rows, [])
    except csv.Error as error:
        raise Refused(Reason.UNREADABLE, "the header cannot be read", expected="CSV", found=error) from error


def _keys(order: Order) -> list[str]:
    """Return the keys of a file's first object."""
    first = _beginning(order).lstrip().partition("\n")[0]
    if not first:
        raise Refused(Reason.EMPTY_INPUT, "the file has no rows", expected="one JSON object a line", found="nothing")
    try:
        pairs = json.loads(first, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        found = str(error)[:300]
        raise Refused(
            Reason.UNREADABLE, "the file cannot be read", expected="one JSON object a line", found=found
        ) from error
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        found = quoted(order, str(pairs)[:80])
        raise Refused(Reason.UNREADABLE, "the file cannot be read", expected="one JSON object a line", found=found)
    return [name for name, _ in pairs]


def _beginning(order: Order) -> str:
    """Return a file's first block as text.

    Raises:
        Refused: It is no text, or not UTF-8.
    """
    with Path(order.path).open("rb") as file:
        first = file.read(BLOCK).removeprefix(b"\xef\xbb\xbf")
    if first.startswith(PACKED) or b"\0" in first[:1024]:
        found = f"a file that begins with {quoted(order, first[:4])}"
        raise Refused(Reason.UNREADABLE, "the file is no text", expected=f"{order.format} text", found=found)
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(first)  # the block may end within a character
    except UnicodeDecodeError as error:
        raise Refused(Reason.ENCODING, "the text is not UTF-8", expected="UTF-8", found=str(error)[:300]) from error


def _with_times(order: Order, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return a batch whose texts are the times that they say."""
    arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name, kind in _kinds(order).items():
        if kind not in EXAMPLES:
            continue
        try:
            arrays[name] = arrays[name].cast(ARROW_TYPES[kind])
        except pa.ArrowException as error:
            raise Refused(
                Reason.VALUE, "a text is no such time", column=name, expected=EXAMPLES[kind], found=quoted(order, error)
            ) from error
    return pa.record_batch(arrays)


def _csv_value(said: str, header: list[str], order: Order) -> Refused | None:
    """Return what Arrow's message means where it names a column: they are numbered."""
    said = re.sub(r"Row #(\d+)", r"line \1", said)  # the header's is the first
    if "UTF8" in said or "UTF-8" in said:
        return Refused(Reason.ENCODING, "the text is not UTF-8", expected="UTF-8", found=quoted(order, said))
    if found := re.search(r"CSV column #(\d+)", said):
        number = int(found[1])
        column = header[number] if number < len(header) else f"#{number}"
        kind = order.columns.get(order.renamed.get(column, column), "")
        nulls = " or ".join(null or "an empty field" for null in order.nulls)
        such = f", such as {EXAMPLES[kind]}" if kind in EXAMPLES else ""
        return Refused(
            Reason.VALUE, "a value is none of the column's type", column=column,
            expected=f"{kind}{such}; {nulls} if it is missing", found=quoted(order, said),
        )  # fmt: skip
    return None


def _json_value(said: str, order: Order) -> Refused | None:
    """Return what Arrow's message means where it names a column."""
    if "unexpected field" in said:
        shown, known = _first_unknown(order), ", ".join(order.columns)
        return Refused(Reason.COLUMN_ADDED, "a column is not in the contract", column=shown, expected=known)
    shown = quoted(order, said)
    what = "a value is none of the column's type"
    if found := re.search(r"Failed to convert JSON to (\w+)", said):  # Arrow does not say of which column
        return Refused(Reason.VALUE, what, expected=found[1], found=shown)
    found = re.search(r"Column\(/(\w+)", said)
    kind = _kinds(order).get(found[1]) if found else None
    if found is None or kind is None:
        return None
    return Refused(Reason.VALUE, what, column=found[1], expected=EXAMPLES.get(kind, kind), found=shown)


def _first_unknown(order: Order) -> str:
    """Return the first key that the contract does not have, which Arrow does not name."""
    known = _kinds(order)
    with Path(order.path).open("rb") as lines:
        for line in () if order.private else lines:
            with suppress(ValueError):  # blank, or cut short
                if found := [name for name in json.loads(line) if name not in known]:
                    return ascii(found[0])[:SHOWN]
    return HIDDEN
