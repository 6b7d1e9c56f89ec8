"""An erased key is nowhere in the store any more, and nothing else has changed by it."""

import json
import shutil
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.incumbent.erase.conftest import (
    MODEL,
    PERSON,
    PLAIN,
    ROWS,
    blobs_with,
    deliver,
    events,
    everyday,
    parts,
    verdict_names,
)

from incumbent.erase import erase
from incumbent.errors import ConfigError, StoreError
from incumbent.features.rows import labelled_rows
from incumbent.records import Ingest, ModelVersion, Part, Snapshot
from incumbent.score import score
from incumbent.snapshot.show import files, find
from incumbent.store import ModelStore, Store
from incumbent.store.check import check_model
from incumbent.store.erasures import Erasure
from incumbent.store.removals import kept
from incumbent.store.salt import pseudonym
from incumbent.store.vacuum import vacuum
from incumbent.validate import ingest
from incumbent.validate.arrivals import new_deliveries
from incumbent.validate.contract import Contract, source_contract
from incumbent.verdict_names import VERDICTS

pytestmark = pytest.mark.unit
KEY = [f"customer={PERSON}"]


def test_no_byte_of_the_key_remains_and_every_promise_holds(anywhere: ModelStore, contract_path: Path) -> None:
    assert check_model(anywhere) == []
    assert len(blobs_with(anywhere, PERSON)) > 8
    aside = anywhere.quarantine("events").parts()["2020-02"].rows
    trial = erase(anywhere, MODEL, contract_path, KEY, "asked to", is_trial=True)
    assert check_model(anywhere) == [] and not anywhere.records.names("removals")
    done = erase(anywhere, MODEL, contract_path, KEY, "asked to")
    assert blobs_with(anywhere, PERSON) == []
    assert check_model(anywhere) == []
    assert (trial.rows, trial.files) == (done.rows, done.files)
    assert anywhere.batches("events").parts()["2020-01"].rows == ROWS - 1
    assert (aside, anywhere.quarantine("events").parts()["2020-02"].rows) == (2, 1)
    assert anywhere.records.get_plain(Erasure.kind, f"{done.id}/open")["columns"] == ["customer"]


def test_a_row_that_could_not_be_scored_is_erased_too(store: ModelStore, contract_path: Path) -> None:
    def failing(version: ModelVersion, rows: pa.Table) -> np.ndarray:
        return np.where(np.asarray(rows["customer"]) == PERSON, np.nan, 0.5)

    assert score(store, MODEL, "2020-01", failing, generation=2).changed
    assert store.unscored.read(["2020-01"])["customer"].to_pylist() == [PERSON]
    assert check_model(store) == []
    erase(store, MODEL, contract_path, KEY, "asked to")
    assert blobs_with(store, PERSON) == []
    assert (store.unscored.read(["2020-01"]).num_rows, store.predictions.read(["2020-01"]).num_rows) == (0, ROWS - 1)
    assert check_model(store) == []


def test_a_key_that_is_stored_as_a_pseudonym_is_erased_by_its_value(tmp_path: Path) -> None:
    plain = json.loads(json.dumps(PLAIN))
    for source in ("events", "truth"):
        plain["sources"][source]["columns"]["customer"]["hashed"] = True
    store = Store(tmp_path / "hashed").model("small")
    for month in ("2020-01", "2020-02"):
        pq.write_table(pa.table(events(month)), file := tmp_path / f"{month}.parquet")
        contract = source_contract(Contract.model_validate(plain), MODEL, "events")
        assert ingest(store, MODEL, contract, "events", month, file).rows == ROWS
    told = pseudonym(store.blobs, [PERSON])
    assert len(blobs_with(store, told)) == 2
    (path := tmp_path / "hashed.yaml").write_text(json.dumps(plain))
    assert erase(store, MODEL, path, KEY, "asked to").rows == {"batches/events": 2}
    assert blobs_with(store, PERSON) == []
    assert {part.rows for part in store.batches("events").parts().values()} == {ROWS - 1}
    assert not [name for name in blobs_with(store, told) if name.endswith(".parquet")]
    assert check_model(store) == []


def test_nothing_is_computed_scored_or_ingested_again(
    anywhere: ModelStore, contract_path: Path, tmp_path: Path
) -> None:
    erase(anywhere, MODEL, contract_path, KEY, "asked to")
    before = parts(anywhere)
    assert not everyday(anywhere, "2020-01") and not everyday(anywhere, "2020-02")
    again = deliver(anywhere, tmp_path, "events", "2020-01", **events())
    assert again.rows == ROWS  # the record of the first time
    dropped = tmp_path / "raw" / "events" / "2020-01.parquet"
    dropped.parent.mkdir(parents=True)
    shutil.copy(tmp_path / "events-2020-01.parquet", dropped)
    assert new_deliveries(anywhere, MODEL, contract_path, "events", tmp_path / "raw") == []
    assert parts(anywhere) == before
    assert all(anywhere.records.has(VERDICTS, name) for name in verdict_names(anywhere))
    assert check_model(anywhere) == []


