"""Keys that are somebody's: given in the clear, never printed; and rows that were erased leave sound chains behind."""

import json
from pathlib import Path

import pytest
from tests.incumbent.erase.conftest import (
    MODEL,
    PERSON,
    PLAIN,
    SQL,
    contract_at,
    copied,
    events,
    everyday,
    lived,
    predict,
    seat,
)
from tests.incumbent.provenance.tables import written

from incumbent.cli.prediction import _lines, _plain
from incumbent.config import ModelFolder, load_model
from incumbent.erase import erase
from incumbent.errors import ConfigError, StoreError
from incumbent.provenance.chain import Chain
from incumbent.provenance.rows import key_of_row
from incumbent.provenance.verify import verify
from incumbent.provenance.why import Asked
from incumbent.sensitive import MASK
from incumbent.store import ModelStore, Store
from incumbent.store.salt import NAME as SALT
from incumbent.validate import ingest_or_raise, load_contract

pytestmark = pytest.mark.unit


def asked(store: ModelStore, folder: ModelFolder, drop: Path) -> Asked:
    return Asked(Chain(store, folder.model, drop), predict)


def folder_with(home: Path, **customer: object) -> ModelFolder:
    """Return a model folder whose contract says something of the key column."""
    plain = json.loads(json.dumps(PLAIN))
    for source in ("events", "truth"):
        plain["sources"][source]["columns"]["customer"] |= customer
    folder = home / "models" / "small"
    folder.mkdir(parents=True)
    (folder / "model.yaml").write_text(json.dumps(MODEL.model_dump(mode="json", exclude_defaults=True)))
    (folder / "features.sql").write_bytes(SQL)
    (folder / "contract.yaml").write_text(json.dumps(plain))
    return load_model(folder)


@pytest.mark.parametrize("customer", [{"hashed": True}, {"sensitive": True, "in_features": True}])
def test_a_person_is_found_and_not_printed(customer: dict[str, object], tmp_path: Path) -> None:
    folder, store = folder_with(tmp_path, **customer), Store(tmp_path / "store").model("small")
    drop = tmp_path / "raw"
    for source, key, columns in (
        ("prices", "", {"price": [1, 2, 3]}),
        ("events", "2020-01", events()),
        ("truth", "2020-01", {"customer": events()["customer"], "late": [True] * 24}),
    ):
        file = written(drop / folder.model.sources[source].path.replace("{partition}", key), **columns)
        ingest_or_raise(store, folder.model, folder.contract_path, source, key, file)
    seat(store, store.objects.put(SQL))
    everyday(store, "2020-01")
    contract = load_contract(folder.contract_path)
    key = key_of_row(store, folder.model, contract, [f"customer={PERSON}"])
    assert (PERSON in key.values.values()) == ("sensitive" in customer)
    (why,) = asked(store, folder, drop).now(key)
    assert (why.key, why.says, why.difference) == ({"customer": MASK}, {"prediction": 0.003}, 0.0)
    assert why.start == "raw file"
    told = json.dumps(_plain(why), default=str) + "\n".join(_lines(why))
    assert PERSON not in told and key.values["customer"] not in told
    with pytest.raises(ConfigError) as refused:
        key_of_row(store, folder.model, contract, [f"customers={PERSON}"])
    assert PERSON not in str(refused.value)
    if "hashed" in customer:
        store.blobs.remove(SALT)
        with pytest.raises(StoreError, match="the salt of the store is gone"):
            key_of_row(store, folder.model, contract, [f"customer={PERSON}"])
        assert not store.blobs.has(SALT), "a new one would part the keys from theirs"


def test_an_erasure_breaks_no_chain(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)
    store = lived(Store(tmp_path / "store").model("small"), tmp_path)
    before = verify(asked(store, folder, tmp_path), 1000)
    assert (before.broken, before.rows, before.not_again) == ({}, 3 * 24 - 2, 0)
    key = key_of_row(store, folder.model, load_contract(folder.contract_path), [f"customer={PERSON}"])
    erase(store, folder.model, contract_at(tmp_path), [f"customer={PERSON}"], "asked to")
    again = asked(copied(store, Store(tmp_path / "again")), folder, tmp_path)
    after = verify(again, 1000)
    assert (after.broken, after.rows, after.largest, after.not_again) == ({}, 23 + 22, 0.0, 0)
    assert again.now(key) == []
    # Of February's first delivery; in the second the row was set aside.
    (gone,) = again.past(key, "2020-02")
    assert (gone.stood.table, gone.says, gone.broken) == ("predictions", {}, [])
    assert "taken away by erasure" in gone.links[0].found
