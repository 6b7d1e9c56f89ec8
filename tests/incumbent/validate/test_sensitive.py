"""A value in a sensitive column is nowhere that people look; of a hashed key not even the store has it."""

import json
import logging
import os
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.incumbent.validate.conftest import Contract, write_folder

from incumbent.cli import quarantine
from incumbent.cli.main import main
from incumbent.config import Model
from incumbent.errors import PipelineError
from incumbent.records import Ingest
from incumbent.store import ModelStore
from incumbent.validate import ingest
from incumbent.validate.contract import SourceContract
from incumbent.validate.docs import draw_missing

pytestmark = pytest.mark.unit
CANARY = "canary-7f3a91"
MAIL = {"mail": {"dtype": "string", "nullable": True, "sensitive": True, "pattern": ".+@.+"}}
AGE = {"age": {"dtype": "int64", "nullable": True, "sensitive": True}}
HEADER = "row,ts,x,mail,age"
LINE = "{},2020-01-0{}T00:00:00Z,1.5,{},{}"


@pytest.fixture
def personal(contract: Contract) -> Contract:
    def build(**given: Any) -> SourceContract:
        return contract({**MAIL, **AGE}, **given)

    return build


def csv(folder: Path, *lines: str, suffix: str = "csv") -> Path:
    path = folder / f"2020-01.{suffix}"
    path.write_text("\n".join(lines) + "\n")
    return path


def good(number: int, mail: str = "a@b.c", age: object = 40) -> str:
    return LINE.format(number, number, mail, age)


FILES: dict[str, Callable[[Path], Path]] = {
    "some rows set aside": lambda folder: csv(folder, HEADER, *(good(n) for n in range(1, 8)), good(8, CANARY)),
    "stopped for its share": lambda folder: csv(folder, HEADER, good(1, CANARY), good(2, CANARY)),
    "a number that is none": lambda folder: csv(folder, HEADER, good(1, "a@b.c", CANARY)),
    "without a header": lambda folder: csv(folder, f"{CANARY}@x.org,1,1.5", "b@x.org,2,1.5"),
    "a header of one name": lambda folder: csv(folder, CANARY.replace("-", "_"), "1"),
    "a row too long": lambda folder: csv(folder, HEADER, good(1), good(2, f"{CANARY},{CANARY}")),
    "text as Parquet": lambda folder: csv(folder, HEADER, CANARY, suffix="parquet"),
    "no object a line": lambda folder: csv(folder, json.dumps([CANARY]), suffix="jsonl"),
    "JSON of another type": lambda folder: csv(
        folder,
        json.dumps({"row": 1, "ts": "2020-01-01T00:00:00Z", "x": 1.5, "mail": "", "age": CANARY}),
        suffix="jsonl",
    ),
    "a time that is none": lambda folder: csv(
        folder, json.dumps({"row": 1, "ts": CANARY, "x": 1.5, "mail": "", "age": 1}), suffix="jsonl"
    ),
    "Parquet of another type": lambda folder: parquet(folder, age=pa.array([CANARY])),
    "good Parquet": lambda folder: parquet(folder, mail=pa.array([f"{CANARY}@x.org"])),
}


def parquet(folder: Path, **columns: pa.Array) -> Path:
    given = {
        "row": pa.array([1], pa.int64()),
        "ts": pa.array([1577880000000000], pa.timestamp("us", "UTC")),
        "x": pa.array([1.0]),
        "mail": pa.array(["a@b.c"]),
        "age": pa.array([40], pa.int64()),
    }
    path = folder / "2020-01.parquet"
    pq.write_table(pa.table({**given, **columns}), path)
    return path


def judged(store: ModelStore, model: Model, contract: SourceContract, path: Path) -> str:
    """Return all that an ingest says, an error as a log would show it."""
    try:
        found = ingest(store, model, contract, "events", "2020-01", path)
    except PipelineError as error:
        return "".join(traceback.format_exception(error))
    return json.dumps(found.to_json())


