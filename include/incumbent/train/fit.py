"""Fit a booster in segments that end at checkpoints, from nothing or from the newest one.

Without row or column sampling a booster that goes on from its file equals one that never stopped.
With sampling that is only so when the segments are fixed and each has its own seed (XGBoost 3.2
does not keep the state of its random numbers in the file), so then they are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost as xgb

from incumbent.errors import TrainingError
from incumbent.estimators.encoding import Encoder, Matrix
from incumbent.estimators.xgboost import parse, save, training_matrix
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
    booster = parse(newest[1]) if newest else None
    done = start = booster.num_boosted_rounds() if booster else 0
    written = before.checkpoints if before and newest else 0
    resumed = start if newest else None
    sampled = any(float(params.get(name, 1)) < 1 for name in SAMPLING)
    checkpoints.say(Progress(done, rounds, os.getpid(), written, resumed, len(labels)))
    while done < rounds:
        step = min(every - done % every, rounds - done)
        segment = {**params, "seed": seed + done // every if sampled else seed}
        booster = _segment(segment, data, step, booster)
        done = booster.num_boosted_rounds()
        model = save(booster)
        checkpoints.write(done, model)
        written += 1
        progress = Progress(done, rounds, os.getpid(), written, resumed, len(labels))
        checkpoints.say(progress)
        report(progress)
        booster = parse(model)  # the next segment starts from the file, as a resumed one would
    return Fitted(save(booster), done, written, resumed) if booster else Fitted(b"", 0, written, resumed)


def _segment(params: Mapping[str, Any], data: xgb.QuantileDMatrix, rounds: int, booster: xgb.Booster | None) -> Any:
    try:
        return xgb.train(dict(params), data, rounds, xgb_model=booster, verbose_eval=False)
    except (xgb.core.XGBoostError, TypeError, ValueError) as error:
        said = str(error).partition("Stack trace")[0]
        raise TrainingError(
            "XGBoost refused to train",
            where="train.params in model.yaml",
            expected="parameters that XGBoost accepts",
            found=" ".join(said.split())[:300],
            next_step="correct train.params",
        ) from error
