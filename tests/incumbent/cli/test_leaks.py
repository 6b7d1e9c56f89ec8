"""The command: a verdict, a reason for each column, and a next step."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from tests.incumbent.leaks.tables import honest, table

from incumbent.cli.main import main

pytestmark = pytest.mark.unit


@pytest.fixture
def rows() -> pa.Table:
    columns = honest(rows=600)
    noise = np.random.default_rng(3).normal(size=600)
    return table({"id": np.arange(600), **columns, "planted": columns["label"] + 0.3 * noise})


@pytest.fixture
def file(tmp_path: Path, rows: pa.Table) -> Path:
    path = tmp_path / "rows.parquet"
    pq.write_table(rows, path)
    return path


def test_a_leak_is_named_with_reason_and_next_step(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaks", str(file), "--target", "label", "--key", "id"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("leak: planted tells the label (AUC 0.9")
    assert f"\n  where: {file}: planted (test: independent)\n  expected: " in out
    assert "\n  found: " in out
    assert "\n  next: " in out
    assert "1 of 8 columns named (binary; 600 labelled rows)" in out
    assert out.splitlines()[-1].startswith("Next: leave these columns out")


def test_without_the_column_all_is_fine(
    file: Path, tmp_path: Path, rows: pa.Table, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["leaks", str(file), "--target", "label", "--ignore", "planted"]) == 0
    assert "0 of 7 columns named" in capsys.readouterr().out
    as_csv = tmp_path / "rows.csv"
    pacsv.write_csv(rows.drop_columns(["planted"]), as_csv)
    assert main(["leaks", str(as_csv), "--target", "label"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("Next:")


def test_a_target_of_several_texts_is_one_of_several_classes(
    file: Path, rows: pa.Table, capsys: pytest.CaptureFixture[str]
) -> None:
    shops = rows.append_column("other name", pa.array([f"the {shop} shop" for shop in rows["shop"].to_pylist()]))
    pq.write_table(shops, file)
    assert main(["leaks", str(file), "--target", "shop", "--ignore", "planted", "--ignore", "label"]) == 1
    out = capsys.readouterr().out
    assert (
        "leak: other name is the label under another name: each of its 3 values stands for one class in 100.0%" in out
    )
    assert "1 of 7 columns named (multiclass; 600 labelled rows)" in out
    pq.write_table(rows.append_column("code", pa.array([len(shop) for shop in rows["shop"].to_pylist()])), file)
    assert main(["leaks", str(file), "--target", "code", "--task", "multiclass", "--ignore", "shop"]) == 0


def test_json_has_every_number(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["leaks", str(file), "--target", "label", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert [finding["column"] for finding in report["findings"]] == ["planted"]
    assert report["findings"][0]["evidence"]["auc"] > 0.9
    assert (report["task"], report["rows"], report["overlap"]) == ("binary", 600, None)


def test_rows_on_both_sides_are_a_verdict(
    file: Path, tmp_path: Path, rows: pa.Table, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "test.parquet"
    pq.write_table(rows.slice(590), other)
    words = ["leaks", str(file), "--target", "label", "--ignore", "planted", "--key", "id", "--test"]
    assert main([*words, str(other)]) == 1
    assert "overlap: 10 test rows (100.0%) have a key of the first table" in capsys.readouterr().out
    pq.write_table(rows.slice(590).set_column(0, "id", pa.array(np.arange(9000, 9010))), other)
    assert main([*words, str(other)]) == 0


def test_too_few_rows_are_no_clean_bill(tmp_path: Path, rows: pa.Table, capsys: pytest.CaptureFixture[str]) -> None:
    few = tmp_path / "few.parquet"
    pq.write_table(rows.slice(0, 30), few)
    assert main(["leaks", str(few), "--target", "label"]) == 1
    assert "too few rows to say: 30 with a label of the 50 needed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.csv", "--target", "label"], "the table cannot be read"),
        (["rows.xlsx", "--target", "label"], "the table's format is not known"),
        (["rows.parquet", "--target", "lable"], "a column is not in the table"),
        (["rows.parquet", "--target", "label", "--ignore", "plan"], "a column is not in the table"),
        (["rows.parquet", "--target", "label", "--test", "rows.parquet"], "two tables need a key"),
        (["rows.parquet", "--target", "age", "--task", "binary"], "the label does not fit the task"),
    ],
)
def test_wrong_usage_says_what_and_where(
    words: list[str], said: str, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(file.parent)
    assert main(["leaks", *words]) == 2
    error = capsys.readouterr().err
    assert error.startswith(said)
    assert "\n  next: " in error


def test_the_values_of_a_sensitive_key_are_not_printed(
    file: Path, tmp_path: Path, rows: pa.Table, capsys: pytest.CaptureFixture[str]
) -> None:
    other, broken = tmp_path / "test.parquet", tmp_path / "broken.csv"
    pq.write_table(rows.slice(590), other)
    broken.write_text("id,label\n1,2\n591,592,593\n")
    words = ["--target", "label", "--ignore", "planted", "--key", "id", "--sensitive", "id"]
    assert main(["leaks", str(file), *words, "--test", str(other)]) == 1
    assert "found: 10 of 10 keys: ***" in capsys.readouterr().out
    assert main(["leaks", str(broken), "--target", "label", "--sensitive", "id"]) == 2
    assert "593" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the table cannot be read"),
        ("label,age\n", "the table is empty"),
        ("label,age\n1,2\n1,3\n", "all labels are the same"),
        ("label,age\n,2\n,3\n", "no row has a label"),
    ],
)
def test_a_table_of_which_nothing_can_be_asked_is_wrong_usage(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rows.csv").write_text(text)
    assert main(["leaks", str(tmp_path / "rows.csv"), "--target", "label"]) == 2
    assert capsys.readouterr().err.startswith(said)
