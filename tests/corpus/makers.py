"""How files of the corpus are made: whole ones, and what may be wrong with them."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from tests.corpus.rows import good

Rng = np.random.Generator
NAMES = [
    "a b", "a\nb", 'a"b', "<script>alert(1)</script>", "{{7*7}}", "naïve", "х", "e\u0301", "\u202ename", "😀", "1st",
    "", " ", "a.b", "a-b", "a\tb", "[x]", "x" * 64, "DROP TABLE batch; --", "a\\b", "$a", "a/b",
    "a\x00b", "`x`",
]  # fmt: skip
PAYLOAD = b"cos\nsystem\n(S'touch canary'\ntR."  # unpickled, it leaves a file in the folder where that was done


def draw(seed: int, name: str, variant: int = 0) -> Rng:
    """Return the generator of one variant of a class."""
    return np.random.default_rng([seed, zlib.crc32(name.encode()), variant])


def parquet(table: pa.Table, **options: Any) -> bytes:
    """Return a table as a Parquet file with page checksums."""
    sink = io.BytesIO()
    pq.write_table(table, sink, write_page_checksum=True, **options)
    return sink.getvalue()


def csv(table: pa.Table) -> bytes:
    """Return a table as CSV, times with their zone."""
    sink = io.BytesIO()
    pacsv.write_csv(table, sink)
    return sink.getvalue()


def json_lines(table: pa.Table) -> bytes:
    """Return a table as one JSON object a line."""
    return b"".join(json.dumps(row, default=_iso, ensure_ascii=False).encode() + b"\n" for row in table.to_pylist())


def _iso(value: Any) -> str:
    return str(value.isoformat()).replace("+00:00", "Z")


WRITERS = {"parquet": parquet, "csv": csv, "jsonl": json_lines}


def pick(rng: Rng, options: list[Any]) -> Any:
    return options[int(rng.integers(len(options)))]


def with_column(name: str, values: Any) -> Callable[[Rng], bytes]:
    """Return a maker of Parquet whose column has other values; they may be made from the rows."""

    def make(rng: Rng) -> bytes:
        table = good(rng)
        made = values(rng, table) if callable(values) else values
        return parquet(table.set_column(table.column_names.index(name), name, made))

    return make


def one_value(ending: str, name: str, texts: list[str]) -> Callable[[Rng], bytes]:
    """Return a maker of text in which one value is another text, as it is written there."""

    def make(rng: Rng) -> bytes:
        table, text = good(rng), pick(rng, texts)
        rows = [{key: value for key, value in row.items()} for row in table.to_pylist()]
        at = int(rng.integers(len(rows)))
        if ending == "csv":
            lines = (
                csv(table.drop_columns(["note"]).append_column("note", pa.array(["x"] * len(rows))))
                .decode()
                .splitlines()
            )
            cells = lines[at + 1].split(",")
            cells[[c.strip('"') for c in lines[0].split(",")].index(name)] = text
            lines[at + 1] = ",".join(cells)
            return "\n".join(lines).encode()
        rows[at][name] = "@@"
        return "".join(json.dumps(row, default=_iso) + "\n" for row in rows).replace('"@@"', text, 1).encode()

    return make


def cut(rng: Rng) -> bytes:
    whole = parquet(good(rng, 500))
    return whole[: int(rng.integers(1, len(whole) - 1))]


def flipped(rng: Rng) -> bytes:
    """Flip one bit of a page's data: behind the first page header of the first column."""
    whole = parquet(
        good(rng, 2000).select(["row", "ts", "x", "kind", "note", "n", "flag", "day"]),
        use_dictionary=False,
        compression="none",
    )
    start = 4 + 500  # magic, and a page header with its statistics
    return flip(whole, int(rng.integers(8 * start, 8 * (start + 8000))))


