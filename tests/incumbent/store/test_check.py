"""`store check` finds each kind of broken promise and says where, and nothing in a sound store.

Long because each kind of damage is one entry of one table, beside the one sound store that all of them spoil.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from incumbent.records import (
    GateReport,
    Ingest,
    ModelVersion,
    Part,
    Promotion,
    RetrainRequest,
    Search,
    Snapshot,
    Training,
    Trial,
    canonical_json,
    digest_of,
)
from incumbent.store import ModelStore, Store
from incumbent.store.check import check

pytestmark = pytest.mark.unit
GONE = "f" * 64
REQUEST = "2013-01-r1"
KEYS = pa.table({"key": [1, 2]})
DEFINITION = b"SELECT 1"
FEATURES = f"features/{digest_of(DEFINITION)[:16]}"
STOPPED = b"a,b"
Damage = Callable[[ModelStore], str]


def accept(store: ModelStore, role: str, source: str, partition: str, rows: pa.Table, aside: int = 0) -> Part:
    """Commit rows as a delivery's accepted ones, and so many set aside, with the record of it."""
    part = store.source(role, source).replace(partition or "once", rows).part
    raw = digest_of(part.digest)
    store.quarantine(source).replace(
        partition or "once", pa.table({"raw_digest": pa.array([raw] * aside, pa.string())})
    )
    record = Ingest(source, partition, raw, "2" * 64, "accepted", part.rows, aside, part.digest)
    store.records.put(f"{source}/{partition or 'once'}/{part.digest[:16]}-2", record)
    return part


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """A small sound store: one request from its deliveries to the verdict on what its champion predicted."""
    model = Store(tmp_path).model("m")
    records = model.records
    digest, definition, profile = (model.objects.put(data) for data in (b"model", DEFINITION, b"{}"))
    accept(model, "context", "planes", "", KEYS)
    batches = [accept(model, "batch", "flights", key, KEYS, aside=3) for key in ("2013-01", "2013-02")]
    raw = model.objects.put(STOPPED)
    records.put(f"delays/2013-02/{raw[:16]}-2", Ingest("delays", "2013-02", raw, "2" * 64, "stopped", 0, 5))
    features = [model.features(definition).replace(key, KEYS).part for key in ("2013-01", "2013-02")]
    for batch, part in zip(batches, features, strict=True):
        built = {"batch": batch.digest, "features": part.digest, "profile": profile, "inputs": "3" * 64}
        records.put_plain("profiles", f"{definition[:16]}/{part.partition}-{'3' * 16}", built)
    outcome = accept(model, "outcomes", "delays", "2013-01", pa.table({"key": [1, 2], "y": [0, 1]}))
    records.put(f"{REQUEST}/open", RetrainRequest(REQUEST, "2013-01", "cold_start", {}, False, "first"))
    records.put_plain("requests", f"{REQUEST}/claim-001", {"attempt": 1, "owner": "me", "lease_until": "2013-02-01"})
    trained_on, scored = (asdict(features[0]),), features[1]
    days = ("2013-01-23", "2013-01-24", "2013-02-01")
    snapshot = Snapshot("m", "2013-01", definition, trained_on, (asdict(outcome),), {}, {}, *days)
    records.put(snapshot.id, snapshot)
    records.put_plain("pins", f"train-{REQUEST}", {"snapshot": snapshot.id, "request": REQUEST})
    version = ModelVersion(
        digest, "m", "xgboost", "binary", definition, snapshot.id, ("a",), {}, {}, 1, 2, "2013-01-23", {"a": 1.0}
    )
    records.put(digest, version)
    trial = Trial(0, "sampler", {"max_depth": 3}, "complete", 1, 1, "logloss", False, {"quality": 0.5}, 0.1)
    tried = {name: getattr(trial, name) for name in ("number", "params", "rounds", "values")}
    search = Search(
        "4" * 64, "m", snapshot.id, ("quality",), 0.0, {}, "logloss", False, (tried,), (0,), 0, trial.params, 1
    )
    records.put(f"{search.work}/0000", trial)
    records.put(search.id, search)
    records.put_plain("pins", f"search-{REQUEST}", {"request": REQUEST, "generation": 0})
    training = Training(REQUEST, snapshot.id, digest, "process", 1, "cpu", 1, 0, None, True, search.id)
    records.put(REQUEST, training)
    gate = GateReport("m", "2013-01", digest, "", 0, snapshot.id, REQUEST, "promote", (), "Promoted.")
    records.put(gate.id, gate)
    records.put_plain("pins", f"gate-{REQUEST}", {"gate_report": gate.id, "candidate": digest})
    records.put("000001", Promotion(1, digest, 0, gate.id, "promote", "cold start", REQUEST, "2013-01"))
    records.put_plain("requests", f"{REQUEST}/done", {"verdict": "promote", "generation": 1, "version": digest})
    records.put_plain("pins", "score-2013-02-x", {"generation": 1})
    made = {"generation": 1, "version": digest, "definition": definition}
    made |= {"features_digest": scored.digest, "batch_digest": batches[1].digest, "variant": "champion"}
    model.predictions.replace("2013-02", pa.Table.from_pylist([{"key": key, **made} for key in (1, 2)]))
    verdict = {"partition": "2013-02", "generation": 1, "version": digest}
    records.put_plain("verdicts", "2013-02/drift-x", verdict)
    records.put_plain("references", digest, {"profiles": [profile]})
    records.put_plain("baselines", gate.id, {"value": 0.7})
    records.put_plain("decisions", "2013-02/x", {"whatever": None})
    records.put_plain("pins", "decision-2013-01-x", {"decision": "2013-02/x", "request": REQUEST})
    records.put_plain("pins", "decision-2013-02-x", {"decision": "2013-02/x", "request": ""})
    records.put_plain("pins", "rollback-x", {"generation": 1})
    return model


