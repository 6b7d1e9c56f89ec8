"""What text means in CSV and JSON lines: only nothing is null, and a time is written with its zone."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.incumbent.validate.conftest import admitted_rows, build_contract

from incumbent.admit.order import Order
from incumbent.errors import BatchError
from incumbent.validate.admission import order_of
from incumbent.validate.contract import SourceContract

pytestmark = pytest.mark.unit

TEXT = {"name": {"dtype": "string", "nullable": True}, "day": {"dtype": "date", "nullable": True}}
NOON = '"ts": "2020-01-05T12:00:00Z"'
Read = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def read(tmp_path: Path, contract: Callable[..., SourceContract]) -> Read:
    def build(text: str, ending: str) -> list[dict[str, Any]]:
        (path := tmp_path / f"2020-01.{ending}").write_text(text)
        return admitted_rows(path, contract(TEXT))

    return build


def test_a_word_in_csv_is_no_null(read: Read) -> None:
    words = ["NA", "null", "NaN", "#N/A", "n/a", "-", ""]
    rows = read("row,ts,x,name,day\n" + "".join(f"1,2020-01-05T12:00Z,,{word},\n" for word in words), "csv")
    assert [row["name"] for row in rows] == [*words[:-1], None]
    assert {row["x"] for row in rows} == {row["day"] for row in rows} == {None}


def test_the_contract_says_what_else_is_null(tmp_path: Path, contract: Callable[..., SourceContract]) -> None:
    (path := tmp_path / "2020-01.csv").write_text("row,ts,x,name,day\n1,2020-01-05T12:00Z,NA,NA,-\n")
    lenient = contract(TEXT).model_copy(update={"nulls": ("NA", "-")})
    (row,) = admitted_rows(path, lenient)
    assert (row["x"], row["name"], row["day"]) == (None, None, None)


def test_a_number_in_hexadecimal_is_refused_and_such_a_text_is_not(read: Read) -> None:
    (row,) = read("row,ts,x,name,day\n1,2020-01-05T12:00Z,,0x1F,\n", "csv")
    assert row["name"] == "0x1F"
    with pytest.raises(BatchError, match="none of the column's type") as caught:
        read("row,ts,x,name,day\n0x1F,2020-01-05T12:00Z,,0x1F,\n", "csv")
    assert (caught.value.found, caught.value.where.endswith("column row")) == ("0x1F", True)


def test_a_file_that_ends_inside_a_text_was_cut_off(read: Read) -> None:
    with pytest.raises(BatchError, match="ends inside a quoted text"):
        read('row,ts,x,name,day\n1,2020-01-05T12:00Z,,"a",\n2,2020-01-05T12:00Z,,"cut', "csv")
    inches = read('row,ts,x,name,day\n1,2020-01-05T12:00Z,,5",\n', "csv")
    assert [row["name"] for row in inches] == ['5"']


@pytest.mark.parametrize("width", [1, 31, 40, 94, 200])
def test_an_extension_type_is_seen_whatever_stands_before_the_schema(tmp_path: Path, width: int) -> None:
    """The byte before it is of its length, and looks like the first of the schema itself in some widths."""
    named = pa.field("e", pa.int64(), metadata={"ARROW:extension:name": "x.evil", "ARROW:extension:metadata": ""})
    fields = [*(pa.field(f"c{number}", pa.int64()) for number in range(width)), named]
    columns = [pa.array([1])] * len(fields)
    pq.write_table(pa.Table.from_arrays(columns, schema=pa.schema(fields)), path := tmp_path / "2020-01.parquet")
    with pytest.raises(BatchError, match="an extension type is not accepted"):
        admitted_rows(path, build_contract())


@pytest.mark.parametrize("line", ["NA,2020-01-05T12:00Z,1,a,", "1,2020-01-05T12:00Z,1,a,NA", "1,2020-01-05T12:00,1,a,"])
def test_a_word_in_csv_is_no_number_and_no_time(read: Read, line: str) -> None:
    column = "row" if line.startswith("NA") else "day" if line.endswith("NA") else "ts"
    with pytest.raises(BatchError) as caught:
        read(f"row,ts,x,name,day\n{line}\n", "csv")
    assert caught.value.where.endswith(f"2020-01.csv, column {column}")
    assert "conversion error" in str(caught.value.found)


@pytest.mark.parametrize(
    ("text", "hour"), [("12:00:00Z", 12), ("12:00:00.250Z", 12), ("12:00:00+02:00", 10), ("12:00Z", 12)]
)
def test_json_lines_carry_times_dates_and_text_that_looks_like_them(read: Read, text: str, hour: int) -> None:
    line = f'{{"row": 1, "ts": "2020-01-05T{text}", "x": 2, "name": "2020-01-05", "day": "2020-01-05"}}\n'
    (row,) = read(line, "jsonl")
    moment = datetime(2020, 1, 5, hour, microsecond=250_000 if "." in text else 0, tzinfo=UTC)
    assert row == {"row": 1, "ts": moment, "x": 2.0, "name": "2020-01-05", "day": date(2020, 1, 5)}


@pytest.mark.parametrize("value", ['"2020-01-05T12:00:00"', '"yesterday"', "1578225600"])
def test_a_time_in_json_lines_without_a_zone_is_refused(read: Read, value: str) -> None:
    with pytest.raises(BatchError) as caught:
        read(f'{{"row": 1, "ts": {value}, "x": 2, "name": "a", "day": null}}\n', "jsonl")
    assert caught.value.where.endswith("2020-01.jsonl, column ts")
    assert "zone" in str(caught.value.expected) or "string to number" in str(caught.value.found)


def test_a_text_column_that_json_lines_lack_is_missing_and_not_null(read: Read) -> None:
    with pytest.raises(BatchError, match="a column is missing") as caught:
        read(f'{{"row": 1, {NOON}, "x": 2, "day": null}}\n', "jsonl")
    assert caught.value.where.endswith("column name")
    (row,) = read(f'{{"row": 1, {NOON}, "x": 2, "name": null, "day": null}}\n', "jsonl")
    assert row["name"] is row["day"] is None


def renamed(added: str = "drop") -> SourceContract:
    evolution = {"renamed": {"price": "amount", "seen": "day"}, "added": added}
    columns = {"amount": {"dtype": "float64", "nullable": True}, "day": {"dtype": "date", "nullable": True}}
    return build_contract(columns, evolution=evolution)


def objects(folder: Path, *pairs: str) -> Path:
    lines = "".join(f'{{"row": {row}, {NOON}, "x": 2, {said}}}\n' for row, said in enumerate(pairs))
    (path := folder / "2020-01.jsonl").write_text(lines)
    return path


def test_json_lines_may_change_a_columns_name_between_two_rows(tmp_path: Path) -> None:
    path = objects(tmp_path, '"price": 1, "seen": "2020-01-05"', '"amount": 2, "day": "2020-01-06"', '"price": 3')
    rows = admitted_rows(path, renamed("stop"))
    assert [row["amount"] for row in rows] == [1.0, 2.0, 3.0]
    assert [row["day"] for row in rows] == [date(2020, 1, 5), date(2020, 1, 6), None]


def test_a_row_with_a_column_under_both_its_names_is_refused(tmp_path: Path) -> None:
    path = objects(tmp_path, '"amount": 1, "day": null', '"amount": 1, "price": 2')
    with pytest.raises(BatchError, match="under its old and its new name") as caught:
        admitted_rows(path, renamed())
    assert caught.value.where.endswith("column amount")


def test_a_key_that_json_lines_add_later_is_an_added_column(tmp_path: Path) -> None:
    path = objects(tmp_path, '"amount": 1, "day": null', '"amount": 1, "colour": {"deep": 1}')
    assert len(admitted_rows(path, renamed())) == 2
    with pytest.raises(BatchError, match="not in the contract") as caught:
        admitted_rows(path, renamed("stop"))
    assert (caught.value.reason, caught.value.where.endswith("column 'colour'")) == ("COLUMN_ADDED", True)


def test_a_small_file_may_take_less_memory_than_a_large_one(tmp_path: Path) -> None:
    memory = []
    for size in (20_000, 2**20):
        (path := tmp_path / f"{size}.csv").write_bytes(b"x" * size)
        memory.append(order_of(path, build_contract()).memory)
    assert (memory[0] < 2**28, memory[1]) == (True, Order.memory)