def said(store: ModelStore, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> str:
    """Return everything that people can read afterwards: the log, the commands, the pages, records and results."""
    drawn = draw_missing(store, "events", "2020-01")
    log = "\n".join(logging.Formatter().format(record) for record in caplog.records)
    assert main(["quarantine", "list", "small"]) == 0
    if store.quarantine("events").part("2020-01") is not None:
        rows = store.quarantine("events").parts()["2020-01"].rows
        assert main(["quarantine", "show", "small", "events", "2020-01"]) == (0 if rows else 2)
        assert main(["quarantine", "show", "small", "events", "2020-01", "--json"]) == (0 if rows else 2)
    pages = [page.read_text() for page in drawn]
    records = [store.blobs.read(name).decode() for name in store.blobs.names("records")]
    return "\n".join([log, *capsys.readouterr(), *pages, *records, *results(store)])


def results(store: ModelStore) -> list[str]:
    digests = {record.results for record in store.records.all(Ingest)} - {""}
    return [store.objects.get(digest).decode() for digest in digests]


@pytest.mark.parametrize("build", FILES.values(), ids=FILES)
def test_a_sensitive_value_is_nowhere_that_people_look(
    build: Callable[[Path], Path],
    local: ModelStore,
    small: Model,
    personal: Contract,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setitem(os.environ, "INCUMBENT_HOME", str(tmp_path))
    monkeypatch.setitem(os.environ, "INCUMBENT_MODELS", str(tmp_path / "models"))
    write_folder(tmp_path / "models" / "small", small, personal())
    path = build(tmp_path)
    assert CANARY.replace("-", "_") in path.read_bytes().decode(errors="replace").replace("-", "_")
    contract = personal(policy={"max_quarantine_share": 0.5})
    told = judged(local, small, contract, path)
    everything = told + said(local, caplog, capfd)
    assert CANARY not in everything
    assert CANARY.replace("-", "_") not in everything
    assert json.loads(told)["masked"] == ["mail", "age"]


SQL = "unexpected_rows_expectation"
OWN: dict[str, dict[str, Any]] = {
    "expect_column_values_to_be_in_set": {"column": "mail", "value_set": ["a"]},
    "expect_column_most_common_value_to_be_in_set": {"column": "mail", "value_set": ["a"]},
    "expect_column_distinct_values_to_be_in_set": {"column": "mail", "value_set": ["a"]},
    SQL: {"unexpected_rows_query": "SELECT * FROM {batch}"},
}
BROKEN = {SQL: {"unexpected_rows_query": "SELECT * FROM {batch} WHERE CAST(mail AS INTEGER) > 0"}}


@pytest.mark.parametrize("own", [OWN, BROKEN], ids=["judged", "broken"])
def test_an_expectation_of_the_users_own_shows_no_sensitive_value(
    own: dict[str, dict[str, Any]],
    local: ModelStore,
    small: Model,
    personal: Contract,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    path = csv(tmp_path, HEADER, good(1, f"{CANARY}@x.org"))
    expectations = [{"type": kind, "kwargs": kwargs, "severity": "warn"} for kind, kwargs in own.items()]
    told = judged(local, small, personal(expectations=expectations), path)
    pages = "".join([page.read_text() for page in draw_missing(local, "events", "2020-01")] + results(local))
    assert [kind for kind in own if kind not in told] == []
    assert CANARY not in told + pages + caplog.text + "".join(capfd.readouterr())


def test_a_rule_that_breaks_on_a_sensitive_value_does_not_repeat_it(
    local: ModelStore, small: Model, personal: Contract, tmp_path: Path
) -> None:
    path = csv(tmp_path, HEADER, good(1, f"{CANARY}@x.org"))
    told = judged(local, small, personal(row_rules={"odd": "CAST(mail AS INTEGER) > 0"}), path)
    assert "row_rules.odd" in told and "ConversionException, not shown" in told
    assert CANARY not in told


def test_what_is_not_sensitive_is_still_said(
    local: ModelStore, small: Model, contract: Contract, tmp_path: Path
) -> None:
    path = csv(tmp_path, "row,ts,x", f"1,2020-01-01T00:00:00Z,{CANARY}")
    assert CANARY in judged(local, small, contract(), path)


def test_the_store_keeps_rows_that_are_set_aside_so_that_they_can_be_replayed(
    local: ModelStore, small: Model, personal: Contract, tmp_path: Path
) -> None:
    path = csv(tmp_path, HEADER, good(1), good(2), good(3, CANARY))
    assert ingest(local, small, personal(), "events", "2020-01", path).quarantined == 1
    entry = local.quarantine("events").read(["2020-01"]).to_pylist()[0]
    assert (entry["rule"], entry["column"], entry["value"]) == ("mail.pattern", "mail", "***")
    assert json.loads(entry["row"])["mail"] == CANARY
    shown = quarantine._shown(entry, {"mail"})
    assert json.loads(shown["row"]) | {"mail": CANARY} == json.loads(entry["row"])


REFUSED = {
    "a key that features cannot join on": ({"row": {"dtype": "int64", "sensitive": True}}, {}, "kept out of features"),
    "a hashed number with a fraction": ({"x": {"dtype": "float64", "hashed": True}}, {}, "cannot be hashed"),
    "a rule about hashed values": ({"row": {"dtype": "int64", "hashed": True, "max": 9}}, {}, "judges nothing"),
    "a mean that would be written down": (
        {"x": {"dtype": "float64", "sensitive": True}}, {"learned": {"means": {"x": 3}}}, "learned.means names 'x'",
    ),
    "a newest time that would be written down": (
        {"ts": {"dtype": "timestamp", "sensitive": True}}, {"freshness": {"column": "ts", "max_age_hours": 1}},
        "freshness.column names 'ts'",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("columns", "given", "message"), REFUSED.values(), ids=REFUSED)
def test_a_contract_that_would_not_protect_is_refused(
    contract: Contract, columns: dict[str, Any], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        contract(columns, **given)


def test_an_old_record_without_these_fields_reads() -> None:
    found = Ingest("events", "2020-01", "", "", "accepted", 1, 0)
    plain = {key: value for key, value in found.to_json().items() if key not in ("masked", "hashed")}
    assert Ingest.from_json(plain) == replace(found, masked=(), hashed=())
