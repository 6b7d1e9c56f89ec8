"""The folder's own metric and objective: what they are given, what goes by them, and the same bytes after a kill."""

import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_fit_lightgbm
import xgboost as xgb
from small_training import REQUEST, class_model, small_settings, small_store
from test_fit import EACH_WAY, ENCODER, PLAIN, SAMPLED, Stopped, bins_of, run, shards
from xgboost.collective import CommunicatorContext
from xgboost.tracker import RabitTracker

from incumbent.errors import TrainingError
from incumbent.estimators.lightgbm_rounds import LightgbmRounds
from incumbent.estimators.rounds import Given
from incumbent.estimators.shards import Chosen, Shard
from incumbent.estimators.xgboost import parse
from incumbent.estimators.xgboost_rounds import XgboostRounds
from incumbent.functions import Functions
from incumbent.train.stage import train_candidate

pytestmark = pytest.mark.unit
METRIC = """
import numpy as np
METRIC_LARGER_IS_BETTER = False

def metric(labels, predictions, weights):
    return np.average((labels - predictions) ** 2, weights=weights)
"""
OBJECTIVE = """
import numpy as np

def objective(labels, margins, weights):
    chance = 1 / (1 + np.exp(-margins))
    weight = 1.0 if weights is None else weights
    return weight * (chance - labels), weight * chance * (1 - chance)
"""
FOCUSED = OBJECTIVE.replace("chance - labels", "np.sign(chance - labels) * np.abs(chance - labels) ** 2")
BOTH = Functions.of(METRIC + FOCUSED)


def predicted(model: bytes, shard: Shard) -> Any:
    matrix = np.concatenate([batch.matrix for batch in shard])
    return parse(model).predict(xgb.DMatrix(matrix, feature_names=list("abc"), feature_types=ENCODER.types))


def intercept(model: bytes) -> str:
    return str(json.loads(parse(model).save_config())["learner"]["learner_model_param"]["base_score"])


@pytest.mark.parametrize(
    "given",
    [{}, {"class_weight": 3.0}, {"params": {"scale_pos_weight": 3.0}}, {"params": {"base_score": 0.3}}],
    ids=["plain", "balanced", "weight of a class", "given"],
)
def test_the_estimators_own_objective_written_by_hand_begins_where_it_does(
    tmp_path: Path, given: dict[str, Any]
) -> None:
    params = {**PLAIN, **given.pop("params", {})}
    native = run(tmp_path / "native", params, rounds=1, **given)
    own = run(tmp_path / "own", params, rounds=1, functions=Functions.of(OBJECTIVE), **given)
    assert intercept(own.model) == intercept(native.model)
    assert intercept(own.model) != "[5E-1]"
    if "scale_pos_weight" not in params:  # what rows weigh beyond their weights is the function's to say
        train, _ = shards(tmp_path / "rows")
        np.testing.assert_allclose(predicted(own.model, train), predicted(native.model, train), atol=1e-6)


@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_its_trees_are_those_of_the_estimator_and_another_ones_are_not(tmp_path: Path, weight: float) -> None:
    train, _ = shards(tmp_path / "rows")
    native, own, other = (
        predicted(run(tmp_path / name, SAMPLED, class_weight=weight, functions=functions).model, train)
        for name, functions in (
            ("native", Functions()),
            ("own", Functions.of(OBJECTIVE)),
            ("other", Functions.of(FOCUSED)),
        )
    )
    np.testing.assert_allclose(own, native, atol=1e-4)
    assert np.abs(other - native).max() > 0.01
    assert own.mean() == pytest.approx(train.labels().mean(), abs=5e-3), "balanced or not, probabilities"
    assert 0 < own.min() < own.max() < 1


@pytest.mark.parametrize("functions", [METRIC, FOCUSED, METRIC + FOCUSED], ids=["metric", "objective", "both"])
@pytest.mark.parametrize("params", EACH_WAY.values(), ids=EACH_WAY)
def test_resumed_equals_undisturbed(tmp_path: Path, params: dict[str, Any], functions: str) -> None:
    given = {"functions": Functions.of(functions), "class_weight": 1.5}
    whole = run(tmp_path / "whole", params, **given)
    with pytest.raises(Stopped):
        run(tmp_path / "cut", params, stop=20, **given)
    resumed = run(tmp_path / "cut", params, **given)
    assert (whole.resumed_from, resumed.resumed_from) == (None, 20)
    assert resumed.state.exact
    assert resumed.state == whole.state
    assert resumed.model == whole.model


@pytest.mark.parametrize("params", [PLAIN, SAMPLED], ids=["plain", "sampled"])
def test_it_stops_early_by_the_own_metric_wherever_it_was_cut(tmp_path: Path, params: dict[str, Any]) -> None:
    whole = run(tmp_path / "whole", params, rounds=200, patience=10, functions=BOTH)
    assert whole.metric == "model.py:metric"
    scores = list(whole.state.validation)
    assert whole.rounds == scores.index(min(scores)) + 1
    assert len(scores) == whole.state.rounds == whole.rounds + 10
    with pytest.raises(Stopped):
        run(tmp_path / "cut", params, rounds=200, every=1, patience=10, stop=whole.rounds + 3, functions=BOTH)
    resumed = run(tmp_path / "cut", params, rounds=200, patience=10, functions=BOTH)
    assert resumed.resumed_from is not None
    assert resumed.state.validation == whole.state.validation
    assert (resumed.rounds, resumed.model) == (whole.rounds, whole.model)


