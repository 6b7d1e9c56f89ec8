"""A past version is fitted again from its record alone, and what keeps it from being the same is named."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.serialization.serialized_objects import DagSerialization
from lived import lived, opened
from months import CONTRACT
from small_training import REQUEST, class_model, small_model, small_settings, small_store
from tests.docs_example import EXAMPLE

from incumbent.cli.main import FINE, VERDICT_NO, main
from incumbent.config import Model
from incumbent.erase import erase
from incumbent.errors import StoreError
from incumbent.functions import Functions
from incumbent.provenance.rebuild import ASSUMED, DIFFERS, IMPOSSIBLE, SAME_FILE, SAME_PREDICTIONS, drawn, rebuild
from incumbent.records import ModelVersion, Rebuild, Snapshot
from incumbent.store import ModelStore
from incumbent.store.check import check_model
from incumbent.train.candidates import PINS
from incumbent.train.stage import train_candidate
from incumbent_airflow.dags.rebuild import rebuild_dag
from incumbent_airflow.rebuilding import rebuild_generation

pytestmark = pytest.mark.unit
OWN = """
import numpy as np
METRIC_LARGER_IS_BETTER = False

def metric(labels, predictions, weights):
    return float(np.mean(np.abs(np.asarray(labels) - np.asarray(predictions))))

def split(rows):
    return np.asarray(rows["row"]) % 5 == 0
