"""Whether a file is what a contract says: as an ingest would judge it, and nothing is kept."""

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import incumbent
from incumbent.alone.check import Check, check
from incumbent.errors import PipelineError

pytestmark = pytest.mark.unit
COLUMNS: dict[str, Any] = {
    "id": {"dtype": "int64"},
    "km": {"dtype": "float64", "min": 0, "max": 100, "nullable": True, "max_null_share": 0.5},
    "mail": {"dtype": "string", "pattern": ".+@.+", "sensitive": True},
}
GOOD = pa.table({"id": [1, 2, 3, 4], "km": [1.0, 2.0, 3.0, None], "mail": ["a@b", "c@d", "e@f", "g@h"]})


@pytest.fixture
def contract(tmp_path: Path) -> Any:
    """Return what writes a contract with one source, changed as told."""

    def write(**changed: Any) -> Path:
        path = tmp_path / "contract.yaml"
        path.write_text(yaml.safe_dump({"sources": {"trips": {"key": ["id"], "columns": COLUMNS, **changed}}}))
        return path

    return write


def rules(found: Check) -> dict[str, Any]:
    return {each["rule"]: each["rows"] for each in found.broken}


def test_a_good_table_fits_whatever_it_is_given_as(contract: Any, tmp_path: Path) -> None:
    pq.write_table(GOOD, tmp_path / "trips.parquet")
    (tmp_path / "trips.csv").write_text("id,km,mail\n1,1.0,a@b\n2,,c@d\n")
    for data in (GOOD, GOOD.to_pandas(), tmp_path / "trips.parquet", str(tmp_path / "trips.csv")):
        found = check(data, contract())
        assert (found.verdict, found.passed, found.broken) == ("fits the contract", True, ())
    assert incumbent.check(GOOD, contract()).sentence == f"fits the contract: 4 rows, {found.rules} rules"


def test_each_broken_rule_is_said_with_rows_and_values(contract: Any) -> None:
    bad = pa.table(
        {"id": [1, 2, 2, 4, 5], "km": [1.0, -5.0, 3.0, 400.0, 5.0], "mail": ["a@b", "x", "e@f", "g@h", "i@j"]}
    )
    found = check(bad, contract())
    assert not found.passed
    assert rules(found) == {"km.range": 2, "mail.pattern": 1, "key.unique": 2}
    examples = {each["rule"]: each["examples"] for each in found.broken}
    assert examples["km.range"] == ({"row": 2, "value": "km = -5.0"}, {"row": 4, "value": "km = 400.0"})
    assert examples["key.unique"] == ({"row": 2, "value": "id = 2"}, {"row": 3, "value": "id = 2"})
    assert examples["mail.pattern"] == ({"row": 2, "value": "mail = ***"},)
    assert (found.aside, found.stopped) == (3, True)
    assert "3 of" in found.sentence and "3 rows would be set aside" in found.sentence


def test_few_bad_rows_would_be_set_aside_and_are_a_no_all_the_same(contract: Any) -> None:
    rows = pa.table({"id": range(100), "km": [500.0] + [1.0] * 99, "mail": ["a@b"] * 100})
    found = check(rows, contract())
    assert (found.passed, found.aside, found.stopped) == (False, 1, False)


def test_a_warning_is_said_and_is_no_no(contract: Any) -> None:
    rows = pa.table({"id": range(3), "km": [500.0, 1.0, 2.0], "mail": ["a@b"] * 3})
    found = check(rows, contract(severity={"km.range": "warn"}))
    assert (found.passed, rules(found), found.aside) == (True, {"km.range": 1}, 0)


def test_rules_about_the_whole_are_judged(contract: Any) -> None:
    rows = pa.table({"id": range(3), "km": [None, None, 1.0], "mail": ["a@b"] * 3})
    found = check(rows, contract(policy={"min_rows": 10}))
    assert set(rules(found)) == {"km.nulls", "rows"}
    assert found.stopped


