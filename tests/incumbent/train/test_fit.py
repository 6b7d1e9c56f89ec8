"""A fit that was killed ends with the same bytes as one that was not."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xgboost as xgb

from incumbent.errors import TrainingError, UnavailableError
from incumbent.estimators import xgboost_rounds
from incumbent.estimators.bins import learn_bins
from incumbent.estimators.encoding import Encoder, Matrix
from incumbent.estimators.rounds import Given, Rounds
from incumbent.estimators.shards import Chosen, Shard
from incumbent.estimators.xgboost import parse
from incumbent.estimators.xgboost_rounds import SEGMENT, XgboostRounds, binned
from incumbent.store.local import LocalBlobs
from incumbent.train.checkpoints import Checkpoints, State
from incumbent.train.fit import Fitted, Plan, fit
from incumbent.train.progress import Progress

pytestmark = pytest.mark.unit

ENCODER = Encoder(("a", "b", "c"), {"c": ("x", "y")})
PLAIN = {"max_depth": 3}
SAMPLED = {**PLAIN, "subsample": 0.5, "colsample_bytree": 0.7}
EACH_WAY = {
    "plain": PLAIN,
    "rows": {**PLAIN, "subsample": 0.5},
    "columns of a tree": {**PLAIN, "colsample_bytree": 0.7},
    "columns of a level": {**PLAIN, "colsample_bylevel": 0.7},
    "columns of a node": {**PLAIN, "colsample_bynode": 0.7},
    "both": SAMPLED,
    "several trees a round": {**SAMPLED, "num_parallel_tree": 3},
}


def shards(folder: Path, rows: int = 3000, classes: tuple[str, ...] = ()) -> tuple[Shard, Shard]:
    """Write rows into one file, and return three quarters of them and the rest; of three classes the last is rare."""
    random = np.random.default_rng(1)
    table = pa.table({name: random.normal(size=rows) for name in "ab"} | {"c": random.choice(["x", "y"], rows)})
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "rows.parquet", row_group_size=700)
    told = table["a"].to_numpy() + random.normal(size=rows)
    labels = np.digitize(told, [0, 2.5] if classes else [0]).astype(np.float64)
    cut = rows * 3 // 4
    ends = ((0, cut), (cut, rows))
    chosen = [Chosen(0, np.arange(a, b, dtype=np.int32), labels[a:b], None) for a, b in ends]
    encoder = replace(ENCODER, classes=classes)
    train, validation = (Shard([folder / "rows.parquet"], [each], encoder) for each in chosen)
    return train, validation


def run(
    folder: Path,
    params: dict[str, Any],
    rounds: int = 30,
    every: int = 10,
    patience: int | None = None,
    tell: Callable[[Progress], None] = lambda progress: None,
    stop: int = 0,
    kind: Callable[..., Rounds] = XgboostRounds,
    classes: tuple[str, ...] = (),
    **given: Any,
) -> Fitted:
    train, validation = shards(folder / "data", classes=classes)
    checkpoints = kept(folder)
    start = checkpoints.newest()
    grown = kind(
        Given("multiclass" if classes else "binary", params, 7, "cpu", 1, bins_of(train), **given),
        train,
        validation if patience else None,
        None if start is None else start.model,
    )
    plan = Plan(rounds, patience, every, 1e9, "cpu, 1 worker of 1 thread", train.rows)

    def keep(state: State, model: bytes) -> None:
        checkpoints.write(state, model)
        if stop and state.rounds >= stop:
            raise Stopped

    return fit(grown, plan, start, keep, tell)


class Stopped(Exception):
    """The end of a fit after a checkpoint."""


def bins_of(shard: Shard) -> Matrix:
    return learn_bins(shard.files, shard.chosen, shard.encoder)


def kept(folder: Path) -> Checkpoints:
    return Checkpoints(LocalBlobs(folder), "w" * 64)


@pytest.mark.parametrize("params", EACH_WAY.values(), ids=EACH_WAY)
def test_resumed_equals_undisturbed(tmp_path: Path, params: dict[str, Any]) -> None:
    whole = run(tmp_path / "whole", params)
    with pytest.raises(Stopped):
        run(tmp_path / "cut", params, stop=20)
    resumed = run(tmp_path / "cut", params)
    assert (whole.resumed_from, resumed.resumed_from) == (None, 20)
    assert (whole.rounds, resumed.rounds) == (30, 30)
    assert resumed.state == whole.state
    assert resumed.model == whole.model


@pytest.mark.parametrize("stop", [1, 7, 24])
def test_it_does_not_matter_where_it_stopped_nor_how_often_it_is_kept(tmp_path: Path, stop: int) -> None:
    whole = run(tmp_path / "whole", SAMPLED)
    with pytest.raises(Stopped):
        run(tmp_path / "cut", SAMPLED, every=1, stop=stop)
    resumed = run(tmp_path / "cut", SAMPLED, every=3)
    assert resumed.resumed_from == -(-stop // SEGMENT) * SEGMENT
    assert resumed.model == whole.model
    assert run(tmp_path / "other", {**SAMPLED, "subsample": 0.6}).model != whole.model


def test_each_round_draws_other_rows_and_columns(tmp_path: Path) -> None:
    trees = json.loads(parse(run(tmp_path, SAMPLED).model).save_raw("json"))["learner"]["gradient_booster"]["model"]
    covers = [tree["sum_hessian"][0] for tree in trees["trees"][:8]]
    assert len(set(covers)) == 8, "of the same rows"
    firsts = {tree["split_indices"][0] for tree in trees["trees"]}
    assert len(firsts) > 1, "of the same columns"


@pytest.mark.parametrize("params", [PLAIN, SAMPLED, {**PLAIN, "eval_metric": "auc"}], ids=["plain", "sampled", "auc"])
def test_it_stops_early_at_the_best_round_wherever_it_was_cut(tmp_path: Path, params: dict[str, Any]) -> None:
    whole = run(tmp_path / "whole", params, rounds=200, patience=10)
    scores = list(whole.state.validation)
    best = max(scores) if "eval_metric" in params else min(scores)
    assert whole.rounds == scores.index(best) + 1
    assert len(scores) == whole.state.rounds == whole.rounds + 10
    assert parse(whole.model).num_boosted_rounds() == whole.rounds
    with pytest.raises(Stopped):  # after the best round, before the end
        run(tmp_path / "cut", params, rounds=200, every=1, patience=10, stop=whole.rounds + 3)
    resumed = run(tmp_path / "cut", params, rounds=200, patience=10)
    assert resumed.resumed_from is not None
    assert whole.rounds + 3 <= resumed.resumed_from < whole.state.rounds
    assert resumed.state.validation == whole.state.validation
    assert (resumed.rounds, resumed.model) == (whole.rounds, whole.model)


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from test_fit import *
class Dying(Checkpoints):
    def write(self, state, model):
        super().write(state, model)
        if state.rounds == 20:
            os.kill(os.getpid(), signal.SIGKILL)
import test_fit
test_fit.Checkpoints = Dying
run(Path({folder!r}), SAMPLED)
"""


