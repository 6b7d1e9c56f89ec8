"""The whole loop with each estimator: a training set, a candidate, gates, the seat, predictions, and why."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_training import small_model
from tests.docs_example import EXAMPLE
from tests.incumbent_airflow.conftest import KEY, ask, gate

from incumbent.errors import ModelError
from incumbent.estimators import estimator, predictor
from incumbent.estimators.abilities import ABILITIES
from incumbent.features.rows import feature_rows
from incumbent.records import ModelVersion, Training
from incumbent.score import score
from incumbent.store.check import check_model
from incumbent_airflow import stages
from incumbent_airflow.runtime import Runtime

pytestmark = pytest.mark.unit
ROUNDS = {"rounds": 60, "early_stopping": 5, "validation_days": 3, "balance": True}
EACH: dict[str, dict[str, Any]] = {
    "xgboost": {**ROUNDS, "params": {"max_depth": 3, "subsample": 0.8}},
    "lightgbm": {**ROUNDS, "params": {"num_leaves": 7, "feature_fraction": 0.7}},
    "onnx": {"script": "train.py", "rounds": 150, "checkpoint_every": 25, "params": {"C": 0.5}},
}
EXPLAINED = {"xgboost", "lightgbm"}
WITHOUT_RECORDS = "accepted rows are named by the record of their delivery"  # the fixture's rows were never delivered


@pytest.fixture
def store_address(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.mark.parametrize("name", EACH)
def test_a_candidate_gets_the_seat_and_scores(runtime: Runtime, name: str) -> None:
    model = small_model(weight="1 + (x > 0)::INT", estimator=name, **EACH[name]).with_script(EXAMPLE)
    runtime = replace(runtime, folder=runtime.folder.model_copy(update={"model": model}))
    store, request = runtime.store, ask(runtime)
    assert stages.build_features(runtime, KEY).part is not None
    gate(runtime, request)
    assert stages.promote_candidate(runtime, request, None)["kind"] == "promoted"
    training = store.records.get(Training, request)
    version = store.records.get(ModelVersion, training.version)
    assert (version.estimator, version.rounds, training.exact_resume) == (name, training.rounds, True)
    assert version.code.keys() & {"xgboost", "lightgbm", "onnxruntime"} == {ABILITIES[name].library}
    assert sum(version.importance.values()) == pytest.approx(1)
    assert score(store, model, KEY, predictor(store)).rows == 3000
    scored = np.asarray(store.predictions.read([KEY])["prediction"])
    truth = np.asarray(store.outcomes("truth").read([KEY])["late"], dtype=bool)
    assert scored[truth].mean() > scored[~truth].mean() + 0.15
    assert scored.mean() == pytest.approx(truth.mean(), abs=0.05), "balanced or not, probabilities"
    assert {each.promise for each in check_model(store)} <= {WITHOUT_RECORDS}
    assert stages.promote_candidate(runtime, request, None)["kind"] == "already"

    rows, kind = feature_rows(store, version.definition, [KEY]), estimator(name)
    loaded = kind.load(store.objects.get(version.digest), version)
    if name not in EXPLAINED:
        with pytest.raises(ModelError, match="is not explained"):
            kind.explain(loaded, version, rows)
        assert store.objects.get(version.script).decode() == EXAMPLE
        return
    parts = kind.explain(loaded, version, rows)
    chance = kind.predict(loaded, version, rows)
    assert parts.shape == (3000, len(version.features) + 1)
    np.testing.assert_allclose(parts.sum(axis=1), np.log(chance / (1 - chance)), atol=1e-4)
