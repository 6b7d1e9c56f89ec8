"""The stage: a version and its records come out; killed and resumed, they are the same bytes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_training
from small_training import CLASSES, REQUEST, class_model, small_model, small_settings, small_store
from tests.small_disk import small_disk

from incumbent.embedded import ray_head
from incumbent.errors import StoreError, TrainingError, UnavailableError
from incumbent.estimators import predictor
from incumbent.features.out_of_core import snapshot_files
from incumbent.features.rows import feature_rows, label_rows
from incumbent.records import ModelVersion, Training, digest_of
from incumbent.sensitive import Sensitive
from incumbent.store.check import check_model
from incumbent.train.shared_rows import share, shared
from incumbent.train.stage import train_candidate
from incumbent.train.work import Work

pytestmark = pytest.mark.unit
SAMPLING = {"subsample": 0.6, "colsample_bytree": 0.7}


def train(root: Path, request: str = REQUEST, **settings: Any) -> tuple[Any, Training]:
    store, snapshot = small_store(root)
    return store, train_candidate(store, small_model(**settings), snapshot, request, small_settings(root))


def in_a_process(root: Path, params: dict[str, Any], die_at: int) -> int:
    command = [sys.executable, small_training.__file__, str(root), json.dumps(params), str(die_at)]
    return subprocess.run(command, timeout=120, check=False, capture_output=True).returncode


def test_a_version_comes_out_that_says_what_made_it_and_predicts(tmp_path: Path) -> None:
    store, training = train(tmp_path, params={"max_depth": 3})
    version = store.records.get(ModelVersion, training.version)
    assert (training.launcher, training.rounds, training.checkpoints, training.resumed_from) == ("process", 40, 4, None)
    assert digest_of(store.objects.get(version.digest)) == version.digest
    assert list(version.features) == ["x", "y", "kind"]
    assert version.categories == {"kind": ["a", "b", "c"]}
    assert (version.rounds, version.train_until, version.params["seed"]) == (40, "2020-01-24", 7)
    assert version.train_rows == 2226  # 23 of 31 days of 3000 rows
    assert sum(version.importance.values()) == pytest.approx(1)
    assert store.objects.get(version.definition) == b"SELECT * FROM batch"
    rows = feature_rows(store, version.definition, ["2020-01"])
    labels = np.asarray(label_rows(store, small_model(), ["2020-01"]).sort_by("row")["label"])
    predictions = predictor(store)(version, rows)
    assert predictions[labels == 1].mean() > predictions[labels == 0].mean() + 0.2
    assert check_model(store) == []


def test_the_version_says_which_sensitive_columns_its_features_may_be_made_of(tmp_path: Path) -> None:
    store, snapshot = small_store(tmp_path)
    seen = Sensitive(masked={"events": ("x", "kind")}, kept_out={"events": ("kind",)})
    training = train_candidate(store, small_model().with_sensitive(seen), snapshot, REQUEST, small_settings(tmp_path))
    assert store.records.get(ModelVersion, training.version).sensitive == {"events": ["x"]}


def test_rows_that_have_changed_since_the_snapshot_are_not_trained_on(tmp_path: Path) -> None:
    store, snapshot = small_store(tmp_path)
    (part,) = snapshot.features
    file = tmp_path / "small" / "tables" / "features" / snapshot.definition[:16]
    file = file / f"partition={part['partition']}" / f"{part['digest']}.parquet"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.unlink()
    file.write_bytes(data)
    with pytest.raises(StoreError, match="has changed"):
        train_candidate(store, small_model(), snapshot, REQUEST, small_settings(tmp_path))
    assert store.records.names(ModelVersion.kind) == store.records.names(Training.kind) == []


def test_nothing_is_left_of_a_fit_that_is_done(tmp_path: Path) -> None:
    store, _ = train(tmp_path)
    assert store.blobs.names("checkpoints") == []


def test_called_again_it_returns_what_is_stored_and_fits_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first = train(tmp_path)
    monkeypatch.setattr(Work, "run", lambda *_: pytest.fail("it was fitted again"))
    _, second = train(tmp_path)
    assert second == first


def test_the_same_work_for_another_request_gives_the_same_version(tmp_path: Path) -> None:
    store, first = train(tmp_path)
    _, second = train(tmp_path, request="2020-01-r2")
    assert second.version == first.version
    assert store.records.names(ModelVersion.kind) == [first.version]
    assert store.records.names(Training.kind) == ["2020-01-r1", "2020-01-r2"]


@pytest.mark.parametrize("params", [{"max_depth": 3}, {"max_depth": 3, **SAMPLING}], ids=["plain", "sampled"])
def test_killed_after_a_checkpoint_it_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, params: dict[str, Any]
) -> None:
    _, undisturbed = train(tmp_path / "undisturbed", params=params)
    assert in_a_process(tmp_path / "killed", params, 20) == -signal.SIGKILL
    store, resumed = train(tmp_path / "killed", params=params)
    assert resumed.resumed_from == 20
    assert resumed.checkpoints == 4
    assert resumed.version == undisturbed.version
    assert check_model(store) == []


def test_killed_after_the_last_checkpoint_it_only_stores(tmp_path: Path) -> None:
    _, undisturbed = train(tmp_path / "undisturbed")
    assert in_a_process(tmp_path / "killed", {}, 40) == -signal.SIGKILL
    _, resumed = train(tmp_path / "killed")
    assert (resumed.resumed_from, resumed.version) == (40, undisturbed.version)


def test_a_damaged_checkpoint_costs_rounds_and_nothing_else(tmp_path: Path) -> None:
    _, undisturbed = train(tmp_path / "undisturbed")
    assert in_a_process(tmp_path / "killed", {}, 30) == -signal.SIGKILL
    newest = max((tmp_path / "killed").rglob("*.checkpoint"))
    newest.write_bytes(newest.read_bytes()[:-1])
    _, resumed = train(tmp_path / "killed")
    assert (resumed.resumed_from, resumed.version) == (20, undisturbed.version)


def test_a_full_disk_is_said_with_the_remedy_and_with_room_the_training_goes_on(tmp_path: Path) -> None:
    deep: dict[str, Any] = {"rounds": 400, "params": {"max_depth": 8}}
    _, undisturbed = train(tmp_path / "undisturbed", **deep)
    with small_disk(tmp_path / "disk", 3) as disk:
        with pytest.raises(UnavailableError, match="a checkpoint cannot be written") as caught:
            train(disk, **deep)
        assert caught.value.found == "No space left on device"
        assert "make room" in caught.value.next_step
        subprocess.run(["mount", "-o", "remount,size=40m", str(disk)], check=True)
        _, resumed = train(disk, **deep)
        assert resumed.resumed_from is not None
        assert 0 < resumed.resumed_from < 400
        assert (resumed.version, resumed.exact_resume) == (undisturbed.version, True)


def test_work_is_another_one_with_other_parameters_rounds_seed_or_snapshot(tmp_path: Path) -> None:
    _, snapshot = small_store(tmp_path)
    _, other = small_store(tmp_path / "other", rows=2999)
    works = [
        Work(small_model(), snapshot),
        Work(small_model(params={"max_depth": 2}), snapshot),
        Work(small_model(rounds=41), snapshot),
        Work(small_model(seed=8), snapshot),
        Work(small_model(weight="x * x"), snapshot),
        Work(small_model(balance=True), snapshot),
        Work(small_model(early_stopping=3), snapshot),
        Work(small_model(early_stopping=3, validation_days=3), snapshot),
        Work(small_model(device="cuda"), snapshot),
        Work(small_model(), snapshot, workers=2),
        Work(small_model(search={}), snapshot),
        Work(small_model(search={"trials": 9}), snapshot),
        Work(small_model(search={}, validation_days=3), snapshot),
        Work(small_model(search={}), snapshot, prior={"max_depth": 3}),
        Work(small_model(), other),
        Work(small_model().model_copy(update={"task": "regression"}), snapshot),
    ]
    assert len({work.id for work in works}) == len(works)
    same = small_model(checkpoint_every=7, checkpoint_seconds=1, external_memory=True, launcher="ray")
    assert Work(same, snapshot).id == works[0].id


def test_parameters_that_xgboost_refuses_are_named_and_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="XGBoost refused") as caught:
        train(tmp_path, params={"max_depth": -3})
    assert "max_depth" in str(caught.value.found)
    assert not caught.value.retryable


@pytest.mark.parametrize("launcher", ["process", "ray"])
def test_one_class_is_refused_before_anything_is_started(
    tmp_path: Path, launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_head, "ensure", lambda *_: pytest.fail("it was started"))
    store, snapshot = small_store(tmp_path)
    snapshot = replace(snapshot, label={"sql": "late", "where": "late"})
    with pytest.raises(TrainingError, match="all labels are the same"):
        train_candidate(store, small_model(launcher=launcher), snapshot, REQUEST, small_settings(tmp_path))
    assert store.records.names(Training.kind) == []


@pytest.mark.parametrize("launcher", ["process", "ray"])
def test_a_class_that_no_row_has_is_refused_before_anything_is_started(
    tmp_path: Path, launcher: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_head, "ensure", lambda *_: pytest.fail("it was started"))
    store, snapshot = small_store(tmp_path, states=True)
    snapshot = replace(snapshot, label={**snapshot.label, "where": "state <> 'late'"})
    with pytest.raises(TrainingError, match="a class is not among the training rows") as caught:
        train_candidate(store, class_model(launcher=launcher), snapshot, REQUEST, small_settings(tmp_path))
    assert str(caught.value.found).startswith("none of late in ")
    assert store.records.names(Training.kind) == []


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"early_stopping": 5, "validation_days": 4},
        {"search": {"trials": 2, "objectives": ["quality", "latency"]}, "validation_days": 4},
    ],
    ids=["all rounds", "early", "searched"],
)
def test_a_version_of_several_classes_says_which_and_predicts_each(tmp_path: Path, settings: dict[str, Any]) -> None:
    store, snapshot = small_store(tmp_path, states=True)
    model = class_model(params={"max_depth": 3}, weight="1 + (label = 2)::INT", **settings)
    training = train_candidate(store, model, snapshot, REQUEST, small_settings(tmp_path))
    version = store.records.get(ModelVersion, training.version)
    assert (tuple(version.classes), version.task, training.metric) == (CLASSES, "multiclass", "mlogloss")
    rows = feature_rows(store, version.definition, ["2020-01"])
    found = predictor(store)(version, rows)
    assert found.shape == (3000, 3)
    labels = np.asarray(label_rows(store, model, ["2020-01"]).sort_by("row")["label"])
    for number in range(3):
        assert found[labels == number, number].mean() > found[labels != number, number].mean() + 0.03
    assert check_model(store) == []


def test_what_workers_share_names_the_classes(tmp_path: Path) -> None:
    store, snapshot = small_store(tmp_path, states=True)
    work = Work(class_model(), snapshot)
    with snapshot_files(store, snapshot) as files:
        prepared = work.prepare(store, files)
    name, _ = share(work.checkpoints(store), prepared)
    assert shared(work.checkpoints(store).blobs, name).encoder == prepared.encoder
    assert prepared.encoder.classes == CLASSES


def test_a_label_that_was_edited_since_is_for_the_next_snapshot(tmp_path: Path) -> None:
    edited = small_model().model_copy(update={"label": small_model().label.model_copy(update={"sql": "NOT late"})})
    versions = set()
    for position, model in enumerate((small_model(), edited)):
        store, snapshot = small_store(tmp_path / str(position))
        versions.add(train_candidate(store, model, snapshot, REQUEST, small_settings(tmp_path)).version)
    assert len(versions) == 1
