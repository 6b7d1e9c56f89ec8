"""A fit that was killed ends with the same bytes as one that was not."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from incumbent.estimators.encoding import Encoder
from incumbent.estimators.xgboost import parse
from incumbent.train.checkpoints import Checkpoints
from incumbent.train.fit import Fitted, fit

pytestmark = pytest.mark.unit

ENCODER = Encoder(("a", "b", "c"), {"c": ("x", "y")})
PLAIN = {"objective": "binary:logistic", "max_depth": 3, "nthread": 1}
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


def data(rows: int = 3000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    matrix = random.normal(size=(rows, 3)).astype(np.float32)
    matrix[:, 2] = random.integers(0, 2, rows)
    return matrix, (matrix[:, 0] + random.normal(size=rows) > 0).astype(np.float64)


def run(folder: Path, params: dict, rounds: int = 30, every: int = 10) -> Fitted:
    return fit(ENCODER, *data(), params, rounds, every, 7, Checkpoints(folder))


@pytest.mark.parametrize("params", EACH_WAY.values(), ids=EACH_WAY)
def test_resumed_equals_undisturbed(tmp_path: Path, params: dict) -> None:
    whole = run(tmp_path / "whole", params)
    run(tmp_path / "cut", params, rounds=20)  # leaves the checkpoint of round 20 behind
    resumed = run(tmp_path / "cut", params)
    assert (whole.resumed_from, resumed.resumed_from) == (None, 20)
    assert (whole.rounds, resumed.rounds) == (30, 30)
    assert resumed.checkpoints == whole.checkpoints == 3
    assert resumed.model == whole.model


@pytest.mark.parametrize("stop", [1, 7, 29])
def test_it_does_not_matter_where_it_stopped_nor_how_often_it_is_kept(tmp_path: Path, stop: int) -> None:
    whole = run(tmp_path / "whole", SAMPLED)
    run(tmp_path / "cut", SAMPLED, rounds=stop)
    assert run(tmp_path / "cut", SAMPLED, every=3).model == whole.model
    assert run(tmp_path / "other", {**SAMPLED, "subsample": 0.6}).model != whole.model


def test_each_round_draws_other_rows_and_columns(tmp_path: Path) -> None:
    trees = json.loads(parse(run(tmp_path, SAMPLED).model).save_raw("json"))["learner"]["gradient_booster"]["model"]
    covers = [tree["sum_hessian"][0] for tree in trees["trees"][:8]]
    assert len(set(covers)) == 8, "of the same rows"
    firsts = {tree["split_indices"][0] for tree in trees["trees"]}
    assert len(firsts) > 1, "of the same columns"


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path[:0] = {paths!r}
from test_fit import *
def report(progress):
    if progress.round == 20:
        os.kill(os.getpid(), signal.SIGKILL)
fit(ENCODER, *data(), PLAIN, 30, 10, 7, Checkpoints(Path({folder!r})), report)
"""


def test_a_killed_process_is_resumed_to_the_same_bytes(tmp_path: Path) -> None:
    paths = [str(Path(__file__).parent), *sys.path]
    program = KILLED.format(paths=paths, folder=str(tmp_path / "killed"))
    done = subprocess.run([sys.executable, "-c", program], timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL
    resumed = run(tmp_path / "killed", PLAIN)
    assert resumed.resumed_from == 20
    assert resumed.model == run(tmp_path / "whole", PLAIN).model


def test_only_the_newest_checkpoints_are_kept(tmp_path: Path) -> None:
    run(tmp_path, PLAIN, rounds=60)
    assert [path.name[:6] for path in sorted(tmp_path.glob("*.ubj"))] == ["000040", "000050", "000060"]


def test_an_altered_checkpoint_is_set_aside_and_the_one_before_it_is_used(tmp_path: Path) -> None:
    run(tmp_path, PLAIN, rounds=20)
    newest = sorted(tmp_path.glob("*.ubj"))[-1]
    newest.write_bytes(newest.read_bytes()[:-1] + b"!")
    resumed = run(tmp_path, PLAIN)
    assert resumed.resumed_from == 10
    assert [path.name for path in (tmp_path / "set-aside").iterdir()] == [newest.name]
    assert resumed.model == run(tmp_path / "whole", PLAIN).model


def test_progress_names_the_process_that_fits(tmp_path: Path) -> None:
    run(tmp_path, PLAIN)
    progress = Checkpoints(tmp_path).progress()
    assert progress is not None
    assert (progress.round, progress.rounds, progress.pid, progress.rows) == (30, 30, os.getpid(), 3000)
