"""A fit of several classes keeps the promises of any fit: its rounds, its bytes after a kill, its probabilities."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import test_fit
from test_fit import Stopped, shards

from incumbent.errors import ModelError, TrainingError
from incumbent.estimators import estimator
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.lightgbm_rounds import LightgbmRounds
from incumbent.estimators.rounds import Given
from incumbent.estimators.shards import Shard
from incumbent.estimators.xgboost import parse, steps
from incumbent.estimators.xgboost_rounds import XgboostRounds
from incumbent.records import ModelVersion, digest_of
from incumbent.train.fit import Fitted, Plan, fit

pytestmark = pytest.mark.unit
CLASSES = ("early", "late", "lost")
XGBOOST: dict[str, dict[str, Any]] = {
    "plain": {"max_depth": 3},
    "sampled": {"max_depth": 3, "subsample": 0.5, "colsample_bytree": 0.7},
    "several trees a class": {"max_depth": 3, "subsample": 0.5, "num_parallel_tree": 2},
    "another metric": {"max_depth": 3, "eval_metric": "auc"},
}
LIGHTGBM: dict[str, dict[str, Any]] = {
    "plain": {"num_leaves": 7},
    "sampled": {"num_leaves": 7, "bagging_fraction": 0.5, "bagging_freq": 2, "feature_fraction": 0.7},
    "constraints": {"num_leaves": 7, "monotone_constraints": [1, 0, 0], "max_cat_to_onehot": 1, "path_smooth": 2},
}
KINDS: dict[str, Callable[..., Any]] = {"xgboost": XgboostRounds, "lightgbm": LightgbmRounds}
EACH = [(name, how) for name, ways in (("xgboost", XGBOOST), ("lightgbm", LIGHTGBM)) for how in ways.items()]


def run(folder: Path, name: str, params: dict[str, Any], **plan: Any) -> Fitted:
    return test_fit.run(folder, params, kind=KINDS[name], classes=CLASSES, **plan)


@pytest.mark.parametrize(("name", "how"), EACH, ids=[f"{name} {how[0]}" for name, how in EACH])
def test_resumed_equals_undisturbed(tmp_path: Path, name: str, how: tuple[str, dict[str, Any]]) -> None:
    params = how[1]
    whole = run(tmp_path / "whole", name, params)
    with pytest.raises(Stopped):
        run(tmp_path / "cut", name, params, stop=20)
    resumed = run(tmp_path / "cut", name, params)
    assert (resumed.resumed_from, resumed.rounds, whole.rounds) == (20, 30, 30)
    assert resumed.state == whole.state
    assert resumed.state.exact
    assert resumed.model == whole.model


@pytest.mark.parametrize("name", KINDS)
def test_it_stops_early_at_the_best_round_wherever_it_was_cut(tmp_path: Path, name: str) -> None:
    params = {"xgboost": XGBOOST, "lightgbm": LIGHTGBM}[name]["sampled"]
    whole = run(tmp_path / "whole", name, params, rounds=300, patience=8)
    scores = list(whole.state.validation)
    assert whole.rounds == scores.index(min(scores)) + 1 < 300
    assert len(scores) == whole.state.rounds == whole.rounds + 8
    with pytest.raises(Stopped):
        run(tmp_path / "cut", name, params, rounds=300, every=1, patience=8, stop=whole.rounds + 2)
    resumed = run(tmp_path / "cut", name, params, rounds=300, patience=8)
    assert resumed.resumed_from is not None
    assert (resumed.rounds, resumed.model) == (whole.rounds, whole.model)


def test_a_round_is_a_tree_for_each_class_and_the_best_model_has_the_best_rounds_only(tmp_path: Path) -> None:
    whole = run(tmp_path / "xgboost", "xgboost", XGBOOST["plain"], rounds=300, patience=8)
    booster = parse(whole.model)
    assert (booster.num_boosted_rounds(), len(booster.get_dump())) == (whole.rounds, 3 * whole.rounds)
    assert 3 * whole.rounds < steps(whole.model) <= 3 * 3 * whole.rounds, "a row passes a tree of each class"
    import lightgbm as lgb

    other = run(tmp_path / "lightgbm", "lightgbm", LIGHTGBM["plain"], rounds=300, patience=8)
    assert lgb.Booster(model_str=other.model.decode()).num_trees() == 3 * other.rounds


def version_of(name: str, data: bytes, encoder: Encoder) -> ModelVersion:
    return ModelVersion(
        digest_of(data), "m", name, "multiclass", "d", "s", encoder.features, encoder.categories, {}, 30, 1, "", {},
        classes=encoder.classes,
    )  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_a_prediction_has_the_probability_of_each_class_and_an_explanation_its_margin(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted = run(tmp_path, name, {"xgboost": XGBOOST, "lightgbm": LIGHTGBM}[name]["plain"])
    assert sum(fitted.importance.values()) == pytest.approx(1)
    assert max(fitted.importance, key=lambda feature: fitted.importance[feature]) == "a"
    kind, (train, validation) = estimator(name), shards(tmp_path / "data", classes=CLASSES)
    data = kind.save(fitted.model, train.encoder, "d", "s")
    version = version_of(name, data, train.encoder)
    loaded, rows = kind.load(data, version), pq.read_table(tmp_path / "data" / "rows.parquet")
    found = kind.predict(loaded, version, rows)
    assert found.shape == (3000, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    labels = validation.labels().astype(int)
    assert float(-np.log(found[2250:][np.arange(750), labels]).mean()) < 0.8 < np.log(3)
    shares = np.bincount(train.labels().astype(int)) / train.rows
    assert shares.min() < 0.06 < 0.4 < shares.max(), "unequal classes"
    np.testing.assert_allclose(found[:2250].mean(axis=0), shares, atol=0.03)
    assert kind.predict(loaded, version, rows.slice(0, 0)).shape == (0, 3)

    parts = kind.explain(loaded, version, rows)
    assert parts.shape == (3000, 3, 4)
    assert kind.explain(loaded, version, rows.slice(0, 0)).shape == (0, 3, 4)
    margins = parts.sum(axis=2)
    softmax = np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(softmax, found, atol=1e-4)
    monkeypatch.setattr(f"incumbent.estimators.{name}.BATCH_ROWS", 77)
    np.testing.assert_array_equal(kind.predict(loaded, version, rows), found)


@pytest.mark.parametrize("name", KINDS)
def test_a_manifest_with_the_classes_in_another_order_is_refused(tmp_path: Path, name: str) -> None:
    fitted = run(tmp_path, name, {}, rounds=2)
    encoder = Encoder(("a", "b", "c"), {"c": ("x", "y")}, CLASSES)
    data = estimator(name).save(fitted.model, encoder, "d", "s")
    other = version_of(name, data, Encoder(encoder.features, encoder.categories, CLASSES[::-1]))
    with pytest.raises(ModelError, match="something else than the model file"):
        estimator(name).load(data, other)


def test_shares_of_workers_and_rows_on_disk_are_fitted_too(tmp_path: Path) -> None:
    (tmp_path / "binned").mkdir()
    inside = run(tmp_path / "inside", "xgboost", XGBOOST["plain"])
    outside = run(tmp_path / "outside", "xgboost", XGBOOST["plain"], external=tmp_path / "binned")
    assert outside.state.train["30"] == pytest.approx(inside.state.train["30"], abs=1e-3)
    whole, _ = shards(tmp_path / "data", classes=CLASSES)
    half = Shard(whole.files, whole.chosen, whole.encoder, 1, 2)
    given = Given("multiclass", XGBOOST["plain"], 7, "cpu", 1, test_fit.bins_of(whole))
    plan = Plan(5, None, 5, 1e9, "one", half.rows)
    assert fit(XgboostRounds(given, half, None, None), plan, None, lambda state, model: None).rounds == 5


@pytest.mark.parametrize("metric", ["logloss", "nonsense"])
def test_a_metric_that_is_not_of_several_classes_is_refused_in_our_words(tmp_path: Path, metric: str) -> None:
    with pytest.raises(TrainingError, match="XGBoost refused to train"):
        run(tmp_path, "xgboost", {"eval_metric": metric}, rounds=2, every=1)