def predicted(store: ModelStore, **columns: Any) -> pa.Table:
    """Return the predictions that stand, with some columns changed."""
    held = store.predictions.read(["2013-02"]).drop_columns(["partition"])
    return pa.Table.from_pylist([{**row, **columns} for row in held.to_pylist()], held.schema)


def found(store: ModelStore) -> list[tuple[str, str]]:
    return [(violation.promise, violation.where) for violation in check(Store(store.work.parent))]


def test_sound_store_has_no_violation(store: ModelStore) -> None:
    assert check(Store(store.work.parent)) == []


def test_empty_root_has_no_violation(tmp_path: Path) -> None:
    assert check(Store(tmp_path / "nothing")) == []


def test_replaced_content_is_kept_and_may_be_named(store: ModelStore) -> None:
    accept(store, "outcomes", "delays", "2013-01", pa.table({"key": [1, 2], "y": [1, 1]}))
    accept(store, "batch", "flights", "2013-02", pa.table({"key": [3, 4]}))
    store.features(store.records.all(ModelVersion)[0].definition).replace("2013-01", pa.table({"key": [3]}))
    assert check(Store(store.work.parent)) == []


@pytest.mark.parametrize("sql", [DEFINITION, b"SELECT 2"], ids=["a table", "a new table"])
def test_features_that_are_on_record_and_not_yet_committed_break_no_promise(store: ModelStore, sql: bytes) -> None:
    """A build writes its record between the file and the commit, and several may be killed there together."""
    definition, profile = store.objects.put(sql), store.objects.put(b"{}")
    for key in ("2013-03", "2013-04"):
        batch = accept(store, "batch", "flights", key, KEYS)
        part = store.features(definition).prepare(key, KEYS)
        built = {"batch": batch.digest, "features": part.digest, "profile": profile, "inputs": "3" * 64}
        store.records.put_plain("profiles", f"{definition[:16]}/{key}-{'3' * 16}", built)
    assert check(Store(store.work.parent)) == []


def name_of(store: ModelStore, kind: str) -> str:
    return store.records.names(kind)[-1]


def write(kind: str, data: bytes, name: str = "") -> Damage:
    """Return a damage that writes other bytes over a record: the named one, or the kind's last."""

    def damage(store: ModelStore) -> str:
        record = name or name_of(store, kind)
        path = store.records.blobs.path(store.records.key(kind, record))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return f"{kind}/{record}"

    return damage