def test_scores_are_what_the_metric_says_of_labels_predictions_and_weights(tmp_path: Path) -> None:
    own = {"functions": Functions.of(METRIC), "class_weight": 3.0}
    fitted = run(tmp_path, PLAIN, patience=30, **own)  # never stops before the last round
    for role, shard in zip(("train", "validation"), shards(tmp_path / "data"), strict=True):
        labels, final = shard.labels(), fitted.state.rounds
        grown = XgboostRounds(Given("binary", PLAIN, 7, "cpu", 1, bins_of(shards(tmp_path / "data")[0]), **own),
                              *shards(tmp_path / "data"), None)  # fmt: skip
        for _ in range(final):
            grown.add()
        expected = np.average((labels - predicted(grown.save(), shard)) ** 2, weights=np.where(labels == 1, 3.0, 1.0))
        said = fitted.state.train[str(final)] if role == "train" else fitted.state.validation[-1]
        assert said == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("larger", [True, False])
def test_the_best_round_is_the_largest_or_the_smallest_as_the_file_says(tmp_path: Path, larger: bool) -> None:
    text = METRIC.replace("= False", f"= {larger}").replace("return ", f"return {'-' if larger else ''}")
    fitted = run(tmp_path, PLAIN, rounds=200, patience=10, functions=Functions.of(text))
    scores = list(fitted.state.validation)
    assert fitted.rounds == scores.index((max if larger else min)(scores)) + 1
    assert 10 < fitted.rounds < 190


@pytest.mark.parametrize(
    ("gives", "found"),
    [
        ("None", "a NoneType"),
        ("1.0", "a float"),
        ("margins", "a ndarray"),
        ("(margins, margins, margins)", "a tuple"),
        ("('a', 'b')", "a tuple"),
        ("(margins[1:], margins[1:])", "shapes (2249,) and (2249,)"),
        ("(margins, margins.sum())", "shapes (2250,) and ()"),
        ("(margins[:, None], margins[:, None])", "shapes (2250, 1) and (2250, 1)"),
        ("(np.where(labels == 1, np.nan, 0), margins)", " of 2250 NaN or infinite"),
        ("(margins, margins + 1e300)", "2250 of 2250 NaN or infinite"),
    ],
)
def test_gradients_that_nothing_can_be_learned_from_are_one_error(tmp_path: Path, gives: str, found: str) -> None:
    text = f"import numpy as np\ndef objective(labels, margins, weights):\n    return {gives}\n"
    with pytest.raises(TrainingError, match=r"objective of model\.py gives no gradients") as caught:
        run(tmp_path, PLAIN, functions=Functions.of(text))
    assert str(caught.value.found).endswith(found)
    assert caught.value.where == "model.py: objective"
    assert "(2250,)" in str(caught.value.expected)


@pytest.mark.parametrize("kind", [XgboostRounds, LightgbmRounds])
def test_a_metric_that_gives_no_number_is_an_error(tmp_path: Path, kind: Any) -> None:
    nothing = METRIC.replace("return ", "return None and ")
    with pytest.raises(TrainingError, match=r"metric of model\.py gives no number"):
        run(tmp_path / "a", {}, kind=kind, functions=Functions.of(nothing))
    with pytest.raises(TrainingError, match="score is not finite") as caught:
        run(tmp_path / "b", {}, kind=kind, functions=Functions.of(METRIC.replace("return ", "return np.nan * ")))
    assert caught.value.where == "round 25, model.py:metric of the train rows"
    with pytest.raises(TrainingError, match=r"a function of model\.py failed") as failed:
        run(tmp_path / "c", {}, kind=kind, functions=Functions.of(METRIC.replace("np.average", "np.averige")))
    assert failed.value.where == "model.py, line 6: metric"