def flip(whole: bytes, at: int) -> bytes:
    """Return bytes of which one bit is another."""
    broken = bytearray(whole)
    broken[at // 8] ^= 1 << at % 8
    return bytes(broken)


def garbage_footer(rng: Rng) -> bytes:
    whole = bytearray(parquet(good(rng)))
    length = struct.unpack("<I", whole[-8:-4])[0]
    for at in rng.integers(len(whole) - 8 - length, len(whole) - 8, 40):
        whole[int(at)] = int(rng.integers(256))
    return bytes(whole)


def renamed(name: Callable[[Rng, list[str]], tuple[str, str]], ending: str = "parquet") -> Callable[[Rng], bytes]:
    def make(rng: Rng) -> bytes:
        table = good(rng)
        old, new = name(rng, table.column_names)
        return WRITERS[ending](table.rename_columns([new if each == old else each for each in table.column_names]))

    return make


def some_rows(ending: str, least: int, until: int) -> Callable[[Rng], bytes]:
    return lambda rng: WRITERS[ending](good(rng, int(rng.integers(least, until))))


def some_column(rng: Rng, names: list[str]) -> str:
    return str(pick(rng, names))


def with_extra(
    name: Callable[[Rng], str], ending: str = "parquet", rows: pa.Table | None = None
) -> Callable[[Rng], bytes]:
    def make(rng: Rng) -> bytes:
        table = good(rng) if rows is None else rows
        return WRITERS[ending](table.append_column(name(rng), pa.array(range(table.num_rows))))

    return make


def extension(rng: Rng) -> bytes:
    name = pick(rng, ["ray.data.arrow_pickled_object", "arrow.json", "arrow.uuid", "ray.data.arrow_tensor", "mine"])
    metadata = {
        b"ARROW:extension:name": name.encode(),
        b"ARROW:extension:metadata": PAYLOAD,
    }
    table, at = good(rng), int(rng.integers(8))
    fields = [each.with_metadata(metadata) if number == at else each for number, each in enumerate(table.schema)]
    return parquet(table.cast(pa.schema(fields)))


def pickled(rng: Rng) -> bytes:
    """Return Parquet with a column of Ray's pickled objects, each of which runs a command."""
    table = good(rng)
    kind = {"ARROW:extension:name": "ray.data.arrow_pickled_object", "ARROW:extension:metadata": ""}
    objects = pa.array([PAYLOAD] * table.num_rows, pa.binary())
    return parquet(table.set_column(4, pa.field("note", pa.binary(), metadata=kind), objects))


def changed_lines(change: Callable[[Rng, list[str]], list[str]], ending: str = "csv") -> Callable[[Rng], bytes]:
    def make(rng: Rng) -> bytes:
        lines = (
            WRITERS[ending](good(rng).drop_columns(["note"]).append_column("note", pa.array(["x"] * 50)))
            .decode()
            .splitlines()
        )
        return ("\n".join(change(rng, lines)) + "\n").encode()

    return make


def at_one(rng: Rng, lines: list[str], text: Callable[[str], str]) -> list[str]:
    at = int(rng.integers(1, len(lines)))
    return [text(line) if number == at else line for number, line in enumerate(lines)]


def far_times(rng: Rng, table: pa.Table) -> pa.Array:
    year = pick(rng, [1970, 2019, 2021, 9999])
    return pa.array(
        [datetime(year, 6, 1, tzinfo=UTC) + timedelta(seconds=n) for n in range(table.num_rows)],
        pa.timestamp("us", "UTC"),
    )


def zipped(rng: Rng) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("rows.csv", b"0" * int(rng.integers(10**6, 10**7)))
    return sink.getvalue()


def types(column: str, make: Callable[[Rng, pa.Table], pa.Array]) -> Callable[[Rng], bytes]:
    return with_column(column, make)


def text_of(rng: Rng, table: pa.Table) -> pa.Array:
    return table["row"].cast(pa.string())


def constant(value: Any, kind: pa.DataType) -> Callable[[Rng, pa.Table], pa.Array]:
    return lambda rng, table: pa.array([value] * table.num_rows, kind)


def nested(rng: Rng) -> bytes:
    depth = int(rng.integers(5_000, 200_000))
    return b'{"row":' + b"[" * depth + b"]" * depth + b"}\n"


def shuffled(rng: Rng, table: pa.Table) -> pa.Table:
    return table.select([str(name) for name in rng.permutation(table.column_names)])


def wide(rng: Rng) -> bytes:
    return parquet(pa.table({f"c{number}": [1] for number in range(int(rng.integers(2_001, 10_000)))}))


def huge_value(rng: Rng) -> bytes:
    """Return a small file whose one text, said a thousand times, is gigabytes."""
    text = "x" * int(rng.integers(4 * 10**6, 8 * 10**6))
    table = good(rng, 1000)
    said = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1000, np.int32)), pa.array([text], pa.large_string()))
    return parquet(table.set_column(4, "note", said), compression="zstd", store_schema=False)


def latin(rng: Rng) -> bytes:
    """Return CSV whose text is Latin-1."""
    table = good(rng)
    note = pa.array([f"S{'ø' * int(rng.integers(1, 4))}r"] * table.num_rows)
    return csv(table.set_column(4, "note", note)).decode().encode("latin-1")
