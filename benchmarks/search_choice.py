"""What becomes of a search: whether nodes stand for seconds, which rounds to fit, and what the sampler is told."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pyarrow as pa
import xgboost as xgb
from scipy.stats import spearmanr

from benchmarks.harness import Figure, figure
from benchmarks.leak_tables import Table, tables
from benchmarks.search_problem import KIND, Problem, Told
from incumbent.config import Search
from incumbent.estimators.encoding import Encoder
from incumbent.estimators.xgboost import steps
from incumbent.records import Trial
from incumbent.train.pareto import choose_trial
from incumbent.train.suggest import distribution, suggest
from incumbent.train.trial import Asked, learn

REFIT_SEEDS = range(20)
STEERED_SEEDS = range(10)
TRIALS = 24
ROUNDS = 200
TOLERANCE = 0.002
OBJECTIVES = ("quality", "latency")
SPACE = Search().space_of(KIND)


def latency() -> Iterator[Figure]:
    """Yield how far the order of models by the nodes that a row passes is from their order by seconds."""
    with tempfile.TemporaryDirectory(prefix="incumbent-bench-") as folder:
        problem = Problem(tables("late flights")[0], 0, Path(folder))
        costs: list[tuple[float, float]] = []
        for depth in (2, 4, 6, 8, 10):
            curve = problem.curve({"max_depth": depth})
            for count in (10, 50, 200):
                curve.upto(count)
                model = curve.rounds.finish(count)
                costs.append((steps(model), problem.predict_seconds(model)))
    yield figure("latency: 1 - rank_correlation", 1 - float(spearmanr(*zip(*costs, strict=True)).statistic), "", 0.1)


def refitted() -> Iterator[Figure]:
    """Yield what the validation rows bring to the last fit, and what scaling its rounds by the rows would.

    Both are shares of the score on rows that nobody has seen: of the trial's model, and of the model with the
    rounds as found.
    """
    names = ("late flights", "rain", "air time", "diabetes")
    found = [_refit(table, seed) for table in tables(*names) for seed in REFIT_SEEDS]
    with_all, scaled = zip(*found, strict=True)
    yield figure("refit on all rows: mean_loss", statistics.mean(with_all), "share", 0.0)
    yield figure("rounds scaled by rows: mean_loss", statistics.mean(scaled), "share")
    yield figure("rounds scaled by rows: better", sum(loss < 0 for loss in scaled) / len(scaled), "share", 0.6)


def _refit(table: Table, seed: int) -> tuple[float, float]:
    rows = pa.Table.from_pandas(table.draw(seed), preserve_index=False)
    labels = np.asarray(rows["label"], dtype=np.float64)
    first, second = int(rows.num_rows * 0.6), int(rows.num_rows * 0.75)
    encoder = Encoder.learn(rows.slice(0, second), [name for name in rows.column_names if name != "label"])
    whole = encoder.matrix(rows)

    def part(start: int, end: int) -> xgb.DMatrix:
        return xgb.DMatrix(
            whole[start:end], label=labels[start:end], feature_types=encoder.types, enable_categorical=True
        )

    objective = {"binary": "binary:logistic", "regression": "reg:squarederror"}[table.task]
    metric = {"binary": "logloss", "regression": "rmse"}[table.task]
    params: dict[str, Any] = {"objective": objective, "eval_metric": metric, "learning_rate": 0.05, "nthread": 1}
    held, unseen = [(part(first, second), "validation")], part(second, rows.num_rows)
    trial = xgb.train(params, part(0, first), 400, evals=held, early_stopping_rounds=40, verbose_eval=False)
    count = trial.best_iteration + 1
    all_rows = xgb.train(params, part(0, second), round(count * second / first))
    trials, found, scaled = (
        float(model.eval(unseen).rpartition(":")[2]) for model in (trial[:count], all_rows[:count], all_rows)
    )
    return found / trials - 1, scaled / found - 1


def steered() -> Iterator[Figure]:
    """Yield what is chosen if the sampler looks for latency too, as shares of what it is if for quality alone."""
    found = [_steered(table, seed) for table in tables("late flights", "rain") for seed in STEERED_SEEDS]
    losses, latencies = zip(*found, strict=True)
    yield figure("latency to the sampler too: mean_loss", statistics.mean(losses), "share")
    yield figure("latency to the sampler too: latency", latencies, "share")


def _steered(table: Table, seed: int) -> tuple[float, float]:
    with tempfile.TemporaryDirectory(prefix="incumbent-bench-") as folder:
        problem = Problem(table, seed, Path(folder))
        known: list[tuple[dict[str, Any], float]] = []
        alone: list[Trial] = []
        for number in range(TRIALS):
            alone.append(_trial(problem, number, suggest(SPACE, known, [], seed, number)))
            known.append((dict(alone[-1].params), alone[-1].loss))
        sampler = optuna.samplers.TPESampler(seed=seed)
        study = optuna.create_study(sampler=sampler, directions=["minimize"] * len(OBJECTIVES))
        both: list[Trial] = []
        for number in range(TRIALS):
            asked = study.ask({name: distribution(values) for name, values in SPACE.items()})
            both.append(_trial(problem, number, asked.params))
            study.tell(asked, both[-1].losses(OBJECTIVES))
    quality, other = (choose_trial(trials, OBJECTIVES, TOLERANCE) for trials in (alone, both))
    return other.loss / quality.loss - 1, other.values["latency"] / quality.values["latency"]


def _trial(problem: Problem, number: int, params: dict[str, Any]) -> Trial:
    curve = problem.curve(params)
    scores = learn(Told(curve), ROUNDS, Search().patience, Asked(number, "sampler", params)).scores
    best = int(np.argmin(scores)) + 1
    values = {"quality": scores[best - 1], "latency": steps(curve.rounds.finish(best))}
    return Trial(number, "sampler", params, "complete", best, len(scores), "", False, values, 0.0)
