"""A LightGBM fit that was killed ends with the same bytes as one that was not, and says so where it does not."""

import subprocess
import sys
from pathlib import Path
from signal import SIGKILL
from typing import Any

import lightgbm as lgb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import test_fit
from test_fit import ENCODER, shards

from incumbent.errors import TrainingError
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.lightgbm_rounds import EXACT, LightgbmRounds
from incumbent.estimators.rounds import Given
from incumbent.estimators.shards import Chosen, Shard
from incumbent.train.fit import Fitted, Plan, fit

pytestmark = pytest.mark.unit

PLAIN = {"num_leaves": 7}
SAMPLED = {**PLAIN, "bagging_fraction": 0.5, "bagging_freq": 1, "feature_fraction": 0.7}
EACH_WAY: dict[str, dict[str, Any]] = {
    "plain": PLAIN,
    "rows": {**PLAIN, "bagging_fraction": 0.5, "bagging_freq": 1},
    "rows, of several rounds": {**PLAIN, "subsample": 0.8, "subsample_freq": 3},
    "rows of a class": {**PLAIN, "pos_bagging_fraction": 0.5, "neg_bagging_fraction": 0.9, "bagging_freq": 2},
    "columns of a tree": {**PLAIN, "feature_fraction": 0.7},
    "columns of a node": {**PLAIN, "feature_fraction_bynode": 0.6},
    "both": SAMPLED,
    "constraints": {**PLAIN, "monotone_constraints": [1, 0, 0], "interaction_constraints": "[0,1],[1,2]"},
    "all the rest": {
        "learning_rate": 0.3, "num_leaves": 9, "max_depth": 4, "min_data_in_leaf": 5, "min_sum_hessian_in_leaf": 1,
        "lambda_l1": 0.1, "lambda_l2": 2, "min_gain_to_split": 0.01, "max_delta_step": 0.5, "max_bin": 63,
        "min_data_in_bin": 5, "bin_construct_sample_cnt": 500, "max_cat_threshold": 4, "max_cat_to_onehot": 1,
        "cat_l2": 1, "cat_smooth": 1, "min_data_per_group": 10, "path_smooth": 2, "metric": "auc",
    },
}  # fmt: skip


def run(folder: Path, params: dict[str, Any], **plan: Any) -> Fitted:
    return test_fit.run(folder, params, kind=LightgbmRounds, **plan)


def parse(model: bytes) -> Any:
    return lgb.Booster(model_str=model.decode())


@pytest.mark.parametrize("params", EACH_WAY.values(), ids=EACH_WAY)
@pytest.mark.parametrize("stop", [20, 7])
def test_resumed_equals_undisturbed(tmp_path: Path, params: dict[str, Any], stop: int) -> None:
    whole = run(tmp_path / "whole", params)
    run(tmp_path / "cut", params, rounds=stop)
    resumed = run(tmp_path / "cut", params)
    assert (whole.resumed_from, resumed.resumed_from) == (None, stop)
    assert (whole.rounds, resumed.rounds, parse(whole.model).num_trees()) == (30, 30, 30)
    assert resumed.state.exact
    assert resumed.model == whole.model


def wide(folder: Path, rows: int = 6000) -> Shard:
    """Write rows with gaps, many levels and weights."""
    random = np.random.default_rng(2)
    levels = [f"level {number:02d}" for number in range(40)]
    a, b = random.normal(size=rows), random.exponential(size=rows)
    c = random.choice(levels, rows)
    table = pa.table(
        {
            "a": pa.array(a, mask=random.random(rows) < 0.2),
            "b": b,
            "c": pa.array(c, mask=random.random(rows) < 0.05),
        }
    )
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "rows.parquet", row_group_size=2500)
    labels = (a + (c > "level 20") + random.normal(size=rows) > 0.5).astype(np.float64)
    weights = random.uniform(0.5, 2, rows).astype(np.float32)
    chosen = Chosen(0, np.arange(rows, dtype=np.int32), labels, weights)
    return Shard([folder / "rows.parquet"], [chosen], Encoder(("a", "b", "c"), {"c": tuple(levels)}))