def test_the_same_rows_in_another_file_are_left_out(store: ModelStore, contract_path: Path, tmp_path: Path) -> None:
    erase(store, MODEL, contract_path, KEY, "asked to")
    again = deliver(store, tmp_path, "events", "2020-04", **{**events("2020-04"), "y": [1] * ROWS})
    assert (again.verdict, again.rows, again.failures["erased"]) == ("accepted", ROWS - 1, 1)
    stopped = deliver(store, tmp_path, "events", "2020-05", **{**events("2020-05"), "x": np.full(ROWS, 1001.0)})
    assert stopped.verdict == "stopped"
    assert blobs_with(store, PERSON) == []
    assert check_model(store) == []


def test_a_replaced_file_that_comes_back_is_what_is_left_of_it(
    store: ModelStore, contract_path: Path, tmp_path: Path
) -> None:
    erase(store, MODEL, contract_path, KEY, "asked to")
    for _ in range(2):
        again = deliver(store, tmp_path, "events", "2020-02", **events("2020-02"))
        held = store.batches("events").parts()["2020-02"]
        assert held == kept(store.records, "batches/events", Part("2020-02", again.digest, again.rows))
        assert held.rows == ROWS - 1
        assert check_model(store) == []
    assert blobs_with(store, PERSON) == []


def test_rows_that_were_made_of_erased_ones_go_with_them(store: ModelStore, contract_path: Path) -> None:
    """Features, predictions and outcomes do not say which device it was."""
    erase(store, MODEL, contract_path, ["device=device-03"], "asked to")
    assert blobs_with(store, "device-03") == []
    assert blobs_with(store, PERSON) == []
    assert check_model(store) == []
    assert not everyday(store, "2020-01") and not everyday(store, "2020-02")


def test_retention_keeps_what_is_left_as_long_as_the_whole(store: ModelStore, contract_path: Path) -> None:
    erase(store, MODEL, contract_path, KEY, "asked to")
    assert vacuum(store, 30, datetime.now(UTC) + timedelta(days=2)) == []
    assert vacuum(store, 0, datetime.now(UTC) + timedelta(days=2))
    assert check_model(store) == []
    assert not everyday(store, "2020-01") and not everyday(store, "2020-02")


def test_what_can_no_longer_be_rebuilt_is_said(store: ModelStore, contract_path: Path) -> None:
    (snapshot,) = store.records.all(Snapshot)
    erase(store, MODEL, contract_path, KEY, "asked to")
    assert {file.state for file in files(store, find(store, snapshot.id[:12]))} == {"erasure"}
    with pytest.raises(StoreError, match="missing"):
        labelled_rows(store, MODEL, snapshot)


def test_a_second_erasure_goes_on_from_the_first(store: ModelStore, contract_path: Path) -> None:
    erase(store, MODEL, contract_path, KEY, "asked to")
    erase(store, MODEL, contract_path, ["customer=other-5"], "asked to")
    assert blobs_with(store, "other-5") == []
    assert check_model(store) == []
    assert not everyday(store, "2020-01") and not everyday(store, "2020-02")
    once = parts(store)
    done = asdict(erase(store, MODEL, contract_path, KEY, "asked to"))
    assert (done["rows"], parts(store)) == ({}, once)


def test_the_check_accepts_exactly_what_is_on_record(store: ModelStore, contract_path: Path) -> None:
    erase(store, MODEL, contract_path, KEY, "asked to")
    removals = store.records.names("removals", "erasure/batches/")
    data = store.records.blobs.read(f"removals/{removals[0]}.json")
    store.records.blobs.remove(f"removals/{removals[0]}.json")
    assert "committed data is there" in {violation.promise for violation in check_model(store)}
    store.records.blobs.create(f"removals/{removals[0]}.json", data)
    plain = store.records.get_plain("removals", removals[0])
    store.blobs.create(f"tables/batches/events/partition={plain['partition']}/{plain['digest']}.parquet", b"back")
    assert "what was erased is gone" in {violation.promise for violation in check_model(store)}


@pytest.mark.parametrize("key", [["x=1.0"], ["customer"], ["customer=a", "customer=b"], ["price=one"]])
def test_what_is_no_key_is_refused_without_repeating_its_value(
    store: ModelStore, contract_path: Path, key: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        erase(store, MODEL, contract_path, key, "asked to")
    assert "one" not in str(caught.value.found) and not store.records.names(Erasure.kind)
    assert store.records.all(Ingest)