"""
TODAY = small_model(rounds=3, params={"max_depth": 1})  # nothing of it is to be asked
SAMPLED = {"rounds": 12, "params": {"max_depth": 3, "subsample": 0.7}}
EACH: dict[str, Model] = {
    "xgboost": small_model(**SAMPLED, weight="1 + (x > 0)::INT", balance=True),
    "stopping": small_model(**SAMPLED, early_stopping=3, validation_days=4),
    "threads": small_model(**SAMPLED, cpus_per_worker=3),
    "classes": class_model(**SAMPLED),
    "model.py": small_model(**SAMPLED, early_stopping=3).with_functions(Functions.of(OWN)),
    "search": small_model(rounds=12, search={"trials": 3, "patience": 3}),
    "lightgbm": small_model(rounds=12, estimator="lightgbm", params={"num_leaves": 7, "feature_fraction": 0.7}),
    "onnx": small_model(
        estimator="onnx", script="train.py", rounds=150, checkpoint_every=25, params={"C": 0.5}
    ).with_script(EXAMPLE),
}


def fitted(home: Path, model: Model) -> tuple[ModelStore, ModelVersion]:
    store, snapshot = small_store(home, states=model.task == "multiclass")
    training = train_candidate(store, model, snapshot, REQUEST, small_settings(home))
    return store, store.records.get(ModelVersion, training.version)


def again(store: ModelStore, version: ModelVersion, home: Path, model: Model = TODAY) -> Rebuild:
    return rebuild(store, model, version, small_settings(home), lambda progress: None)


def altered(store: ModelStore, kind: str, name: str, change: Mapping[str, Any]) -> None:
    plain = {**store.records.get_plain(kind, name), **change}
    store.records.remove(kind, name)
    store.records.put_plain(kind, name, plain)


def everything(store: ModelStore) -> set[str]:
    return set(store.blobs.names())


@pytest.mark.parametrize("name", EACH)
def test_it_is_the_same_file_and_nothing_else_is_written(tmp_path: Path, name: str) -> None:
    store, version = fitted(tmp_path, EACH[name])
    before = everything(store)
    found = again(store, version, tmp_path)
    if name == "onnx":  # sums of a script may come in another order on a busy machine: it promises predictions
        assert (found.verdict in (SAME_FILE, SAME_PREDICTIONS), found.changed) == (True, {})
    else:
        assert (found.verdict, found.rebuilt, found.changed) == (SAME_FILE, version.digest, {})
    (written,) = everything(store) - before
    assert written.startswith(f"records/rebuilds/{version.digest}/")
    assert again(store, version, tmp_path) == found
    assert not [each for each in check_model(store) if "rebuild" in each.where]


@pytest.mark.parametrize("origin", ["warm", "recalibrated", "recent"])
def test_what_goes_on_from_a_version_is_the_same_file(tmp_path: Path, origin: str) -> None:
    model = small_model(rounds=8, params={"max_depth": 2}, warm_rounds=4)
    store, first = fitted(tmp_path, model)
    about = {"recent": {"since": "2020-01-10"}, "warm": {"base": first.digest}}
    about["recalibrated"] = {"base": first.digest, "since": "2020-01-10"}
    snapshot = next(iter(store.records.names("snapshots")))
    store.records.claim(PINS, "candidates-2020-01-r2", {origin: about[origin]})
    pinned = store.records.get(Snapshot, snapshot)
    training = train_candidate(store, model, pinned, "2020-01-r2", small_settings(tmp_path), origin)
    version = store.records.get(ModelVersion, training.version)
    assert version.digest != first.digest
    assert again(store, version, tmp_path).verdict == SAME_FILE


def test_an_altered_file_is_a_broken_promise(tmp_path: Path) -> None:
    store, version = fitted(tmp_path, small_model(**SAMPLED))
    order, rows = (
        store.objects.get(version.order),
        next((tmp_path / "small" / "tables" / "features").rglob("*.parquet")),
    )
    kept = rows.read_bytes()
    rows.write_bytes(kept[:-9] + b"X" + kept[-8:])
    with pytest.raises(StoreError, match="not what it was"):
        again(store, version, tmp_path)
    rows.write_bytes(kept)
    (path,) = (tmp_path / "small" / "objects").rglob(f"*{version.order}*")
    assert path.read_bytes() == order
    path.chmod(0o644)
    path.write_bytes(order.replace(b'"subsample":0.7', b'"subsample":0.8'))
    with pytest.raises(StoreError):
        again(store, version, tmp_path)
    assert not store.records.names(Rebuild.kind)


def test_an_altered_parameter_of_the_record_is_named(tmp_path: Path) -> None:
    store, version = fitted(tmp_path, small_model(**SAMPLED))
    altered(store, ModelVersion.kind, version.digest, {"params": {**version.params, "max_depth": 4}, "train_rows": 1})
    found = again(store, store.records.get(ModelVersion, version.digest), tmp_path)
    assert found.verdict == DIFFERS
    assert found.differs == (
        "parameters: the record says another max_depth than the order that it was fitted by",
        f"training rows: 1 in the record, {version.train_rows} now",
    )


def test_what_comes_out_otherwise_differs_by_what_it_predicts(tmp_path: Path) -> None:
    store, version = fitted(tmp_path, small_model(**SAMPLED))
    order = store.objects.put(store.objects.get(version.order).replace(b'"seed":7', b'"seed":8'))
    altered(store, ModelVersion.kind, version.digest, {"order": order})
    found = again(store, store.records.get(ModelVersion, version.digest), tmp_path)
    assert found.verdict == DIFFERS
    assert found.rows == 7 * 3000 // 31 + 1, "of the gate days alone"
    assert found.largest is not None and found.largest > 1e-4
    assert found.differs == (f"predictions of {found.rows} rows of its gate days differ by up to {found.largest:.3g}",)
    assert [each.to_json() for each in store.records.all(Rebuild)] == [found.to_json()]


def test_other_bytes_do_where_nothing_promises_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from incumbent.estimators import xgboost

    store, version = fitted(tmp_path, small_model(**SAMPLED))
    save = xgboost.save

    def saved(*given: Any) -> bytes:
        booster = xgboost.parse(save(*given))
        booster.set_attr(note="other bytes, the same trees")
        return xgboost.as_ubj(booster)

    monkeypatch.setattr(xgboost, "save", saved)
    found = again(store, version, tmp_path)
    assert (found.verdict, found.largest) == (DIFFERS, 0.0)
    assert found.differs[0].startswith("the model file, which the same code makes byte for byte")
    found = again(store, replace(version, code={**version.code, "xgboost": "1.0"}), tmp_path)
    assert (found.verdict, found.largest, found.differs) == (SAME_PREDICTIONS, 0.0, ())
    assert found.changed == {"xgboost": ("1.0", found.code["xgboost"])}


def test_what_was_erased_or_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, version = fitted(tmp_path, small_model(**SAMPLED))
    contract = tmp_path / "contract.yaml"
    contract.write_text(CONTRACT)
    assert erase(store, small_model(), contract, ["row=17"], "asked for").contents == 2
    monkeypatch.setattr("incumbent.provenance.rebuild._installed", lambda library: "")
    found = again(store, replace(version, params={**version.params, "device": "cuda"}), tmp_path)
    assert found.verdict == IMPOSSIBLE
    told = ["xgboost is not installed", "there is no GPU here, and it was fitted on one"]
    assert list(found.missing[:2]) == told
    gone = [each.split(" (")[0] for each in found.missing[2:]]
    assert gone == ["features of 2020-01", "outcomes of 2020-01"]
    assert all(each.endswith("were taken away by erasure") for each in found.missing[2:])
    assert not store.records.names(Rebuild.kind), "nothing was compared"


def test_what_an_early_record_does_not_say_is_taken_from_the_folder(tmp_path: Path) -> None:
    model = small_model(**SAMPLED, weight="1 + (x > 0)::INT")
    store, version = fitted(tmp_path, model)
    early = replace(version, order="")
    assert again(store, early, tmp_path, small_model(weight="1 + (x > 0)::INT", rounds=99)).verdict == SAME_FILE
    found = again(store, early, tmp_path)
    assert (found.verdict, found.differs[0]) == (DIFFERS, ASSUMED)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("lived")
    lived(home)
    return home


def test_old_generations_are_proven_and_the_version_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = opened(home)
    for name, value in (("HOME", home), ("STORE", runtime.settings.store), ("RAW", home / "raw"), ("MODELS", home)):
        monkeypatch.setenv(f"INCUMBENT_{name}", str(value))
    before = everything(runtime.store)
    for generation in "12":
        assert main(["version", "rebuild", "small", generation]) == FINE
        out, err = capsys.readouterr()
        assert ": same file\n" in out
        assert "round 15 of 15" in err, "how far it is"
    assert all(name.startswith("records/rebuilds/") for name in everything(runtime.store) - before)
    assert main(["version", "why", "small", "2"]) == FINE
    assert ": same file" in capsys.readouterr().out.split("fitted again with code")[1]
    assert main(["version", "rebuild", "small", "1", "--json"]) == FINE
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["verdict"]) == ("incumbent.version_rebuild/1", SAME_FILE)
    monkeypatch.setattr("incumbent.provenance.rebuild._missing", lambda store, version: ["a library"])
    assert main(["version", "rebuild", "small", "1"]) == VERDICT_NO
    assert "missing: a library" in capsys.readouterr().out


def test_a_run_draws_an_old_generation_and_its_retry_the_same(home: Path) -> None:
    store, now = opened(home).store, datetime.now(UTC) + timedelta(minutes=1)
    assert [entry.action for entry in store.ledger()] == ["promote", "promote", "rollback"]
    assert {drawn(store, f"run {number}", now) for number in range(9)} == {2}, "the version of 1 has the seat again"
    second = store.records.written("promotions", "000003")
    assert drawn(store, "run", second) == 1, "as it was when the run was due"
    assert drawn(store, "run", second - timedelta(days=1)) is None


def test_a_run_fails_where_a_version_comes_out_otherwise(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = opened(home)
    assert rebuild_generation(runtime, 2) == ("Generation 2 was fitted again: same file.", True)
    monkeypatch.setattr("incumbent.provenance.rebuild._missing", lambda store, version: ["a library"])
    assert rebuild_generation(runtime, 2) == ("Generation 2 cannot be fitted again: a library.", False)
    monkeypatch.setattr("incumbent.provenance.rebuild.rebuild", lambda *given: Rebuild("v", DIFFERS, differs=("all",)))
    with pytest.raises(StoreError, match="comes out otherwise"):
        rebuild_generation(runtime, 2)


def test_there_is_a_dag_of_it_once_the_folder_says_how_often() -> None:
    plain = small_model().model_dump(mode="json")
    dag = rebuild_dag(Model.model_validate({**plain, "rebuild": {"every_days": 7}}), "default_pool")
    again = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    assert (again.dag_id, [task.task_id for task in again.tasks]) == ("small.rebuild", ["rebuild"])
    assert (again.timetable.summary, again.catchup) == ("7 days, 0:00:00", False)