@pytest.mark.parametrize("params", EACH_WAY.values(), ids=EACH_WAY)
def test_so_does_one_over_rows_with_gaps_many_levels_and_weights(tmp_path: Path, params: dict[str, Any]) -> None:
    rows, given = wide(tmp_path), Given("binary", params, 3, "cpu", 2, class_weight=1.5)
    plan = Plan(20, None, 20, 1e9, "one", rows.rows)
    whole = fit(LightgbmRounds(given, rows, None, None), plan, None, lambda state, model: None)
    begun = LightgbmRounds(given, rows, None, None)
    assert all(begun.add() for _ in range(11))
    resumed = LightgbmRounds(given, rows, None, begun.save())
    assert resumed.done == 11
    assert all(resumed.add() for _ in range(9))
    assert resumed.finish(20) == whole.model


def test_what_is_said_to_be_exact_was_tried() -> None:
    aliases = {"subsample": "bagging_fraction", "subsample_freq": "bagging_freq"}
    assert {aliases.get(name, name) for params in EACH_WAY.values() for name in params} == EXACT


@pytest.mark.parametrize(
    "params", [{"data_sample_strategy": "goss"}, {"extra_trees": True}, {"use_quantized_grad": True}]
)
def test_a_resumed_fit_of_which_nobody_knows_is_not_called_exact(tmp_path: Path, params: dict[str, Any]) -> None:
    assert run(tmp_path / "whole", {**PLAIN, **params}).state.exact, "never stopped"
    run(tmp_path / "cut", {**PLAIN, **params}, rounds=20)
    assert not run(tmp_path / "cut", {**PLAIN, **params}).state.exact


def test_each_round_draws_other_rows_and_columns(tmp_path: Path) -> None:
    trees = parse(run(tmp_path, SAMPLED).model).dump_model()["tree_info"]
    assert len({tree["tree_structure"]["internal_count"] for tree in trees[:8]}) == 8, "of the same rows"
    assert len({tree["tree_structure"]["split_feature"] for tree in trees}) > 1, "of the same columns"


@pytest.mark.parametrize("params", [PLAIN, SAMPLED, {**PLAIN, "metric": "auc"}], ids=["plain", "sampled", "auc"])
def test_it_stops_early_at_the_best_round_wherever_it_was_cut(tmp_path: Path, params: dict[str, Any]) -> None:
    whole = run(tmp_path / "whole", params, rounds=200, patience=10)
    scores = list(whole.state.validation)
    best = max(scores) if "metric" in params else min(scores)
    assert whole.rounds == scores.index(best) + 1
    assert len(scores) == whole.state.rounds == whole.rounds + 10
    assert parse(whole.model).num_trees() == whole.rounds
    run(tmp_path / "cut", params, rounds=whole.rounds + 3, patience=10)  # after the best round, before the end
    resumed = run(tmp_path / "cut", params, rounds=200, patience=10)
    assert resumed.resumed_from == whole.rounds + 3
    assert resumed.state.validation == whole.state.validation
    assert (resumed.rounds, resumed.model) == (whole.rounds, whole.model)


def test_a_killed_process_is_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    paths = [str(Path(__file__).parent), *sys.path]
    program = test_fit.KILLED.format(paths=paths, folder=str(tmp_path / "killed"))
    program = program.replace("SAMPLED)", f"{SAMPLED!r}, kind=LightgbmRounds)")
    program = "from incumbent.estimators.lightgbm_rounds import LightgbmRounds\n" + program
    done = subprocess.run(
        [sys.executable, "-c", program], timeout=120, check=False, env={"PYTHONPATH": ":".join(paths)}
    )
    assert done.returncode == -SIGKILL
    resumed = run(tmp_path / "killed", SAMPLED)
    assert resumed.resumed_from == 20
    assert resumed.model == run(tmp_path / "whole", SAMPLED).model


def test_balanced_classes_weigh_the_same_and_predictions_stay_probabilities(tmp_path: Path) -> None:
    train, _ = shards(tmp_path / "data")
    keep = (train.labels() == 0) | (np.arange(train.rows) % 10 == 0)  # one positive of ten
    weights = np.where(np.arange(train.rows) % 3 == 0, 2, 1).astype(np.float32)
    positions = np.flatnonzero(keep).astype(np.int32)
    few = Shard(train.files, [Chosen(0, positions, train.labels()[keep], weights[keep])], ENCODER)
    labels, weights = few.labels(), weights[keep]
    weight = float(weights[labels == 0].sum() / weights[labels == 1].sum())
    assert weight > 5
    given = Given("binary", {"max_depth": 2, "learning_rate": 0.1}, 7, "cpu", 1, class_weight=weight)
    before: list[bytes] = []
    plan = Plan(30, None, 30, 1e9, "one", few.rows)
    fitted = fit(LightgbmRounds(given, few, None, None), plan, None, lambda state, model: before.append(model))
    matrix = np.concatenate([batch.matrix for batch in few])
    share = np.average(labels, weights=weights)
    assert np.average(parse(before[-1]).predict(matrix), weights=weights) > 2 * share
    assert np.average(parse(fitted.model).predict(matrix), weights=weights) == pytest.approx(share, rel=1e-4)
    parts = parse(fitted.model).predict(matrix, pred_contrib=True)
    np.testing.assert_allclose(parts.sum(axis=1), parse(fitted.model).predict(matrix, raw_score=True), atol=1e-9)