def test_a_killed_process_is_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    paths = [str(Path(__file__).parent), *sys.path]
    program = KILLED.format(paths=paths, folder=str(tmp_path / "killed"))
    done = subprocess.run([sys.executable, "-c", program], timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    resumed = run(tmp_path / "killed", SAMPLED)
    assert resumed.resumed_from == 20
    assert resumed.model == run(tmp_path / "whole", SAMPLED).model


def test_a_fit_that_went_on_elsewhere_says_that_it_is_not_exact(tmp_path: Path) -> None:
    run(tmp_path, PLAIN, rounds=10)
    checkpoints, (train, _) = kept(tmp_path), shards(tmp_path / "data")
    start = checkpoints.newest()
    assert start is not None
    assert start.state.exact
    grown = XgboostRounds(Given("binary", PLAIN, 7, "cpu", 1, bins_of(train)), train, None, start.model)
    fitted = fit(grown, Plan(20, None, 10, 1e9, "cpu, 2 workers of 1 thread", 1), start, checkpoints.write)
    assert not fitted.state.exact
    assert not run(tmp_path, PLAIN).state.exact, "it is not forgotten"


def test_checkpoints_are_also_kept_by_the_clock(tmp_path: Path) -> None:
    train, _ = shards(tmp_path / "data")
    seconds = iter(range(0, 10_000, 4))
    written: list[int] = []
    grown = XgboostRounds(Given("binary", PLAIN, 7, "cpu", 1, bins_of(train)), train, None, None)
    plan = Plan(25, None, 25, 60, "one", train.rows)
    fit(grown, plan, None, lambda state, model: written.append(state.rounds), clock=lambda: float(next(seconds)))
    assert 1 < len(written) < 25
    assert written[-1] == 25


def test_balanced_classes_weigh_the_same_and_predictions_stay_probabilities(tmp_path: Path) -> None:
    train, _ = shards(tmp_path / "data")
    labels = np.concatenate([batch.labels for batch in train])
    keep = (labels == 0) | (np.arange(len(labels)) % 10 == 0)  # one positive of ten
    positions = np.flatnonzero(keep).astype(np.int32)
    few = Shard(train.files, [Chosen(0, positions, labels[keep], None)], ENCODER)
    weight = float((labels[keep] == 0).sum() / (labels[keep] == 1).sum())
    assert weight > 5
    grown = XgboostRounds(
        Given("binary", {"max_depth": 2, "eta": 0.1}, 7, "cpu", 1, bins_of(few), weight), few, None, None
    )
    before: list[bytes] = []
    plan = Plan(30, None, 30, 1e9, "one", few.rows)
    fitted = fit(grown, plan, None, lambda state, model: before.append(model))
    matrix = xgb.DMatrix(
        np.concatenate([batch.matrix for batch in few]), feature_names=list("abc"), feature_types=ENCODER.types
    )
    assert parse(before[-1]).predict(matrix).mean() > 2 * labels[keep].mean()
    assert parse(fitted.model).predict(matrix).mean() == pytest.approx(labels[keep].mean(), rel=1e-4)


def test_rows_on_disk_give_the_model_of_rows_in_memory(tmp_path: Path) -> None:
    (tmp_path / "binned").mkdir()
    outside = run(tmp_path / "outside", SAMPLED, external=tmp_path / "binned")
    inside = run(tmp_path / "inside", SAMPLED)
    assert outside.state.train["30"] == pytest.approx(inside.state.train["30"], abs=1e-3)


def test_rows_that_the_disk_has_no_room_for_are_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XGBoost ends its process on a full disk, and says nothing that anybody would read."""
    (tmp_path / "binned").mkdir()
    needed, written = list[int](), list[int]()

    def counted(*given: Any) -> Any:
        rows = binned(*given)
        written.append(sum(file.stat().st_size for file in (tmp_path / "binned").iterdir()))
        return rows

    monkeypatch.setattr(xgboost_rounds, "binned", counted)
    monkeypatch.setattr(xgboost_rounds, "need_room", lambda folder, size, *_: needed.append(size))
    run(tmp_path / "fits", PLAIN, external=tmp_path / "binned")
    assert 0.3 < needed[0] / max(written) <= 1
    monkeypatch.undo()
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=needed[0] - 1))
    with pytest.raises(UnavailableError, match="too little room"):
        run(tmp_path / "does not", PLAIN, external=tmp_path / "binned")


def test_a_score_that_is_no_number_ends_the_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(XgboostRounds, "score", lambda rounds, rows: float("nan"))
    with pytest.raises(TrainingError, match="score is not finite") as caught:
        run(tmp_path, PLAIN)
    assert caught.value.where == "round 25, logloss of the train rows"


def test_a_resumed_fit_tells_the_score_that_it_resumed_with(tmp_path: Path) -> None:
    """A checkpoint's rounds are in the order of text: 75 stands behind 125."""
    with pytest.raises(Stopped):
        run(tmp_path, PLAIN, rounds=130, every=25, stop=125)
    seen: list[Progress] = []
    resumed = run(tmp_path, PLAIN, rounds=130, every=25, tell=seen.append)
    scores = resumed.state.train
    assert seen[0].score == scores["125"] != scores["75"]


def test_a_parameter_that_is_refused_is_shown(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="XGBoost refused to train") as caught:
        run(tmp_path, {"eta": "fast", "max_depth": 3})
    assert caught.value.where == "train.params in model.yaml: eta 'fast', max_depth 3"


@pytest.mark.parametrize(
    ("params", "named", "meant"),
    [
        ({"max_dept": 3, "eta": 0.1}, "max_dept", "max_depth"),
        ({"lamda": 1, "sub_sample": 0.5}, "lamda, sub_sample", "lambda, subsample"),
        ({"rate_drop": 0.1}, "rate_drop", ""),
        ({"n_estimators": 100}, "n_estimators", ""),
    ],
)
def test_a_parameter_that_nothing_reads_is_named_with_those_that_may_be_meant(
    tmp_path: Path, params: dict[str, Any], named: str, meant: str
) -> None:
    with pytest.raises(TrainingError) as caught:
        run(tmp_path, params, rounds=1)
    assert (caught.value.what, caught.value.found) == ("a parameter cannot be taken", named)
    assert str(caught.value.expected).partition(": ")[2] == (f"{meant}?" if meant else "")


TAKEN = {
    "eta": 0.1, "reg_lambda": 1, "alpha": 0.1, "min_split_loss": 0, "max_leaves": 5, "grow_policy": "lossguide",
    "validate_parameters": True, "max_cat_to_onehot": 4, "num_parallel_tree": 2, "sampling_method": "uniform",
    "verbosity": 0, "n_jobs": 1,
    "monotone_constraints": {"a": 1}, "interaction_constraints": [["a", "b"]], "huber_slope": 1.5,
    "disable_default_eval_metric": True, "scale_pos_weight": 2, "base_score": 0.4, "eval_metric": ["auc", "mphe"],
}  # fmt: skip


def test_each_parameter_that_xgboost_reads_is_taken_under_any_alias(tmp_path: Path) -> None:
    dart = {"booster": "dart", "rate_drop": 0.1, "learning_rate": 0.1, "lambda": 1}
    done = [run(tmp_path / name, params, rounds=1) for name, params in (("tree", TAKEN), ("dart", dart))]
    assert [fitted.rounds for fitted in done] == [1, 1], "none of them was refused"


def test_progress_names_the_process_the_speed_and_the_score(tmp_path: Path) -> None:
    seen: list[Progress] = []
    run(tmp_path, PLAIN, tell=seen.append, patience=40)
    assert (seen[0].round, seen[0].rounds, seen[0].metric) == (0, 30, "")
    last = seen[-1]
    assert (last.round, last.rounds, last.pids, last.rows, last.checkpoint) == (30, 30, (os.getpid(),), 2250, 30)
    assert last.rows_per_s > 0
    assert last.metric == "validation logloss"
    assert 0 < last.score < 1
    assert Progress.from_json(last.to_json()) == last
