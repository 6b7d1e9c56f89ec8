"""Records are written once; objects are what their names say."""

from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from incumbent.errors import RecordConflict, StoreError
from incumbent.records import Hold, Promotion, Search, Training, Trial, canonical_json, digest_of
from incumbent.store import ModelStore, Store
from incumbent.store.blobs import Blobs

pytestmark = pytest.mark.unit

PROMOTION = Promotion(1, "v", 0, "g", "promote", "cold start")


@pytest.fixture
def store(blobs: Blobs, tmp_path: Path) -> ModelStore:
    return Store(blobs, tmp_path).model("m")


def test_put_get_and_put_again(store: ModelStore) -> None:
    assert store.records.put("000001", PROMOTION) is True
    assert store.records.put("000001", PROMOTION) is False
    assert store.records.get(Promotion, "000001") == PROMOTION
    assert store.champion() == PROMOTION


def test_other_content_under_a_taken_name_conflicts(store: ModelStore) -> None:
    store.records.put("000001", PROMOTION)
    with pytest.raises(RecordConflict, match="another record holds this name"):
        store.records.put("000001", Promotion(1, "other", 0, "g", "promote", "x"))
    assert store.records.get(Promotion, "000001") == PROMOTION


def test_claim_returns_what_stands(store: ModelStore) -> None:
    assert store.records.claim("pins", "a", {"x": 1}) == {"x": 1}
    assert store.records.claim("pins", "a", {"x": 2}) == {"x": 1}


def test_names_are_sorted_and_filtered(store: ModelStore) -> None:
    for name in ("2013-02/b", "2013-01/a", "2013-02/a"):
        store.records.put_plain("verdicts", name, {})
    assert store.records.names("verdicts", "2013-02/") == ["2013-02/a", "2013-02/b"]
    assert store.records.names("nothing") == []


@pytest.mark.parametrize("name", ["../x", "a/../b", "/abs", "", "a b", "x\x00"])
def test_names_cannot_leave_the_folder(store: ModelStore, name: str) -> None:
    with pytest.raises(StoreError, match="not a record name"):
        store.records.put_plain("pins", name, {})


def put_instead(blobs: Blobs, name: str, data: bytes) -> None:
    """Damage a blob."""
    blobs.remove(name)
    blobs.create(name, data)


def test_missing_and_broken_records_say_which(store: ModelStore) -> None:
    with pytest.raises(StoreError, match="record is missing"):
        store.records.get(Promotion, "000001")
    store.records.put("000001", PROMOTION)
    put_instead(store.records.blobs, store.records.key("promotions", "000001"), b"{")
    with pytest.raises(StoreError, match="record is no JSON"):
        store.records.get(Promotion, "000001")


def race(job: tuple[Path, int]) -> bool:
    root, number = job
    try:
        return Store(root).model("m").records.put_plain("promotions", "000001", {"by": number})
    except RecordConflict:
        return False


def test_of_many_writers_exactly_one_wins(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4) as pool:
        assert sum(pool.map(race, [(tmp_path, number) for number in range(16)])) == 1
    assert list((tmp_path / "m" / "records" / "promotions").glob(".*.tmp")) == []


def test_canonical_json_is_golden() -> None:
    hold = Hold("2013-07", "b" * 4, "d" * 4, ({"column": "distance", "share": 0.05},), "Held: é")
    assert canonical_json(hold.to_json()) == (
        b'{"batch_digest":"bbbb","definition":"dddd","findings":[{"column":"distance","share":0.05}],'
        b'"message":"Held: \xc3\xa9","partition":"2013-07","schema":"incumbent.holds/1"}'
    )
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"x": float("nan")})


def test_a_search_and_its_trials_are_golden() -> None:
    values = {"size": 9.0, "quality": 0.5, "latency": 7.5}
    trial = Trial(3, "sampler", {"max_depth": 4}, "complete", 12, 30, "auc", True, values, 1.5)
    assert canonical_json(trial.to_json()) == (
        b'{"larger_is_better":true,"message":"","metric":"auc","number":3,"origin":"sampler","params":{"max_depth":4},'
        b'"rounds":12,"schema":"incumbent.trials/1","seconds":1.5,"state":"complete","tried":30,'
        b'"values":{"latency":7.5,"quality":0.5,"size":9.0}}'
    )
    assert Trial.from_json(trial.to_json()) == trial
    assert trial.losses(("quality", "latency", "size")) == (-0.5, 7.5, 9.0)
    search = Search(
        "w", "m", "s", ("quality",), 0.002, {}, "auc", True, ({"number": 3},), (3,), 3, {"max_depth": 4}, 12
    )
    assert search.id == "673defa8f34af1e6bbe6f0ff995d510b391fcf8e3bd1a9b027dfbf4c31cb5ac7"


def test_a_training_from_before_there_were_searches_is_one_without() -> None:
    training = Training("r", "s", "v", "process", 1, "cpu", 9, 1, None, True)
    plain = {name: value for name, value in training.to_json().items() if name != "search"}
    assert Training.from_json(plain) == training
    assert training.search == ""


def test_objects_are_verified(store: ModelStore) -> None:
    digest = store.objects.put(b"model")
    assert digest == digest_of(b"model")
    assert store.objects.get(digest) == b"model"
    put_instead(store.objects.blobs, store.objects.key(digest), b"modex")
    with pytest.raises(StoreError, match="other content than its name says"):
        store.objects.get(digest)
    with pytest.raises(StoreError, match="object is missing"):
        store.objects.get("0" * 64)
