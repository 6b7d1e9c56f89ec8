"""A hashed column is stored as pseudonyms: of the key itself not even the store has a trace."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.incumbent.validate.conftest import Contract
from tests.incumbent.validate.test_sensitive import CANARY, csv

from incumbent.config import Model
from incumbent.errors import ConfigError, StoreError
from incumbent.store import ModelStore, Store
from incumbent.store.check import check_model
from incumbent.store.salt import pseudonym
from incumbent.validate import ingest
from incumbent.validate.admission import admit, copied
from incumbent.validate.contract import load_contract
from incumbent.validate.delivered import DeliveredRows

pytestmark = pytest.mark.unit


def test_a_hashed_key_is_in_no_blob_of_the_store(
    any_store: Store, small: Model, contract: Contract, tmp_path: Path
) -> None:
    store = any_store.model("small")
    given = contract({"who": {"dtype": "string", "hashed": True}, "k": {"dtype": "int64", "max": 9}}, key=["who"])
    names = [f"{CANARY}-{number}" for number in range(5)]
    lines = [f"{number},2020-01-02T00:00:00Z,1.0,{name},{number * 3}" for number, name in enumerate(names)]
    path = csv(tmp_path, "row,ts,x,who,k", *lines)
    found = ingest(store, small, given, "events", "2020-01", path)
    stopped = ingest(
        store, small, given.model_copy(update={"policy": given.policy.model_copy(update={"min_rows": 9})}),
        "events", "2020-01", path,
    )  # fmt: skip
    assert (found.verdict, found.rows, found.quarantined, list(found.hashed)) == ("accepted", 4, 1, ["who"])
    assert stopped.verdict == "stopped" and stopped.message.endswith("not kept: it holds who in the clear.")
    rows = store.batches("events").read(["2020-01"])
    assert set(rows["who"].to_pylist()) == {pseudonym(store.blobs, [name]) for name in names[:4]}
    aside = store.quarantine("events").read(["2020-01"]).to_pylist()[0]
    assert json.loads(aside["key"]) == {"who": pseudonym(store.blobs, [names[4]])}
    for blob in store.blobs.names():
        data = store.blobs.read(blob)
        if blob.endswith(".parquet"):
            data = repr(pq.read_table(pa.BufferReader(data)).to_pylist()).encode()
        assert CANARY.encode() not in data, blob
    assert list(check_model(store)) == []


def test_a_key_of_numbers_is_hashed_to_text_and_nothing_stays_nothing(
    store: ModelStore, small: Model, contract: Contract, tmp_path: Path
) -> None:
    given = contract({"who": {"dtype": "int64", "hashed": True, "nullable": True}})
    path = csv(tmp_path, "row,ts,x,who", "1,2020-01-02T00:00:00Z,1.0,77", "2,2020-01-02T00:00:00Z,1.0,")
    assert ingest(store, small, given, "events", "2020-01", path).rows == 2
    rows = store.batches("events").read(["2020-01"])
    assert rows["who"].to_pylist() == [pseudonym(store.blobs, [77]), None]


def test_a_lost_salt_is_never_replaced_by_a_new_one(
    local: ModelStore, small: Model, contract: Contract, tmp_path: Path
) -> None:
    given = contract({"who": {"dtype": "string", "hashed": True}})
    line = "{},2020-01-02T00:00:00Z,1.0,ann"
    ingest(local, small, given, "events", "2020-01", csv(tmp_path, "row,ts,x,who", line.format(1)))
    local.blobs.remove("salt")
    assert [each.found for each in check_model(local)] == ["salt is missing, with which who was hashed"]
    with pytest.raises(StoreError, match="the salt of the store is gone"):
        ingest(local, small, given, "events", "2020-01", csv(tmp_path, "row,ts,x,who", line.format(2)))


def test_a_source_that_is_here_already_is_not_hashed_half(
    local: ModelStore, small: Model, contract: Contract, tmp_path: Path
) -> None:
    header, line = "row,ts,x,who", "{},2020-01-02T00:00:00Z,1.0,ann"
    clear = contract({"who": {"dtype": "string"}})
    ingest(local, small, clear, "events", "2020-01", csv(tmp_path, header, line.format(1)))
    with pytest.raises(StoreError, match="hashes other columns"):
        ingest(
            local, small, contract({"who": {"dtype": "string", "hashed": True}}), "events", "2020-01",
            csv(tmp_path, header, line.format(2)),
        )  # fmt: skip


def test_sources_that_share_a_key_all_hash_it_or_none(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    text = """sources:
  orders: {key: [id], columns: {id: {dtype: int64}, customer: {dtype: int64, hashed: true}}}
  people: {key: [customer], columns: {customer: {dtype: int64}}}
"""
    path.write_text(text)
    with pytest.raises(ConfigError, match="in one source and not") as refused:
        load_contract(path)
    assert refused.value.found == "orders int64 hashed, people int64"
    path.write_text(
        text.replace(
            "[customer], columns: {customer: {dtype: int64}}",
            "[customer], columns: {customer: {dtype: int64, hashed: true}}",
        )
    )
    assert load_contract(path).sources["people"].hashed == ("customer",)


def test_each_different_key_is_hashed_once(contract: Contract, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from incumbent.validate import hashing

    asked: list[int] = []
    real = hashing.pseudonyms
    monkeypatch.setattr(hashing, "pseudonyms", lambda secret, values: asked.append(len(values)) or real(secret, values))
    given = contract({"who": {"dtype": "string", "hashed": True}})
    path = csv(tmp_path, "row,ts,x,who", *(f"{n},2020-01-02T00:00:00Z,1.0,name{n % 3}" for n in range(1000)))
    copy, _ = copied(path, tmp_path, 10**9)
    rows = DeliveredRows(tmp_path, given, "events", [])
    admit(path, copy, given, rows, b"secret")
    assert asked == [3]


def test_a_stopped_delivery_says_so_to_who_looks_after_the_feed(
    local: ModelStore, small: Model, contract: Contract, tmp_path: Path
) -> None:
    given = contract({"who": {"dtype": "string", "hashed": True}})
    found = ingest(local, small, given, "events", "2020-01", csv(tmp_path, "row,ts,x", "1,2020-01-02T00:00:00Z,1"))
    assert found.reason == "COLUMN_MISSING" and "is not kept" in found.message
    assert list(local.objects.blobs.names()) == [local.objects.key(found.contract_digest)]