def edit(kind: str, name: str = "", **changed: Any) -> Damage:
    """Return a damage that changes fields of a record, still canonical JSON."""

    def damage(store: ModelStore) -> str:
        record = name or name_of(store, kind)
        plain = {**store.records.get_plain(kind, record), **changed}
        return write(kind, canonical_json(plain), record)(store)

    return damage


def edit_part(role: str, **changed: Any) -> Damage:
    """Return a damage that changes what a snapshot, under its right name, says of its data."""

    def damage(store: ModelStore) -> str:
        snapshot = store.records.all(Snapshot)[0]
        other = replace(snapshot, **{role: ({**getattr(snapshot, role)[0], **changed},)})
        store.records.put(other.id, other)
        return f"snapshots/{other.id}, {role}"

    return damage


def remove(kind: str, name: str = "", where: str = "") -> Damage:
    """Return a damage that removes a record; it is missed where another one names it."""

    def damage(store: ModelStore) -> str:
        store.records.blobs.path(store.records.key(kind, name or name_of(store, kind))).unlink()
        return where

    return damage


def remove_table(table: str, where: str) -> Damage:
    def damage(store: ModelStore) -> str:
        shutil.rmtree(store.work / "tables" / table)
        return where

    return damage


def rewrite(**columns: Any) -> Damage:
    """Return a damage that commits other predictions in the place of the sound ones."""

    def damage(store: ModelStore) -> str:
        store.predictions.replace("2013-02", predicted(store, **columns))
        return "predictions, partition 2013-02"

    return damage


def fewer_predictions(store: ModelStore) -> str:
    store.predictions.replace("2013-02", predicted(store).slice(0, 1))
    return "predictions, partition 2013-02"


def no_predictions(store: ModelStore) -> str:
    store.predictions.replace("2013-02", predicted(store).slice(0, 0))
    return "predictions, partition 2013-02"


def two_generations(store: ModelStore) -> str:
    store.predictions.replace("2013-02", pa.concat_tables([predicted(store), predicted(store, generation=9)]))
    return "predictions, partition 2013-02"


def on_file(table: str, act: Callable[[Path], object], where: str) -> Damage:
    def damage(store: ModelStore) -> str:
        act(sorted((store.work / "tables" / table).rglob("*.parquet"))[0])
        return where

    return damage


def on_object(field: str, act: Callable[[Path], object], where: str) -> Damage:
    """Return a damage to an object that the version names."""

    def damage(store: ModelStore) -> str:
        digest = getattr(store.records.all(ModelVersion)[0], field)
        act(store.objects.blobs.path(store.objects.key(digest)))
        return where or digest

    return damage


def no_profile(store: ModelStore) -> str:
    name = name_of(store, "references")
    store.objects.blobs.path(store.objects.key(store.records.get_plain("references", name)["profiles"][0])).unlink()
    return f"references/{name}"


def unlink_stopped(store: ModelStore) -> str:
    store.objects.blobs.path(store.objects.key(digest_of(STOPPED))).unlink()
    return "ingests/delays/2013-02"


def set_aside_elsewhere(store: ModelStore) -> str:
    """Keep the quarantine, of another delivery."""
    name = next(name for name in store.records.names("ingests") if name.startswith("flights/2013-01"))
    return edit("ingests", name, raw_digest=GONE)(store)


def promoted(name: str, **fields: Any) -> Damage:
    """Return a damage that adds to the ledger."""

    def damage(store: ModelStore) -> str:
        first = store.champion()
        assert first is not None
        store.records.put(name, replace(first, **fields))
        return f"promotions/{name}"

    return damage


def unrecorded(store: ModelStore) -> str:
    store.batches("flights").replace("2013-03", KEYS)
    return "batches/flights, partition 2013-03"


def misplaced(store: ModelStore) -> str:
    (store.objects.blobs.folder / "00").mkdir()
    digest = store.records.all(ModelVersion)[0].digest
    store.objects.blobs.path(store.objects.key(digest)).rename(store.objects.blobs.folder / "00" / digest)
    return f"objects/00/{digest}"


def spoilt_log(store: ModelStore) -> str:
    for path in (store.work / "tables" / "predictions" / "_delta_log").glob("*.json"):
        path.write_bytes(b'{"add": 7}')
    return "m/predictions"


