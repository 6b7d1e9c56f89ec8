"""Where a model tells values apart: just there, its predictions change, and nowhere between."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from incumbent.estimators import estimator
from incumbent.records import ModelVersion

pytestmark = pytest.mark.unit
FEATURES = ("x", "kind", "unused")


def version(name: str) -> ModelVersion:
    return ModelVersion("d", "m", name, "binary", "f", "s", FEATURES, {"kind": ("a", "b")}, {}, 1, 1, "2020-01-01", {})


def fitted(name: str, matrix: np.ndarray, label: np.ndarray) -> object:
    if name == "xgboost":
        import xgboost as xgb

        kinds = ["q", "c", "q"]
        data = xgb.DMatrix(
            matrix, label, feature_names=list(FEATURES), feature_types=kinds, enable_categorical=True
        )  # fmt: skip
        return xgb.train({"objective": "binary:logistic", "max_depth": 3, "seed": 1}, data, 5)
    import lightgbm as lgb

    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    return lgb.train(parameters, lgb.Dataset(matrix, label, categorical_feature=[1]), 5)


@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_predictions_change_at_the_splits_and_nowhere_between(name: str) -> None:
    random = np.random.default_rng(1)
    x, kind = random.integers(0, 60, 3000) / 4, random.integers(0, 2, 3000)
    label = (random.random(3000) < 1 / (1 + np.exp(4 - x / 2 - kind))).astype(float)
    model = fitted(name, np.column_stack([x, kind, np.zeros(3000)]).astype(np.float32), label)
    splits = estimator(name).splits(model, version(name))
    assert set(splits) == {"x"}
    assert all(gain > 0 for _, gain in splits["x"])
    edges = sorted({threshold for threshold, _ in splits["x"]})
    assert len(edges) > 3
    around = [side for edge in edges for side in (np.nextafter(np.float32(edge), np.float32(-1)), np.float32(edge))]
    rows = pa.table({"x": np.array([0, *around, 60], np.float64), "kind": ["a"] * (2 * len(edges) + 2)})
    rows = rows.append_column("unused", pa.array(np.zeros(rows.num_rows)))
    said = estimator(name).predict(model, version(name), rows)
    cells = np.searchsorted(edges, np.asarray(rows["x"]), side="right")
    for cell in set(cells):
        assert len(set(said[cells == cell])) == 1, cell
    assert len(set(said)) > 3


def test_a_model_of_which_nothing_is_known_splits_nothing() -> None:
    assert estimator("onnx").splits(None, version("onnx")) == {}
