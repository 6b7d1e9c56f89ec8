"""A stored version predicts what it predicted when it was fitted, in any batch size, parsed once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import xgboost as xgb
from booster_of import booster_of

from incumbent.errors import ModelError
from incumbent.estimators import predictor
from incumbent.estimators import xgboost as estimator
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.model_file import SEAL, check_seal
from incumbent.estimators.xgboost_rounds import _shift, gain_shares, parameters
from incumbent.records import ModelVersion, digest_of
from incumbent.store import Store

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def rows() -> pa.Table:
    rng = np.random.default_rng(3)
    x, noise, kind = rng.normal(size=600), rng.normal(size=600), rng.choice(["a", "b", "c"], 600)
    label = ((x + (kind == "c")) > 0.3).astype(float)
    return pa.table({"x": x, "noise": noise, "kind": kind.tolist(), "constant": np.ones(600), "label": label})


@pytest.fixture(scope="module")
def fitted(rows: pa.Table) -> tuple[xgb.Booster, ModelVersion]:
    encoder = Encoder.learn(rows, ("x", "noise", "kind", "constant"))
    booster = booster_of(encoder, rows, np.asarray(rows["label"]), 8, max_depth=3)
    version = ModelVersion(
        digest_of(estimator.as_ubj(booster)), "small", "xgboost", "binary", "d", "s", encoder.features,
        encoder.categories, {}, 8, 600, "2020-01-01", {},
    )  # fmt: skip
    return booster, version


def test_a_loaded_booster_predicts_the_same_probabilities(fitted: Any, rows: pa.Table) -> None:
    booster, version = fitted
    before = estimator.predict(booster, version, rows)
    after = estimator.predict(estimator.load(estimator.as_ubj(booster), version), version, rows)
    np.testing.assert_array_equal(after, before)
    late = np.asarray(rows["label"]) == 1
    assert 0 < before.min() < before.max() < 1
    assert before[late].mean() > before[~late].mean() + 0.3


def test_rows_are_predicted_alike_in_one_batch_and_in_many(
    fitted: Any, rows: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    booster, version = fitted
    whole = estimator.predict(booster, version, rows)
    monkeypatch.setattr(estimator, "BATCH_ROWS", 77)
    np.testing.assert_array_equal(estimator.predict(booster, version, rows), whole)


def test_a_parser_that_is_killed_kills_no_one_else() -> None:
    with pytest.raises(ModelError, match=r"model unreadable \(signal \d+\)"):
        estimator.verify(b"", digest_of(b""))


def test_a_truncated_file_is_unreadable(fitted: Any) -> None:
    cut = estimator.as_ubj(fitted[0])[:-200]
    with pytest.raises(ModelError, match="model unreadable"):
        estimator.verify(cut, digest_of(cut))


def test_a_feature_that_is_never_split_on_has_no_share(fitted: Any) -> None:
    booster, version = fitted
    share = gain_shares(booster, version.features)
    assert list(share) == ["x", "noise", "kind", "constant"]
    assert share["constant"] == 0.0
    assert share["x"] > share["noise"]


def test_the_same_trees_over_another_vocabulary_are_another_version(fitted: Any) -> None:
    booster, version = fitted
    encoder = Encoder(version.features, version.categories)
    other = Encoder(version.features, {"kind": ("x", "y", "z")})
    plain = estimator.as_ubj(booster)
    files = [estimator.save(plain, encoder, "d", "s"), estimator.save(plain, other, "d", "s")]
    assert len({digest_of(file) for file in files}) == 2
    assert files[0] == estimator.save(plain, encoder, "d", "s")
    check_seal(estimator.parse(files[0]).attr(SEAL), version)
    with pytest.raises(ModelError, match="something else than the model file"):
        check_seal(estimator.parse(files[1]).attr(SEAL), version)


def test_the_task_decides_the_objective_and_the_user_decides_the_rest() -> None:
    given = {"objective": "rank:pairwise", "max_depth": 9, "device": "cuda", "eval_metric": "auc"}
    params = parameters("regression", given, "cpu", 2)
    assert (params["objective"], params["device"], params["nthread"]) == ("reg:squarederror", "cpu", 2)
    assert (params["max_depth"], params["eval_metric"]) == (9, "auc")


def test_a_store_predicts_with_a_version_and_parses_its_file_once(
    fitted: Any, rows: pa.Table, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    booster, version = fitted
    store = Store(tmp_path).model("small")
    store.objects.put(estimator.as_ubj(booster))
    parsed: list[str] = []
    real = estimator.survive
    monkeypatch.setattr(estimator, "survive", lambda *told: (parsed.append(told[3]), real(*told)))
    predict = predictor(store)
    first, second = predict(version, rows), predict(version, rows)
    np.testing.assert_array_equal(first, estimator.predict(booster, version, rows))
    np.testing.assert_array_equal(first, second)
    assert parsed == [version.digest]


@pytest.mark.parametrize("shift", [0.0, 0.7], ids=["as learned", "with a corrected intercept"])
def test_what_the_features_add_sums_to_the_margin(fitted: Any, rows: pa.Table, shift: float) -> None:
    booster, version = fitted
    booster = estimator.parse(estimator.as_ubj(booster))
    _shift(booster, shift)
    parts = estimator.explain(booster, version, rows)
    assert parts.shape == (600, len(version.features) + 1)
    chance = estimator.predict(booster, version, rows)
    np.testing.assert_allclose(parts.sum(axis=1), np.log(chance / (1 - chance)), atol=1e-5)
    assert np.abs(parts[:, 3]).max() == 0, "the constant adds nothing"
    assert estimator.explain(booster, version, rows.slice(0, 0)).shape == (0, len(version.features) + 1)