def test_a_rule_of_the_contracts_own_sql_shows_the_rows_key(contract: Any) -> None:
    found = check(GOOD, contract(row_rules={"short": "km < 3"}))
    assert found.broken[0]["examples"] == ({"row": 3, "value": "id = 3"},)


def test_a_file_with_other_columns_does_not_fit(contract: Any, tmp_path: Path) -> None:
    pq.write_table(GOOD.drop_columns(["mail"]), tmp_path / "trips.parquet")
    found = check(tmp_path / "trips.parquet", contract())
    assert (found.passed, found.stopped, rules(found)) == (False, True, {"COLUMN_MISSING": None})
    assert "mail" in found.sentence
    in_memory = check(GOOD.drop_columns(["mail"]), contract())
    assert in_memory.broken[0]["where"] == "the table, column mail", "and no name of a file that nobody has"


def test_a_file_that_is_none_does_not_fit(contract: Any, tmp_path: Path) -> None:
    (tmp_path / "trips.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "empty.csv").write_bytes(b"")
    assert rules(check(tmp_path / "trips.parquet", contract())) == {"UNREADABLE": None}
    assert rules(check(tmp_path / "empty.csv", contract())) == {"EMPTY_INPUT": None}


def test_what_a_file_alone_cannot_be_held_against_is_said(contract: Any) -> None:
    learned = {"rows": 2.0, "means": {"km": 4.0}}
    columns = COLUMNS | {"at": {"dtype": "timestamp"}}
    rows = GOOD.append_column("at", pa.array([0] * 4, pa.timestamp("us", "UTC")))
    path = contract(columns=columns, learned=learned, freshness={"column": "at", "max_age_hours": 5})
    found = check(rows.append_column("more", pa.array(range(4))), path)
    assert found.passed
    assert [note.partition(" is")[0] for note in found.notes] == ["1 column", "fresh", "usual.…"]


def test_hashed_keys_are_judged_and_not_shown(contract: Any) -> None:
    columns = COLUMNS | {"id": {"dtype": "int64", "hashed": True}}
    twice = pa.table({"id": [12345, 12345, 3], "km": [1.0] * 3, "mail": ["a@b"] * 3})
    found = check(twice, contract(columns=columns))
    assert rules(found) == {"key.unique": 2}
    assert "12345" not in str(found.to_json())


def test_the_contracts_own_expectations_are_run(contract: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"type": "expect_column_mean_to_be_between", "kwargs": {"column": "km", "max_value": 1.0}}
    path = contract(expectations=[own])
    assert [each["rule"] for each in check(GOOD, path).broken] == ["expect_column_mean_to_be_between km"]
    assert check(GOOD, path, expectations=False).passed
    monkeypatch.setitem(sys.modules, "great_expectations", None)
    with pytest.raises(PipelineError, match="what runs them is not installed"):
        check(GOOD, path)


def test_wrong_usage_is_an_error(contract: Any, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="there is no such file"):
        check(tmp_path / "nothing.parquet", contract())
    with pytest.raises(PipelineError, match="no such source"):
        check(GOOD, contract(), source="rides")
    with pytest.raises(PipelineError):
        check(GOOD, tmp_path / "nothing.yaml")
    two = tmp_path / "two.yaml"
    source = yaml.safe_load(contract().read_text())["sources"]["trips"]
    two.write_text(json.dumps({"sources": {"trips": source, "rides": source}}))
    with pytest.raises(PipelineError, match="several sources"):
        check(GOOD, two)
    assert check(GOOD, two, source="rides").source == "rides"


@pytest.mark.parametrize("added", ["drop", "warn"])
def test_columns_that_the_contract_does_not_name_are_said_and_are_no_verdict(tmp_path: Path, added: str) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(f"sources: {{a: {{key: [id], columns: {{id: {{dtype: int64}}}}, evolution: {{added: {added}}}}}}}")
    found = check(pa.table({"id": [1, 2], "tariff": ["x", "y"], "km": [1, 2]}), path)
    assert (found.passed, found.notes) == (True, ("2 columns are not in the contract and not read: tariff, km",))
    assert check(pa.table({"id": [1, 2]}), path).notes == ()
