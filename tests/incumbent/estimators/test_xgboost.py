"""Model files are verified and survived before they are used; rows are encoded by name."""

import numpy as np
import pyarrow as pa
import pytest
import xgboost as xgb
from booster_of import booster_of

from incumbent.errors import ModelError, TrainingError
from incumbent.estimators import xgboost as estimator
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.xgboost_rounds import gain_shares
from incumbent.records import ModelVersion, digest_of

pytestmark = pytest.mark.unit

ROWS = pa.table({"n": [1.0, None, 3.0, 4.0] * 50, "t": ["b", "a", None, "b"] * 50})
LABELS = np.array([0.0, 1.0, 0.0, 1.0] * 50)


@pytest.fixture(scope="module")
def fitted() -> tuple[bytes, ModelVersion]:
    encoder = Encoder.learn(ROWS, ["n", "t"])
    booster = booster_of(encoder, ROWS, LABELS, 5)
    model = estimator.as_ubj(booster)
    shares = gain_shares(booster, encoder.features)
    version = ModelVersion(
        digest_of(model),
        "m",
        "xgboost",
        "binary",
        "d",
        "s",
        encoder.features,
        encoder.categories,
        {},
        5,
        200,
        "",
        shares,
    )
    return model, version


def test_vocabulary_is_sorted_and_unseen_levels_are_missing() -> None:
    encoder = Encoder.learn(ROWS, ["t", "n"])
    assert encoder.categories == {"t": ("a", "b")}
    assert encoder.types == ["c", "q"]
    matrix = encoder.matrix(pa.table({"n": [1, None], "t": ["b", "new"]}))
    np.testing.assert_array_equal(matrix, np.array([[1, 1], [np.nan, np.nan]], dtype=np.float32))


def test_order_of_columns_does_not_matter(fitted: tuple[bytes, ModelVersion]) -> None:
    booster = estimator.load(*fitted)
    one = estimator.predict(booster, fitted[1], ROWS)
    other = estimator.predict(booster, fitted[1], ROWS.select(["t", "n"]))
    np.testing.assert_array_equal(one, other)
    assert one.shape == (200,)
    assert len(estimator.predict(booster, fitted[1], ROWS.slice(0, 0))) == 0


@pytest.mark.parametrize(
    ("objective", "classes"), [("binary:logistic", ()), ("reg:squarederror", ()), ("multi:softprob", ("a", "b", "c"))]
)
def test_predictions_in_place_are_those_of_xgboosts_own_matrix(objective: str, classes: tuple[str, ...]) -> None:
    rng, count = np.random.default_rng(3), 3000
    levels = np.array(["a", "b", "c", None], dtype=object)
    rows = pa.table(
        {
            "n": np.where(rng.random(count) < 0.1, np.nan, rng.normal(size=count)),
            "t": pa.array(levels[rng.integers(0, 4, count)], pa.string()),
        }
    )
    encoder = Encoder.learn(rows, ["n", "t"])
    matrix = encoder.matrix(rows)
    labels = np.nan_to_num(matrix[:, 0] + matrix[:, 1]) + rng.normal(size=count)
    params = {"objective": objective, **({"num_class": len(classes)} if classes else {})}
    data = xgb.DMatrix(matrix, feature_names=["n", "t"], feature_types=encoder.types, enable_categorical=True)
    data.set_label(np.digitize(labels, [-1, 1]) if classes else labels > 0 if "binary" in objective else labels)
    booster = xgb.train(params, data, 20)
    version = ModelVersion(
        "d", "m", "xgboost", "binary", "d", "s", encoder.features, encoder.categories, {}, 20, count, "", {},
        classes=classes,
    )  # fmt: skip
    np.testing.assert_array_equal(estimator.predict(booster, version, rows), booster.predict(data).astype(float))


def test_importance_sums_to_one(fitted: tuple[bytes, ModelVersion]) -> None:
    assert sum(fitted[1].importance.values()) == pytest.approx(1.0)
    assert set(fitted[1].importance) == {"n", "t"}


def test_missing_and_changed_features_are_named(fitted: tuple[bytes, ModelVersion]) -> None:
    booster = estimator.load(*fitted)
    with pytest.raises(ModelError, match="feature t"):
        estimator.predict(booster, fitted[1], ROWS.select(["n"]))
    with pytest.raises(ModelError, match="another kind"):
        estimator.predict(booster, fitted[1], ROWS.set_column(0, "n", pa.array(["x"] * 200)))
    with pytest.raises(TrainingError, match="feature n"):
        estimator.predict(booster, fitted[1], ROWS.set_column(0, "n", pa.array([np.inf] * 200)))


def test_other_bytes_are_refused_before_they_are_parsed(fitted: tuple[bytes, ModelVersion]) -> None:
    with pytest.raises(ModelError, match="not the one that was promoted"):
        estimator.load(fitted[0] + b" ", fitted[1])


@pytest.mark.parametrize("data", [b"", b"{L" + b"\x7f" * 8, b"not a model", b"{i\x08" + b"\x00" * 7])
def test_a_file_that_kills_its_parser_is_an_error(data: bytes) -> None:
    with pytest.raises(ModelError, match="model unreadable"):
        estimator.verify(data, digest_of(data))


def test_steps_are_the_nodes_that_training_rows_pass() -> None:
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(500, 3)).astype(np.float32)
    target = matrix[:, 0] ** 2 + matrix[:, 1]
    rows = xgb.DMatrix(matrix, label=target)
    params = {"objective": "reg:squarederror", "max_depth": 6, "base_score": 0.0}  # a row's weight in a tree is one
    booster = xgb.train(params, rows, 7)
    leaves = booster.predict(rows, pred_leaf=True).astype(int)
    passed = 0.0
    for number, tree in enumerate(booster.get_dump()):
        depths = {int(line.strip().partition(":")[0]): line.count("\t") for line in tree.splitlines()}
        passed += float(np.mean([depths[leaf] for leaf in leaves[:, number]]))
    assert estimator.steps(estimator.as_ubj(booster)) == pytest.approx(passed, rel=1e-6)
    stumps = xgb.train({**params, "max_depth": 1}, rows, 5)
    assert estimator.steps(estimator.as_ubj(stumps)) == pytest.approx(5)
    linear = xgb.train({"booster": "gblinear", "updater": "coord_descent"}, rows, 2)
    assert estimator.steps(estimator.as_ubj(linear)) == 0
