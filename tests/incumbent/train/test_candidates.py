"""A request's candidates: from nothing, the champion with more rounds, and the newer rows alone."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from small_training import CLASSES, REQUEST, class_model, small_model, small_settings, small_store

from incumbent.errors import TrainingError
from incumbent.estimators import predictor
from incumbent.estimators.bins import learn_bins
from incumbent.estimators.rounds import Given
from incumbent.estimators.shards import Shard
from incumbent.estimators.xgboost import parse, thresholds
from incumbent.estimators.xgboost_rounds import binned, parameters
from incumbent.features.out_of_core import snapshot_files
from incumbent.features.rows import feature_rows
from incumbent.records import RECALIBRATED, GateReport, ModelVersion, Promotion, RetrainRequest, Snapshot, Training
from incumbent.store import ModelStore
from incumbent.store.check import check_model
from incumbent.train import stage
from incumbent.train.candidates import RECENT, WARM, Candidate, candidates_of
from incumbent.train.checkpoints import Checkpoints, State
from incumbent.train.stage import plan_training, train_candidate
from incumbent.train.warm import recalibrating_model

pytestmark = pytest.mark.unit
SECOND = "2020-01-r2"
PARAMS = {"max_depth": 3}
SAMPLED = {**PARAMS, "subsample": 0.6, "colsample_bytree": 0.7}


def seated(
    root: Path, until: str = "2020-01-12", where: str = "true", **train: Any
) -> tuple[ModelStore, Snapshot, ModelVersion]:
    """Return a store whose champion has seen some of the first days, a snapshot with more, and the champion."""
    store, snapshot = small_store(root)
    older = replace(snapshot, train_until=until, label={"sql": "late", "where": where})
    store.records.put(older.id, older)
    training = train_candidate(store, small_model(**{"params": PARAMS, **train}), older, REQUEST, small_settings(root))
    gate = GateReport("small", "2020-01", training.version, "", 0, older.id, REQUEST, "promote", (), "Promoted.")
    store.records.put(gate.id, gate)
    store.records.put("000001", Promotion(1, training.version, 0, gate.id, "promote", "first", REQUEST, "2020-01"))
    store.records.put(f"{SECOND}/open", RetrainRequest(SECOND, "2020-01", "manual", {}, False, "again"))
    return store, snapshot, store.records.get(ModelVersion, training.version)


def warm(root: Path, where: str = "true", **train: Any) -> tuple[ModelStore, Training, ModelVersion, ModelVersion]:
    """Train the warm candidate of the second request; return it, its version and the champion."""
    store, snapshot, champion = seated(root, where=where, **train)
    model = small_model(**{"params": PARAMS, "warm_rounds": 15, **train})
    assert [each.origin for each in candidates_of(store, model, snapshot, SECOND)] == ["fresh", "warm"]
    training = train_candidate(store, model, snapshot, SECOND, small_settings(root), WARM)
    return store, training, store.records.get(ModelVersion, training.version), champion


def test_a_warm_one_is_the_champion_and_so_many_rounds_more(tmp_path: Path) -> None:
    store, training, version, champion = warm(tmp_path)
    assert (training.name, training.origin, training.rounds, training.resumed_from) == (
        f"{SECOND}-warm",
        WARM,
        55,
        None,
    )
    assert (version.base, version.rounds, version.features) == (champion.digest, 55, champion.features)
    booster, base = (parse(store.objects.get(each.digest)) for each in (version, champion))
    assert booster[:40].get_dump(with_stats=True) == base.get_dump(with_stats=True)
    assert version.train_rows > champion.train_rows
    fresh = train_candidate(store, small_model(params=PARAMS), store.records.get(Snapshot, version.snapshot), SECOND,
                            small_settings(tmp_path))  # fmt: skip
    assert (fresh.name, fresh.origin) == (SECOND, "fresh")
    assert fresh.version != version.digest
    assert check_model(store) == []


def test_its_rounds_are_those_of_one_who_never_stopped_if_nothing_changed(tmp_path: Path) -> None:
    """On the same rows, the champion with 15 rounds more is the model of 55 rounds."""
    store, snapshot, _ = seated(tmp_path, until="2020-01-24")
    model = small_model(params=PARAMS, warm_rounds=15)
    candidates_of(store, model, snapshot, SECOND)
    version = train_candidate(store, model, snapshot, SECOND, small_settings(tmp_path), WARM).version
    whole = train_candidate(store, small_model(params=PARAMS, rounds=55), snapshot, SECOND, small_settings(tmp_path))
    assert version == whole.version


@pytest.mark.parametrize("is_kept", [True, False], ids=["with the champion's cuts", "without"])
def test_binned_rows_take_their_way_through_the_champion(tmp_path: Path, is_kept: bool) -> None:
    store, snapshot, champion = seated(tmp_path)
    data = store.objects.get(champion.digest)
    work = plan_training(store, small_model(), snapshot, SECOND).work
    with snapshot_files(store, snapshot) as files:
        prepared = work.prepare(store, files)
        shard = Shard(files, prepared.rows.train, prepared.encoder)
        kept = thresholds(data, champion.features) if is_kept else None
        bins = learn_bins(files, prepared.rows.train, prepared.encoder, 8, kept)
        given = Given("binary", {}, 7, "cpu", 1, bins)
        rows = binned(given, parameters("binary", {"max_bin": max(256, len(bins) + 1)}, "cpu", 1), shard, bins)
        raw = np.concatenate([batch.matrix for batch in shard])
    plain = xgb.DMatrix(raw, feature_names=list(champion.features), feature_types=prepared.encoder.types)
    booster = parse(data)
    assert np.array_equal(booster.predict(rows), booster.predict(plain)) is is_kept


def test_a_level_that_the_champion_does_not_know_is_none(tmp_path: Path) -> None:
    store, snapshot = small_store(tmp_path / "look")
    rows = feature_rows(store, snapshot.definition, ["2020-01"])
    unseen = ", ".join(str(row["row"]) for row in rows.select(["row", "kind"]).to_pylist() if row["kind"] == "c")
    store, _, version, champion = warm(tmp_path, where=f"row NOT IN ({unseen})")
    assert version.categories == champion.categories == {"kind": ["a", "b"]}
    assert version.train_rows == 2226, "rows of the unseen level are learned from"
    assert np.isfinite(predictor(store)(version, rows)).all()


@pytest.mark.parametrize("params", [PARAMS, SAMPLED], ids=["plain", "sampled"])
def test_stopped_and_begun_again_it_is_the_same(
    tmp_path: Path, params: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"params": params, "rounds": 38, "warm_rounds": 25, "checkpoint_every": 10}
    whole = warm(tmp_path / "whole", **given)[1]
    write = Checkpoints.write

    def stop(checkpoints: Checkpoints, state: State, model: bytes) -> None:
        write(checkpoints, state, model)
        if state.rounds >= 50:
            raise InterruptedError

    with monkeypatch.context() as patch:
        store, snapshot, _ = seated(tmp_path / "cut", **{**given, "warm_rounds": None})
        model = small_model(**given)
        candidates_of(store, model, snapshot, SECOND)
        patch.setattr(Checkpoints, "write", stop)
        with pytest.raises(InterruptedError):
            train_candidate(store, model, snapshot, SECOND, small_settings(tmp_path / "cut"), WARM)
    cut = train_candidate(store, model, snapshot, SECOND, small_settings(tmp_path / "cut"), WARM)
    assert (cut.resumed_from, cut.exact_resume) == (50, True)
    assert cut.version == whole.version


def test_a_recent_one_learns_from_the_newer_rows_alone(tmp_path: Path) -> None:
    store, snapshot = small_store(tmp_path)
    model = small_model(params=PARAMS)
    candidates = candidates_of(store, model, snapshot, REQUEST, since="2020-01-10")
    assert candidates == [Candidate(REQUEST), Candidate(REQUEST, RECENT, since="2020-01-10")]
    training = train_candidate(store, model, snapshot, REQUEST, small_settings(tmp_path), RECENT)
    version = store.records.get(ModelVersion, training.version)
    whole = train_candidate(store, model, snapshot, REQUEST, small_settings(tmp_path))
    assert (training.name, version.since, version.train_rows) == (f"{REQUEST}-recent", "2020-01-10", 1355)
    assert store.records.get(ModelVersion, whole.version).train_rows == 2226
    assert check_model(store) == []
    late = candidates_of(store, model, snapshot, SECOND, since="2020-01-24")
    with pytest.raises(TrainingError, match="there are no training rows"):
        stage.train_candidate(store, model, snapshot, late[1].request, small_settings(tmp_path), RECENT)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"params": {"max_depth": 4}}, "was fitted with other train.params than model.yaml has now"),
        ({"estimator": "lightgbm"}, "is of estimator lightgbm"),
        ({"definition": "e" * 64}, "has another features.sql"),
        ({"functions": "f" * 64}, "was fitted with another model.py"),
        ({"train_until": "2020-01-25"}, "has seen rows up to 2020-01-25, and the gate rows begin earlier than that"),
    ],
    ids=["params", "estimator", "definition", "functions", "newer"],
)
def test_what_stands_against_a_warm_one_is_said(
    tmp_path: Path, changes: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    store, snapshot, champion = seated(tmp_path)
    other = replace(champion, digest=store.objects.put(b"another"), **changes)
    store.records.put(other.digest, other)
    store.records.put("000002", Promotion(2, other.digest, 1, "g" * 64, "promote", "second", REQUEST, "2020-01"))
    with caplog.at_level(logging.INFO):
        candidates = candidates_of(store, small_model(params=PARAMS, warm_rounds=5), snapshot, SECOND)
    assert candidates == [Candidate(SECOND)]
    assert f"no warm candidate: generation 2 {reason}" in caplog.text


def test_who_is_champion_is_pinned_and_searched_parameters_are_kept(tmp_path: Path) -> None:
    store, snapshot, champion = seated(tmp_path)
    found = replace(champion, digest=store.objects.put(b"another"), params={**champion.params, "max_depth": 5,
                    "searched": ["max_depth"]})  # fmt: skip
    store.records.put(found.digest, found)
    model = small_model(params=PARAMS, warm_rounds=5)
    before = candidates_of(store, model, snapshot, SECOND)
    store.records.put("000002", Promotion(2, found.digest, 1, "g" * 64, "promote", "second", REQUEST, "2020-01"))
    assert candidates_of(store, model, snapshot, SECOND) == before
    assert before[1].base == champion.digest
    assert candidates_of(store, model, snapshot, "2020-01-r3")[1].base == found.digest
    planned = plan_training(store, model, snapshot, "2020-01-r3", WARM)
    assert (planned.work.model.train.params, planned.work.model.train.rounds) == ({"max_depth": 5}, 45)


def recalibrated(root: Path, **train: Any) -> tuple[ModelStore, Training, ModelVersion, ModelVersion]:
    """Recalibrate the champion on the newer rows; return the training, its version and the champion."""
    store, snapshot, champion = seated(root, **train)
    model = small_model(**{"params": PARAMS, **train})
    found = candidates_of(store, model, snapshot, SECOND, "2020-01-15", recalibrates=True)
    assert found == [Candidate(SECOND, RECALIBRATED, champion.digest, "2020-01-15")]
    training = train_candidate(store, model, snapshot, SECOND, small_settings(root))
    return store, training, store.records.get(ModelVersion, training.version), champion


@pytest.mark.parametrize("train", [{}, {"balance": True}, {"params": SAMPLED}], ids=["plain", "balanced", "sampled"])
def test_a_recalibrated_one_is_the_champion_with_another_intercept(tmp_path: Path, train: dict[str, Any]) -> None:
    store, training, version, champion = recalibrated(tmp_path, **train)
    assert (training.name, training.origin, version.base) == (SECOND, RECALIBRATED, champion.digest)
    assert (version.recalibrated, version.params, version.since) == (True, champion.params, "2020-01-15")
    rows = feature_rows(store, version.definition, ["2020-01"])
    said, before = (predictor(store)(each, rows).astype(np.float64) for each in (version, champion))
    moved = np.log(said / (1 - said)) - np.log(before / (1 - before))
    assert np.ptp(moved) < 1e-4, "one number, added to each logit"
    labels = dict(zip(*(store.outcomes("truth").read(["2020-01"])[name].to_pylist() for name in ("row", "late")),
                      strict=True))  # fmt: skip
    days = [at.date().isoformat() for at in rows["at"].to_pylist()]
    newer = np.array(["2020-01-15" <= day < "2020-01-24" for day in days])
    truth = np.array([labels[row] for row in rows["row"].to_pylist()])
    assert said[newer].mean() == pytest.approx(truth[newer].mean(), abs=1e-5)
    assert version.train_rows == newer.sum()
    assert before[newer].mean() != pytest.approx(truth[newer].mean(), abs=1e-3)
    assert check_model(store) == []


@pytest.mark.parametrize(("before", "after"), [(0.01, 0.1), (0.02, 0.2), (0.05, 0.3), (0.5, 0.02), (0.2, 0.4)])
def test_the_intercept_is_found_wherever_the_mean_has_gone(before: float, after: float) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(20_000, 1))
    rows = [xgb.DMatrix(x, (rng.random(20_000) < share).astype(float)) for share in (before, after)]
    champion = xgb.train(parameters("binary", {"max_depth": 2}, "cpu", 1), rows[0], 5)
    manifest = ModelVersion("d", "small", "xgboost", "binary", "f", "s", (), {}, {}, 5, 1, "2020-01-01", {})
    train = recalibrating_model(small_model(), manifest).train
    booster = xgb.train(parameters("binary", train.params, "cpu", 1), rows[1], train.rounds - 5, xgb_model=champion)
    assert booster.predict(rows[1]).mean() == pytest.approx(rows[1].get_label().mean(), abs=1e-5)


def test_a_recalibration_of_several_classes_moves_each(tmp_path: Path) -> None:
    store, snapshot, champion = seated_of_classes(tmp_path)
    model = class_model(params=PARAMS)
    candidates_of(store, model, snapshot, SECOND, "2020-01-12", recalibrates=True)
    training = train_candidate(store, model, snapshot, SECOND, small_settings(tmp_path))
    version = store.records.get(ModelVersion, training.version)
    rows = feature_rows(store, version.definition, ["2020-01"])
    odds = [np.log(predictor(store)(each, rows).astype(np.float64)) for each in (version, champion)]
    moved = [np.diff(each, axis=1) for each in odds]
    assert np.ptp(moved[0] - moved[1], axis=0).max() < 1e-4, "the odds of two classes change by one factor"


def test_where_there_is_no_recalibration_the_usual_ones_are_trained(tmp_path: Path) -> None:
    store, snapshot, champion = seated(tmp_path)
    other = replace(champion, digest=store.objects.put(b"another"), definition="e" * 64)
    store.records.put(other.digest, other)
    store.records.put("000002", Promotion(2, other.digest, 1, "g" * 64, "promote", "second", REQUEST, "2020-01"))
    found = candidates_of(store, small_model(params=PARAMS), snapshot, SECOND, "2020-01-10", recalibrates=True)
    assert found == [Candidate(SECOND)]


def test_no_champion_no_warm_one(tmp_path: Path) -> None:
    store, snapshot = small_store(tmp_path)
    assert candidates_of(store, small_model(warm_rounds=5), snapshot, REQUEST) == [Candidate(REQUEST)]
    assert store.records.names("pins") == []


def test_what_it_does_not_go_with_is_refused() -> None:
    for train, word in (({"estimator": "lightgbm"}, "lightgbm"), ({"balance": True}, "balance")):
        with pytest.raises(ValueError, match=word):
            small_model(warm_rounds=5, **train)


def seated_of_classes(root: Path, **train: Any) -> tuple[ModelStore, Snapshot, ModelVersion]:
    """Return a store whose champion predicts three classes, a snapshot with more rows, and the champion."""
    store, snapshot = small_store(root, states=True)
    older = replace(snapshot, train_until="2020-01-16")
    store.records.put(older.id, older)
    model = class_model(params=PARAMS, **train)
    training = train_candidate(store, model, older, REQUEST, small_settings(root))
    gate = GateReport("small", "2020-01", training.version, "", 0, older.id, REQUEST, "promote", (), "Promoted.")
    store.records.put(gate.id, gate)
    store.records.put("000001", Promotion(1, training.version, 0, gate.id, "promote", "first", REQUEST, "2020-01"))
    store.records.put(f"{SECOND}/open", RetrainRequest(SECOND, "2020-01", "manual", {}, False, "again"))
    return store, snapshot, store.records.get(ModelVersion, training.version)


def test_a_warm_one_of_several_classes_has_the_champions_trees_of_each(tmp_path: Path) -> None:
    store, snapshot, champion = seated_of_classes(tmp_path)
    model = class_model(params=PARAMS, warm_rounds=15)
    assert [each.origin for each in candidates_of(store, model, snapshot, SECOND)] == ["fresh", "warm"]
    training = train_candidate(store, model, snapshot, SECOND, small_settings(tmp_path), WARM)
    version = store.records.get(ModelVersion, training.version)
    assert (version.base, version.rounds, tuple(version.classes)) == (champion.digest, 55, CLASSES)
    booster, base = (parse(store.objects.get(each.digest)) for each in (version, champion))
    assert booster[:40].get_dump(with_stats=True) == base.get_dump(with_stats=True)
    assert len(booster.get_dump()) == 3 * 55
    rows = feature_rows(store, version.definition, ["2020-01"])
    assert predictor(store)(version, rows).shape == (3000, 3)


def test_a_champion_of_other_classes_gets_no_rounds_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store, snapshot, _ = seated_of_classes(tmp_path)
    other = replace(snapshot, label={**snapshot.label, "classes": ["late", "early", "lost"]})
    with caplog.at_level(logging.INFO):
        assert [each.origin for each in candidates_of(store, class_model(warm_rounds=15), other, SECOND)] == ["fresh"]
    assert "predicts the classes early, late, lost" in caplog.text