def test_a_fit_ends_when_no_split_is_left_and_ends_there_again(tmp_path: Path) -> None:
    params = {**PLAIN, "min_gain_to_split": 12}
    whole = run(tmp_path / "whole", params, rounds=200)
    assert 1 < whole.rounds < 200
    run(tmp_path / "cut", params, rounds=whole.rounds - 1)
    resumed = run(tmp_path / "cut", params, rounds=200)
    assert (resumed.rounds, resumed.model) == (whole.rounds, whole.model)
    assert run(tmp_path / "none", {**PLAIN, "min_gain_to_split": 1e9}).rounds == 1, "the mean"


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"num_leafs": 7}, "num_leafs is not a parameter of LightGBM"),
        ({"n_estimators": 7}, "n_estimators is num_iterations, which is not to be set here"),
        ({"boosting_type": "dart"}, "boosting_type is boosting, which is not to be set here"),
        ({"linear_trees": True}, "linear_trees is linear_tree, which is not to be set here"),
        ({"eta": 0.1, "learning_rate": 0.2}, "learning_rate is learning_rate, which is there twice"),
        ({"max_bin": -4}, "max_bin"),
    ],
)
def test_a_parameter_that_cannot_be_taken_is_named(tmp_path: Path, params: dict[str, Any], found: str) -> None:
    with pytest.raises(TrainingError) as caught:
        run(tmp_path, params)
    assert found in str(caught.value.found)
    assert caught.value.where == "train.params in model.yaml"


def test_rows_are_taken_as_they_are_whatever_the_batches(tmp_path: Path) -> None:
    """Numbers, categories, gaps, labels and weights reach LightGBM as a matrix in memory would bring them."""
    rows = wide(tmp_path)
    grown = LightgbmRounds(Given("binary", PLAIN, 7, "cpu", 1), rows, None, None)
    assert all(grown.add() for _ in range(5))
    matrix = np.concatenate([batch.matrix for batch in rows])
    params = {
        "objective": "binary", "num_leaves": 7, "seed": 7, "deterministic": True, "force_row_wise": True,
        "num_threads": 1, "verbosity": -1,
    }  # fmt: skip
    data = lgb.Dataset(matrix, rows.labels(), weight=rows.weights(), categorical_feature=[2], params=params)
    whole = lgb.train(params, data, num_boost_round=5)
    np.testing.assert_array_equal(parse(grown.finish(5)).predict(matrix), whole.predict(matrix))
    assert sum(grown.importance(5).values()) == pytest.approx(1)


def test_constraints_name_features(tmp_path: Path) -> None:
    a, b, c = ENCODER.features
    names = {**PLAIN, "monotone_constraints": {c: -1}, "interaction_constraints": [[a, b], [c]]}
    places = {**PLAIN, "monotone_constraints": [0, 0, -1], "interaction_constraints": [[0, 1], [2]]}
    named = run(tmp_path / "names", names)
    assert named.model == run(tmp_path / "places", places).model
    assert parse(named.model).num_trees() == 30, "a file with names in it cannot be read"


@pytest.mark.parametrize("kind", [LightgbmRounds, test_fit.XgboostRounds])
@pytest.mark.parametrize("constraint", [{"monotone_constraints": {"gust": 1}}, {"interaction_constraints": [["gust"]]}])
def test_a_constraint_on_no_feature_names_it(tmp_path: Path, kind: Any, constraint: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="a constraint names no feature") as caught:
        test_fit.run(tmp_path, constraint, kind=kind)
    assert (caught.value.found, caught.value.expected) == ("gust", f"features: {', '.join(ENCODER.features)}")
    assert caught.value.where == f"train.params.{next(iter(constraint))} in model.yaml"
