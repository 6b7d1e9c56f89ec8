"""One model online: what is published of a key, and the champion's prediction of other rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from small_served import CONTRACT, FIRST, KEY, NEXT, SQL, batch, deliver, folder_in, online, seat, small

from incumbent.config import ModelFolder
from incumbent.estimators import predictor
from incumbent.score import score
from incumbent.serve.keys import Keys
from incumbent.serve.online import Online
from incumbent.serve.refusal import Refusal
from incumbent.store import ModelStore, Store
from incumbent.validate.contract import SourceContract

pytestmark = pytest.mark.unit
ROW = {"shop": "new", "row": 7, "at": "2020-01-09T10:00:00Z", "x": 1.5, "kind": "b"}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelStore, ModelFolder, Online]:
    """A model online for tests that change nothing."""
    store, folder = small(tmp_path_factory.mktemp("kept"))
    return store, folder, online(store, folder)


def asked(served: Online, **request: Any) -> dict[str, Any]:
    parsed = served.parsed(json.dumps(request).encode())
    found = served.from_published(parsed)
    if found is None:
        said = served.seat.taken().answers([served.live_row(parsed)])[0]
        if isinstance(said, Refusal):
            raise said
        return served.from_live(parsed, said)
    return found


def reason(served: Online, **request: Any) -> str:
    with pytest.raises(Refusal) as refusal:
        asked(served, **request)
    return refusal.value.reason


def test_every_published_row_is_found_by_its_key(kept: tuple[ModelStore, ModelFolder, Online]) -> None:
    store, _, served = kept
    part = store.predictions.part(KEY)
    assert part is not None
    for row in store.predictions.read([KEY]).to_pylist():
        found = asked(served, key={"shop": row["shop"], "row": row["row"]})
        assert found.pop("source") == "published"
        assert (found.pop("model"), found.pop("content")) == ("small", part.digest)
        assert found.pop("key") == {"shop": row.pop("shop"), "row": row.pop("row")}
        row.pop("at")
        assert found == row, "what made the row and its partition are told as they are stored"


def test_a_row_that_nobody_scored_is_scored_as_its_batch_would(kept: tuple[ModelStore, ModelFolder, Online]) -> None:
    _, folder, served = kept
    assert served.state()["live"]["features_to_give"] == ["beside"], "a window over the batch is found out"
    assert served.state()["live"]["proven_on"] == KEY
    known = batch().slice(5, 1).drop_columns(["name"]).to_pylist()[0]
    stored = asked(served, key={"shop": known["shop"], "row": known["row"]})
    again = {**known, "shop": "other", "at": known["at"].isoformat()}
    found = asked(served, row=again, features={"beside": 200})
    assert found["source"] == "live"
    assert found["prediction"] == stored["prediction"], "the same features through the same version"
    assert (found["generation"], found["version"]) == (1, stored["version"])
    assert (found["definition"], found["partition"]) == (folder.definition, KEY)
    assert found["missing_context"] == []
    assert found["key"] == {"shop": "other", "row": known["row"]}


def test_rows_that_come_together_do_not_see_each_other(tmp_path: Path) -> None:
    store, folder = small(tmp_path, sql=SQL.replace("count(*) OVER ()", "1"))
    served = online(store, folder)
    assert served.state()["live"]["features_to_give"] == []
    rows = batch().slice(0, 40).drop_columns(["name"]).to_pylist()
    rows = [{**row, "shop": "other", "at": row["at"].isoformat()} for row in rows]
    bad = {**ROW, "kind": "b", "x": 6.0}
    same_key = {**rows[0], "x": -rows[0]["x"]}
    parsed = [served.parsed(json.dumps({"row": row}).encode()) for row in [*rows, bad, same_key, rows[0]]]
    holder = served.seat.taken()
    together = holder.answers([served.live_row(each) for each in parsed])
    alone = [holder.answers([served.live_row(each)])[0] for each in parsed]
    for one, other in zip(together, alone, strict=True):
        assert str(one) == str(other)
    assert isinstance(together[40], Refusal)
    assert "not_both" in str(together[40].found)
    assert together[41] != together[0]
    assert together[42] == together[0]


def test_what_a_request_must_not_say_is_refused_with_its_reason(kept: tuple[ModelStore, ModelFolder, Online]) -> None:
    _, _, served = kept
    given = {"beside": 200}
    assert reason(served, key={"shop": "s", "row": 9999}) == "unknown_key"
    assert reason(served, key={"shop": "s", "row": 0}, partition="2019-12") == "unknown_key"
    assert reason(served, key={"shop": "s", "row": "0"}) == "wrong_request"
    assert reason(served, key={"shop": "s"}) == "wrong_request"
    assert reason(served, row={**ROW, "name": "somebody"}, features=given) == "wrong_request", "it is kept out"
    assert reason(served, row={**ROW, "x": "1.5"}, features=given) == "wrong_request"
    assert reason(served, row={**ROW, "at": "2020-01-09T10:00:00"}, features=given) == "wrong_request", "no zone"
    assert reason(served, row=ROW, key={"shop": "s", "row": 9999}, features=given) == "wrong_request"
    assert reason(served) == "wrong_request"
    assert reason(served, row=ROW) == "features_missing"
    assert reason(served, row=ROW, features={**given, "price": 1.0}) == "features_missing"
    assert reason(served, row={**ROW, "kind": "c"}, features=given) == "row_breaks_contract"
    assert reason(served, row={**ROW, "x": 11.0}, features=given) == "row_breaks_contract"
    late = {**ROW, "at": "2020-02-09T10:00:00Z"}
    assert reason(served, row=late, features=given) == "context_missing"
    assert asked(served, row=late, features=given, missing_context=True)["missing_context"] == ["prices"]
    with pytest.raises(Refusal) as refusal:
        served.parsed(b'{"row": {"x": NaN')
    assert refusal.value.reason == "malformed_json"
    with pytest.raises(Refusal) as refusal:
        served.parsed(b'{"key": {"shop": "secret-value", "row": "secret-value"}}')
    assert "secret-value" not in json.dumps(refusal.value.to_json())


def test_what_is_committed_later_is_answered_from_then_on(tmp_path: Path) -> None:
    store, folder = small(tmp_path)
    served = online(store, folder)
    deliver(store, folder, NEXT)
    score(store, folder.model, NEXT, predictor(store))
    key = {"shop": "s", "row": 0}
    assert asked(served, key=key)["partition"] == KEY
    proof = served.seat.taken().proof
    served.refresh()
    assert (proof.partition, served.seat.taken().proof.partition) == (KEY, NEXT), "proven again over other context"
    assert asked(served, key=key)["partition"] == NEXT, "the newest partition that has it"
    assert asked(served, key=key, partition=KEY)["partition"] == KEY
    assert asked(served, row={**ROW, "at": "2020-02-09T10:00:00Z"}, features={"beside": 1})["missing_context"] == []
    seat(store, folder, 2)
    score(store, folder.model, KEY, predictor(store), generation=2)
    served.refresh()
    assert asked(served, key=key, partition=KEY)["generation"] == 2


def test_an_altered_partition_is_told_and_what_stood_is_answered(tmp_path: Path) -> None:
    store, folder = small(tmp_path)
    served = online(store, folder)
    before = asked(served, key={"shop": "s", "row": 0})
    seat(store, folder, 2)
    score(store, folder.model, KEY, predictor(store), generation=2)
    file = tmp_path / "store/small/tables/predictions" / f"partition={KEY}"
    newest = file / f"{store.predictions.parts()[KEY].digest}.parquet"
    newest.chmod(0o600)
    newest.write_bytes(newest.read_bytes()[:-5] + b"xxxxx")
    served.refresh()
    assert asked(served, key={"shop": "s", "row": 0}) == before
    assert len(served.problems) == 1


def test_a_challenger_changes_the_seat_only_when_it_can_be_read(tmp_path: Path) -> None:
    store, folder = small(tmp_path)
    served = online(store, folder)
    first, holder = asked(served, row=ROW, features={"beside": 200}), served.seat.taken()
    version = seat(store, folder, 2)
    blob = next(path for path in (tmp_path / "store").rglob(f"*{version.digest}*") if "objects" in str(path))
    good = blob.read_bytes()
    blob.chmod(0o600)
    blob.write_bytes(good[:-1] + b"x")
    assert not served.refresh()
    assert served.seat.taken() is holder, "who has the seat keeps it"
    assert [error.what for error in served.problems] == [served.state()["problems"][0]]
    blob.write_bytes(good)
    assert served.refresh()
    assert served.seat.taken().proof is holder.proof, "the same definition over the same context is not proven again"
    second = asked(served, row=ROW, features={"beside": 200})
    assert (first["generation"], second["generation"], served.problems) == (1, 2, [])
    assert second["version"] == version.digest


def test_before_anything_was_trained_it_answers_that(tmp_path: Path) -> None:
    folder, store = folder_in(tmp_path), Store(tmp_path / "store").model("small")
    served = online(store, folder)
    assert served.problems == []
    assert reason(served, key={"shop": "s", "row": 0}) == "unknown_key"
    assert reason(served, row=ROW, features={"beside": 1}) == "no_champion"
    deliver(store, folder)
    seat(store, folder, 1)
    served.refresh()
    assert asked(served, row=ROW, features={"beside": 1})["generation"] == 1, "without a restart"


def test_a_hashed_key_is_given_in_the_clear_and_found_by_its_pseudonym(tmp_path: Path) -> None:
    contract = CONTRACT.replace("shop: {dtype: string}", "shop: {dtype: string, hashed: true}")
    store, folder = small(tmp_path, contract=contract)
    served = online(store, folder)
    assert "s" not in store.predictions.read([KEY])["shop"].to_pylist()
    found = asked(served, key={"shop": "s", "row": 0})
    assert (found["source"], found["key"]) == ("published", {"shop": "s", "row": 0})
    known = batch().slice(0, 1).drop_columns(["name"]).to_pylist()[0]
    live = asked(served, row={**known, "row": 7, "at": known["at"].isoformat()}, features={"beside": 200})
    assert (live["source"], live["prediction"]) == ("live", found["prediction"])


def test_an_altered_champion_at_the_start_is_told(tmp_path: Path) -> None:
    store, folder = small(tmp_path)
    champion = store.champion()
    assert champion is not None
    remove(store, champion.version)
    served = online(store, folder)
    assert reason(served, row=ROW, features={"beside": 1}) == "champion_unreadable"
    assert asked(served, key={"shop": "s", "row": 0})["generation"] == 1


def remove(store: ModelStore, digest: str) -> None:
    for path in Path(store.blobs.url).rglob(f"*{digest}*"):
        if "objects" in str(path):
            path.unlink()


def test_keys_of_any_text_are_told_apart(tmp_path: Path) -> None:
    store, folder = small(tmp_path)
    names = ["p", "q", "at"]
    column = {"p": {"dtype": "string"}, "q": {"dtype": "string"}, "at": {"dtype": "timestamp"}}
    contract = SourceContract.model_validate({"columns": column, "key": names})
    keys = Keys(store, folder.model.model_copy(update={"keys": tuple(names)}), contract)
    values = [("a/1:b", "c"), ("a", "1:b/c"), ("a", "b"), ("", "é/"), ("é/", ""), ("a/", "b")]
    rows = pa.table({"p": [p for p, _ in values], "q": [q for _, q in values]})
    rows = rows.append_column("at", pa.array([FIRST] * len(values), pa.timestamp("us", "UTC")))
    texts = keys.texts(rows.to_batches()[0]).to_pylist()
    assert len(set(texts)) == len(values)
    assert texts == [keys.text(keys.stored(row)) for row in rows.to_pylist()], "asked for by the same text"