THERE, UNCHANGED, NAMED = "committed data is there", "committed data is unchanged", "what a record names is there"
GATED, MADE_BY, ROWS = "nothing is promoted without passed gates", "predictions name the generation", "row counts"
ASIDE, OPENED = "rows that were set aside are there", "a table can be read"
READ, CANONICAL = "a record can be read", "a record is canonical JSON"
PINS = {kind: f"{kind}-{REQUEST}" for kind in ("train", "gate")}
KINDS = ["baselines", "gate_reports", "ingests", "pins", "profiles", "promotions", "references", "requests"]
KINDS += ["searches", "snapshots", "trainings", "trials", "verdicts", "versions"]
FIELDS = [kind for kind in KINDS if kind not in ("baselines", "pins")]  # they need none, or had their own case

DAMAGES: dict[str, tuple[Damage, str]] = {
    "file lost": (on_file("predictions", Path.unlink, "predictions, partition 2013-02"), THERE),
    "file changed": (on_file("predictions", lambda path: path.write_bytes(b"x"), "partition 2013-02"), UNCHANGED),
    "log spoilt": (spoilt_log, OPENED),
    "rows nobody recorded": (unrecorded, "accepted rows are named by the record of their delivery"),
    "object changed": (on_object("digest", lambda path: path.write_bytes(b"y"), ""), "an object's name is its digest"),
    "object misplaced": (misplaced, "an object's name is its digest"),
    # the ledger
    "model file lost": (on_object("digest", Path.unlink, "promotions/000001"), "a champion has its files"),
    "promoted ungated": (promoted("000002", generation=2, previous=1, gate_report=GONE), GATED),
    "gap in the ledger": (promoted("000003", generation=3, previous=1), "generations are 1, 2, 3"),
    # bytes and fields
    "record cut off": (write("snapshots", b"{"), "a record is JSON"),
    "record emptied": (write("pins", b"", "train-x"), "a record is JSON"),
    "record not canonical": (write("decisions", b'{"b": 1}', "x"), CANONICAL),
    "record with NaN": (write("pins", b'{"a":NaN}', "x"), CANONICAL),
    "record not UTF-8": (write("decisions", b'{"a":"\xff"}', "x"), "a record is JSON"),
    "record no object": (write("decisions", b"[1]", "x"), "a record is a JSON object"),
    "record too deep": (write("decisions", b"[" * 100_000, "x"), READ),
    "train pin without fields": (write("pins", b"{}", PINS["train"]), READ),
    "gate pin without fields": (write("pins", b"{}", PINS["gate"]), READ),
    **{
        f"{kind} without fields": (write(kind, b'{"a":1}'), "a ledger entry" if kind == "promotions" else READ)
        for kind in FIELDS
    },
    **{f"{kind} is a list": (write(kind, b"[]"), "a record is a JSON object") for kind in KINDS},
    # deliveries
    "batch table lost": (remove_table("batches", "ingests/flights/2013-02"), THERE),
    "context table lost": (remove_table("context", "ingests/planes/once"), THERE),
    "log of a table lost": (remove_table("outcomes/delays/_delta_log", "ingests/delays/2013-01"), THERE),
    "delivery of other rows": (edit("ingests", digest=GONE), THERE),
    "delivery of more rows": (edit("ingests", rows=9), ROWS),
    "delivery under another name": (edit("ingests", partition="2013-07"), "a record lies under its own name"),
    "stopped file lost": (unlink_stopped, NAMED),
    "quarantine lost": (remove_table("quarantine", "ingests/flights/2013-01"), ASIDE),
    "quarantine of one source lost": (remove_table("quarantine/flights", "ingests/flights/2013-02"), ASIDE),
    "quarantine's log lost": (remove_table("quarantine/flights/_delta_log", "quarantine/flights"), OPENED),
    "quarantine's file lost": (on_file("quarantine/flights", Path.unlink, "ingests/flights/2013-01"), ASIDE),
    "quarantine changed": (on_file("quarantine/flights", lambda path: path.write_bytes(b"x"), "2013-01"), ASIDE),
    "quarantine of another delivery": (set_aside_elsewhere, ASIDE),
    # features
    "profile lost": (edit("profiles", profile=GONE), NAMED),
    "profile of no features": (edit("profiles", features=GONE), THERE),
    "profile of no batch": (edit("profiles", batch=GONE), THERE),
    "log of features lost": (remove_table(f"{FEATURES}/_delta_log", FEATURES), OPENED),
    "log of predictions lost": (remove_table("predictions/_delta_log", "m/predictions"), OPENED),
    "all features lost": (remove_table("features", FEATURES), OPENED),
    "definition of features lost": (on_object("definition", Path.unlink, f"profiles/{FEATURES[9:]}"), NAMED),
    # from a snapshot to its gate report
    "outcome table lost": (remove_table("outcomes", ", outcomes 2013-01"), THERE),
    "feature table lost": (remove_table("features", ", features 2013-01"), THERE),
    "feature file changed": (
        on_file("features", lambda path: path.write_bytes(b"x"), "features 2013-01"),
        UNCHANGED,
    ),
    "snapshot of other features": (edit_part("features", digest=GONE), THERE),
    "snapshot of other outcomes": (edit_part("outcomes", digest="../" * 3), THERE),
    "snapshot of more rows": (edit_part("outcomes", rows=3), ROWS),
    "snapshot renamed": (edit("snapshots", partition="2013-09"), "a snapshot's name is its digest"),
    "definition lost": (on_object("definition", Path.unlink, "snapshots/"), NAMED),
    "definition of a version lost": (on_object("definition", Path.unlink, "versions/"), NAMED),
    "file of a version lost": (on_object("digest", Path.unlink, "versions/"), NAMED),
    "version renamed": (edit("versions", digest=GONE), "a version's name is its file's digest"),
    "version of no snapshot": (edit("versions", snapshot=GONE), NAMED),
    "training of no version": (edit("trainings", version=GONE), NAMED),
    "training of no snapshot": (edit("trainings", snapshot=GONE), NAMED),
    "training of no request": (remove("requests", f"{REQUEST}/open", f"trainings/{REQUEST}"), NAMED),
    "training of no search": (edit("trainings", search=GONE), NAMED),
    "search renamed": (edit("searches", rounds=9), "a search's name is its digest"),
    "search of no snapshot": (edit("searches", snapshot=GONE), NAMED),
    "search of no trial": (remove("trials", where="searches/"), NAMED),
    "search of another choice": (edit("searches", params={}), "a search's choice is one of its trials"),
    "search with a choice that is beaten": (edit("searches", pareto=[]), "a search's choice is one of its trials"),
    "trial renamed": (edit("trials", number=7), "a trial is named by its number"),
    "training renamed": (edit("trainings", request="2013-01-r2"), "a training is named by its request"),
    "gate report renamed": (edit("gate_reports", sentence="other"), "a gate report's name is its digest"),
    "gate of no candidate": (edit("gate_reports", candidate=GONE), NAMED),
    "gate of no champion": (edit("gate_reports", champion=GONE), NAMED),
    "gate of no generation": (edit("gate_reports", champion_generation=7), NAMED),
    "gate of no snapshot": (edit("gate_reports", snapshot=GONE), NAMED),
    "gate of no request": (edit("gate_reports", request="2013-01-r7"), NAMED),
    # requests and pins
    "done and not opened": (remove("requests", f"{REQUEST}/open", f"requests/{REQUEST}/done"), NAMED),
    "claimed and not opened": (remove("requests", f"{REQUEST}/open", f"requests/{REQUEST}/claim-001"), NAMED),
    "request renamed": (edit("requests", f"{REQUEST}/open", id="x"), "a record lies under its own name"),
    "done with no version": (edit("requests", f"{REQUEST}/done", version=GONE), NAMED),
    "done with no generation": (edit("requests", f"{REQUEST}/done", generation=7), NAMED),
    "pin of no snapshot": (edit("pins", PINS["train"], snapshot=GONE), NAMED),
    "pin of no request": (edit("pins", PINS["train"], request="2013-01-r7"), NAMED),
    "pin of a search's lost request": (edit("pins", f"search-{REQUEST}", request="2013-01-r7"), NAMED),
    "pin of a search's lost champion": (edit("pins", f"search-{REQUEST}", generation=7), NAMED),
    "pin of no gate report": (edit("pins", PINS["gate"], gate_report=GONE), NAMED),
    "pin of no candidate": (edit("pins", PINS["gate"], candidate=GONE), NAMED),
    "pin of no generation": (edit("pins", "score-2013-02-x", generation=7), NAMED),
    "pin of no decision": (edit("pins", "decision-2013-02-x", decision="2013-02/y"), NAMED),
    "pin of a decision's lost request": (edit("pins", "decision-2013-01-x", request="2013-01-r7"), NAMED),
    "pin of no rollback": (edit("pins", "rollback-x", generation=7), NAMED),
    "pin of a rollback to nothing": (edit("pins", "rollback-x", generation=0), NAMED),
    # predictions and the verdicts on them
    "fewer predictions": (fewer_predictions, ROWS),
    "no predictions": (no_predictions, MADE_BY),
    "predictions of no generation": (rewrite(generation=9), MADE_BY),
    "predictions of any generation": (rewrite(generation=None), MADE_BY),
    "predictions of two generations": (two_generations, "one generation per predictions partition"),
    "predictions of no version": (rewrite(version=GONE), MADE_BY),
    "predictions of no definition": (rewrite(definition=GONE), MADE_BY),
    "predictions of a challenger that had no rollout": (rewrite(variant="challenger"), MADE_BY),
    "predictions of no features": (rewrite(features_digest=GONE), THERE),
    "predictions of no batch": (rewrite(batch_digest=GONE), THERE),
    "batch of predictions lost": (remove_table("batches", "predictions, partition 2013-02, batch"), THERE),
    "features of predictions lost": (remove_table("features", "predictions, partition 2013-02, features"), THERE),
    "judged predictions lost": (remove_table("predictions", "verdicts/2013-02/drift-x"), THERE),
    "verdict on no version": (edit("verdicts", version=GONE), NAMED),
    "verdict on no generation": (edit("verdicts", generation=7), NAMED),
    "reference of no version": (write("references", b'{"profiles":[]}', GONE), NAMED),
    "reference without a profile": (no_profile, NAMED),
    "candidate of no version": (
        write("pins", canonical_json({"warm": {"base": GONE}, "recent": {"since": "2013-01-05"}}), "candidates-x"),
        NAMED,
    ),
    "candidate of nothing": (write("pins", b'{"warm": 7}', "candidates-x"), ""),
    "other candidate's report lost": (edit("pins", f"gate-{REQUEST}", others=[GONE]), NAMED),
    "baseline of no gate": (write("baselines", b"{}", GONE), NAMED),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_named_where_it_is(store: ModelStore, name: str) -> None:
    damage, promise = DAMAGES[name]
    where = damage(store)
    violations = found(store)
    assert [text for text, at in violations if text.startswith(promise) and where in at], violations


@pytest.mark.parametrize("name", ["stopped file lost", "quarantine's log lost", "log of features lost", "profile lost"])
def test_what_only_one_promise_speaks_of_is_one_violation(store: ModelStore, name: str) -> None:
    DAMAGES[name][0](store)
    assert len(found(store)) == 1


def test_of_an_unknown_kind_only_the_bytes_are_judged(store: ModelStore) -> None:
    for kind, name in (("pins", "inputs/x"), ("pins", "x"), ("holds", "x"), ("news", "x/y")):
        store.records.put_plain(kind, name, {"snapshot": GONE, "generation": 7})
    assert check(Store(store.work.parent)) == []


@pytest.mark.parametrize("value", [None, 7, [7], {"a": 7}, "../.."], ids=json.dumps)
def test_no_value_of_a_field_stops_the_walk(store: ModelStore, value: Any) -> None:
    """Whatever the fields hold, in each record another one, a violation elsewhere is still found."""
    records = {
        (kind, name): store.records.get_plain(kind, name) for kind in KINDS for name in store.records.names(kind)
    }
    write("decisions", b"{", "last")(store)
    for position in range(max(len(plain) for plain in records.values())):
        for (kind, name), plain in records.items():
            field = sorted(plain)[position % len(plain)]
            write(kind, canonical_json({**plain, field: value}), name)(store)
        assert ("a record is JSON", "m/decisions/last") in found(store)
