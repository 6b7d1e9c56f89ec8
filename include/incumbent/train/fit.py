"""Fit a booster round by round, from nothing or from the newest checkpoint, to the same bytes.

Without row or column sampling a booster that goes on from its file equals one that never stopped. With sampling it
does not by itself: the file has no state of random numbers, and what draws them is made in the first round of a
process. So each round is seeded by its own number, and draws with samplers of its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from incumbent.errors import TrainingError
from incumbent.estimators.encoding import Encoder, Matrix
from incumbent.estimators.xgboost import save, training_matrix
from incumbent.train.checkpoints import Checkpoints, Progress

SAMPLING = ("subsample", "colsample_bytree", "colsample_bylevel", "colsample_bynode")


@dataclass(frozen=True)
class Fitted:
    """What a fit gave: the model file, and where it came from.

    Attributes:
        model: Booster as UBJSON.
        rounds: Rounds in it.
        checkpoints: Checkpoints written over all attempts.
        resumed_from: Round the last attempt started from; None if from nothing.
    """

    model: bytes
    rounds: int
    checkpoints: int
    resumed_from: int | None


def fit(
    encoder: Encoder,
    matrix: Matrix,
    labels: npt.NDArray[np.float64],
    params: Mapping[str, Any],
    rounds: int,
    every: int,
    seed: int,
    checkpoints: Checkpoints,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Fitted:
    """Return the booster of so many rounds, checkpointed every few.

    Args:
        encoder: Features and vocabulary.
        matrix: Training rows, shape (n_rows, n_features).
        labels: Truth, shape (n_rows,).
        params: Booster parameters.
        rounds: Rounds wanted in all.
        every: Rounds between two checkpoints.
        seed: Base seed.
        checkpoints: Where to go on from and to write to.
        report: Called after each checkpoint.
    """
    data = training_matrix(encoder, matrix, labels)
    newest, before = checkpoints.newest(), checkpoints.progress()
    written = before.checkpoints if before and newest else 0
    sampled = any(float(params.get(name, 1)) < 1 for name in SAMPLING)
    given = {**params, "seed": seed, "seed_per_iteration": sampled}
    with _said():
        booster = xgb.Booster(given, [data], model_file=bytearray(newest[1]) if newest else None)
    done = booster.num_boosted_rounds() if newest else 0
    resumed = done if newest else None
    checkpoints.say(Progress(done, rounds, os.getpid(), written, resumed, len(labels)))
    while done < rounds:
        with _said():
            if sampled:
                _new_samplers(booster)
            booster.update(data, iteration=done)
        done += 1
        if done % every == 0 or done == rounds:
            checkpoints.write(done, save(booster))
            written += 1
            progress = Progress(done, rounds, os.getpid(), written, resumed, len(labels))
            checkpoints.say(progress)
            report(progress)
    return Fitted(save(booster), done, written, resumed)


def _new_samplers(booster: xgb.Booster) -> None:
    """Have the next round make its tree builder anew, which then draws from that round's seed alone.

    XGBoost throws a builder away when the tree method changes; the binned data is the matrix's and stays.
    """
    for method in ("approx", "hist"):
        booster.set_param({"tree_method": method})
        booster.save_config()  # parameters take effect when somebody asks


@contextmanager
def _said() -> Iterator[None]:
    """Tell what XGBoost refuses in our words."""
    try:
        yield
    except (xgb.core.XGBoostError, TypeError, ValueError) as error:
        said = str(error).partition("Stack trace")[0]
        raise TrainingError(
            "XGBoost refused to train",
            where="train.params in model.yaml",
            expected="parameters that XGBoost accepts",
            found=" ".join(said.split())[:300],
            next_step="correct train.params",
        ) from error
