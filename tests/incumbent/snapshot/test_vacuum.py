"""What retention takes away is what nothing needs: a training set in use is had again to the byte."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.incumbent.erase import conftest as an_everyday
from tests.incumbent.snapshot.conftest import MODEL, built, deliver, now, snapped

from incumbent.features.build import build
from incumbent.features.rows import labelled_rows
from incumbent.records import Ingest, ModelVersion, Part, RetrainRequest, Snapshot
from incumbent.snapshot.take import compose
from incumbent.store import ModelStore
from incumbent.store.check import check_model
from incumbent.store.live import Content, named_by
from incumbent.store.removals import RETENTION, Removal
from incumbent.store.vacuum import file_of, vacuum

pytestmark = pytest.mark.unit
REQUEST = "2020-02-r1"


def tomorrow() -> datetime:
    return datetime.now(UTC) + timedelta(days=2)


def asked(store: ModelStore) -> None:
    store.records.put(f"{REQUEST}/open", RetrainRequest(REQUEST, "2020-02", "manual", {}, False, "why"))


def test_a_training_set_is_rebuilt_after_thirty_commits_a_restatement_and_a_vacuum(anywhere: ModelStore) -> None:
    asked(anywhere)
    deliver(anywhere, "2020-01")
    deliver(anywhere, "2020-02")
    past = snapped(anywhere, "2020-02", REQUEST)
    rows = labelled_rows(anywhere, MODEL, past)
    moment = now()
    for number in range(1, 16):  # restated each time: the month's batch, and the weather that it looks up
        deliver(anywhere, "2020-01", shift=number / 64, weather=1 + number)
    built(anywhere, "2020-01")
    in_three_months = datetime.now(UTC) + timedelta(days=92)
    removed = vacuum(anywhere, 30, in_three_months)
    assert Counter(each.table for each in removed) == {"batches/events": 14, "context/weather": 14}
    again = compose(anywhere, MODEL, past.definition, "2020-02", {}, moment)
    assert again.id == past.id
    assert labelled_rows(anywhere, MODEL, again).equals(rows)
    assert check_model(anywhere) == []


def test_once_nobody_needs_it_it_goes_and_the_store_says_so(store: ModelStore) -> None:
    asked(store)
    deliver(store, "2020-01")
    past = snapped(store, "2020-01", REQUEST)
    deliver(store, "2020-01", shift=0.25)
    built(store, "2020-01")
    store.records.put_plain("requests", f"{REQUEST}/failed", {"message": "it was not to be"})
    assert vacuum(store, 30, tomorrow()) == []
    trial = vacuum(store, 0, tomorrow(), is_trial=True)
    assert [removal.table.split("/")[0] for removal in trial] == ["batches", "features"]
    assert all(store.blobs.has(f"tables/{each.table}/partition=2020-01/{each.digest}.parquet") for each in trial)
    assert vacuum(store, 0, tomorrow()) == trial == store.records.all(Removal)
    assert vacuum(store, 0, tomorrow()) == []
    assert check_model(store) == []
    store.records.blobs.remove(f"removals/{trial[1].name}.json")
    found = [violation.where for violation in check_model(store)]
    assert f"snapshots/{past.id}, features 2020-01" in found


def test_what_a_champion_and_its_predictions_were_made_from_stays(anywhere: ModelStore, tmp_path: Path) -> None:
    store = an_everyday.lived(anywhere, tmp_path)
    (version,) = store.records.all(ModelVersion)
    trained = list(named_by(list(store.tables()), store.records.get(Snapshot, version.snapshot)))
    scored = store.predictions.read(["2020-02"], ["features_digest", "batch_digest"]).slice(0, 1).to_pylist()[0]
    for month in ("2020-01", "2020-02"):
        rows = an_everyday.events(month)
        an_everyday.deliver(store, tmp_path, "events", month, **{**rows, "x": rows["x"] + 0.25})
    an_everyday.everyday(store, "2020-01")
    build(store, an_everyday.MODEL, version.definition, "2020-02")  # and not scored again yet
    assert vacuum(store, 0, tomorrow()), "something was replaced that nothing needs"
    needed = [*trained, Content("batches/events", "2020-02", scored["batch_digest"])]
    needed.append(Content(f"features/{version.definition[:16]}", "2020-02", scored["features_digest"]))
    assert {content.table.split("/")[0] for content in trained} == {"features", "outcomes"}
    replaced = {each for each in needed if store.table(each.table).parts()[each.partition].digest != each.digest}
    assert {content.table.split("/")[0] for content in replaced} == {"features", "batches"}
    assert {content.partition for content in replaced} == {"2020-01", "2020-02"}
    for content in needed:
        assert store.table(content.table).read_parts([Part(content.partition, content.digest, 0)]).num_rows
    assert check_model(store) == []
    taken = Removal(*needed[-1], rows=1, why=RETENTION)
    store.records.put(taken.name, taken)
    assert check_model(store) == [], "it is there"
    store.blobs.remove(file_of(needed[-1]))
    assert ("retention leaves what is needed", f"removals/{taken.name}") in [
        (each.promise, each.where) for each in check_model(store)
    ]


def test_what_comes_back_is_written_again_and_may_go_again(store: ModelStore) -> None:
    for shift in (0.0, 0.25, 0.0, 0.25):
        deliver(store, "2020-01", shift)
        vacuum(store, 0, tomorrow())
        assert check_model(store) == []
    assert [removal.rows for removal in store.records.all(Removal)] == [120, 120]


def test_files_of_killed_processes_go_after_a_day(store: ModelStore) -> None:
    deliver(store, "2020-01")
    table = store.batches("events")
    left = table.prepare("2020-01", table.read(["2020-01"]).drop_columns(["partition"]).slice(1))
    assert vacuum(store, 0, datetime.now(UTC)) == []
    intent = {"source": "events", "partition": "2020-01", "raw_digest": "1" * 64, "digest": left.digest}
    store.intents.put_plain(Ingest.kind, "events/2020-01/x", intent)
    assert vacuum(store, 0, tomorrow()) == []
    store.intents.remove(Ingest.kind, "events/2020-01/x")
    (removal,) = vacuum(store, 0, tomorrow())
    assert Part(removal.partition, removal.digest, removal.rows) == left


def test_a_removed_content_that_is_current_is_a_broken_promise(store: ModelStore) -> None:
    deliver(store, "2020-01")
    part = store.batches("events").parts()["2020-01"]
    removal = Removal("batches/events", "2020-01", part.digest, part.rows, "retention")
    store.records.put(removal.name, removal)
    store.blobs.remove(f"tables/batches/events/partition=2020-01/{part.digest}.parquet")
    assert "batches/events, partition 2020-01" in [violation.where for violation in check_model(store)]