@pytest.mark.parametrize("params", [test_fit_lightgbm.PLAIN, test_fit_lightgbm.SAMPLED], ids=["plain", "sampled"])
def test_lightgbm_goes_by_the_own_metric_to_the_same_bytes(tmp_path: Path, params: dict[str, Any]) -> None:
    own: dict[str, Any] = {"functions": Functions.of(METRIC), "class_weight": 1.5, "kind": LightgbmRounds}
    whole = run(tmp_path / "whole", params, rounds=200, patience=10, **own)
    scores = list(whole.state.validation)
    assert (whole.metric, whole.rounds) == ("model.py:metric", scores.index(min(scores)) + 1)
    with pytest.raises(Stopped):
        run(tmp_path / "cut", params, rounds=200, every=1, patience=10, stop=whole.rounds + 3, **own)
    resumed = run(tmp_path / "cut", params, rounds=200, patience=10, **own)
    assert resumed.resumed_from is not None
    assert resumed.state.exact
    assert resumed.state.validation == whole.state.validation
    assert (resumed.rounds, resumed.model) == (whole.rounds, whole.model)
    _, validation = shards(tmp_path / "rows")
    labels, matrix = validation.labels(), np.concatenate([batch.matrix for batch in validation])
    chance = test_fit_lightgbm.parse(whole.model).predict(matrix)
    native = run(tmp_path / "native", {**params, "metric": "auc"}, rounds=200, patience=10, kind=LightgbmRounds)
    assert native.metric == "auc"
    squares, weights = (labels - chance) ** 2, np.where(labels == 1, 1.5, 1.0)
    # The intercept is moved back at the end, so what was said of the last round is only near.
    assert min(scores) == pytest.approx(np.average(squares, weights=weights), rel=0.05)


def together(folder: Path, world: int, functions: Functions) -> list[tuple[float, float, bytes]]:
    """Fit so many shares side by side; return each worker's scores and model."""
    train, validation = shards(folder)
    bins, found = bins_of(train), dict[int, tuple[float, float, bytes]]()
    few = Shard(train.files, [replace(train.chosen[0], weights=(1 + np.arange(train.rows) % 3).astype(np.float32))],
                ENCODER)  # fmt: skip
    tracker = RabitTracker(world, "127.0.0.1", sortby="task", timeout=60)
    tracker.start()

    def fit(rank: int) -> None:
        with CommunicatorContext(**tracker.worker_args(), dmlc_task_id=f"{rank:05d}"):
            share = Shard(few.files, few.chosen, ENCODER, rank, world)
            given = Given("binary", PLAIN, 7, "cpu", 1, bins, functions=functions)
            rounds = XgboostRounds(given, share, Shard(validation.files, validation.chosen, ENCODER), None)
            for _ in range(10):
                rounds.add()
            found[rank] = (rounds.score("train"), rounds.score("validation"), rounds.finish(10))

    workers = [threading.Thread(target=fit, args=(rank,)) for rank in range(world)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    tracker.free()
    return [found[rank] for rank in range(world)]


def test_workers_agree_on_the_intercept_the_trees_and_the_scores(tmp_path: Path) -> None:
    (alone,) = together(tmp_path, 1, BOTH)
    first, second = together(tmp_path, 2, BOTH)
    assert first == second
    first_at, alone_at = (float(intercept(each[2]).strip("[]")) for each in (first, alone))
    assert first_at == pytest.approx(alone_at, abs=1e-7)
    assert alone_at == pytest.approx(0.4889, abs=1e-4), "as the rows weigh"
    train, _ = shards(tmp_path)
    np.testing.assert_allclose(predicted(first[2], train), predicted(alone[2], train), atol=1e-5)
    assert first[:2] == pytest.approx(alone[:2], rel=1e-5), "a mean over the rows is that of the workers' means"


def test_weights_of_rows_are_given_where_there_are_any(tmp_path: Path) -> None:
    train, _ = shards(tmp_path)
    seen = METRIC.replace("return ", "return np.nan if weights is None else weights.sum() + 0 * ")
    weighed = Shard(train.files, [Chosen(0, train.chosen[0].positions, train.labels(), np.full(2250, 2, np.float32))],
                    ENCODER)  # fmt: skip
    for shard, expected in ((weighed, 4500.0), (train, np.nan)):
        rounds = XgboostRounds(
            Given("binary", PLAIN, 7, "cpu", 1, bins_of(train), functions=Functions.of(seen)), shard, None, None
        )
        rounds.add()
        assert rounds.score("train") == pytest.approx(expected, nan_ok=True)


OF_CLASSES = """
import numpy as np
METRIC_LARGER_IS_BETTER = False

def metric(labels, predictions, weights):
    return -np.log(predictions[np.arange(len(labels)), labels.astype(int)]).mean()

def objective(labels, margins, weights):
    odds = np.exp(margins - margins.max(axis=1, keepdims=True))
    chances = odds / odds.sum(axis=1, keepdims=True)
    return chances - np.eye(margins.shape[1])[labels.astype(int)], np.maximum(2 * chances * (1 - chances), 1e-6)
"""


def test_of_several_classes_each_has_a_column(tmp_path: Path) -> None:
    """XGBoost's own objective and metric, written down, learn what they do themselves."""
    found = []
    for name, text in (("native", ""), ("own", OF_CLASSES)):
        store, snapshot = small_store(tmp_path / name, states=True)
        model = class_model(params={"max_depth": 3}, early_stopping=8, validation_days=5)
        model = model.with_functions(Functions.of(text))
        found.append(train_candidate(store, model, snapshot, REQUEST, small_settings(tmp_path / name)))
    native, own = found
    assert (native.metric, own.metric) == ("mlogloss", "model.py:metric")
    assert own.rounds == native.rounds < 40
    assert own.scores["validation"] == pytest.approx(native.scores["validation"], abs=1e-6)
