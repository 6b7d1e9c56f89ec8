"""XGBoost round by round, from nothing or from a file, to the same bytes.

Without row or column sampling a booster that goes on from its file equals one that never stopped. With sampling it
does not by itself: the file has no state of random numbers, and what draws them is made in the first round of a
process. So each round is seeded by its own number, and every fifth begins with new samplers: a fit goes on from there.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import xgboost as xgb
from xgboost import collective

from incumbent.disk import need_room
from incumbent.errors import TrainingError
from incumbent.estimators.bins import DEFAULT_BINS, learn_bins
from incumbent.estimators.constraints import check_constraints
from incumbent.estimators.encoding import Matrix
from incumbent.estimators.intercept import logit_to_mean, of_class
from incumbent.estimators.own_functions import METRIC, gradients_of, score_of, truths
from incumbent.estimators.rounds import Given, GroupBroken
from incumbent.estimators.shards import Shard
from incumbent.estimators.xgboost_names import check_names

OBJECTIVES = {"binary": "binary:logistic", "multiclass": "multi:softprob", "regression": "reg:squarederror"}
METRICS = {"binary": "logloss", "multiclass": "mlogloss", "regression": "rmse"}
SAMPLING = ("subsample", "colsample_bytree", "colsample_bylevel", "colsample_bynode")
COLLECTIVE = "src/collective/"  # the file of every error that comes of workers that do not reach each other
SEGMENT = 5  # new samplers cost a twentieth of a round
LARGER_IS_BETTER = ("auc", "aucpr", "map", "ndcg", "pre")  # and their forms such as ndcg@5


class XgboostRounds:
    """A booster over binned rows; see `incumbent.estimators.rounds.Rounds`."""

    def __init__(self, given: Given, train: Shard, validation: Shard | None, start: bytes | None) -> None:
        params = parameters(given.task, given.params, given.device, given.threads, len(train.encoder.classes))
        check_constraints(given.params, train.encoder.features)
        self._own = given.params
        with _said(self._own):
            check_names(self._own, params)
        self._sampled = any(float(params.get(name, 1)) < 1 for name in SAMPLING)
        params |= {"seed": given.seed, "seed_per_iteration": self._sampled}
        self.exact = True
        self.segment = SEGMENT if self._sampled else 1
        self._features = train.encoder.features
        self._class_weight = given.class_weight
        bins = given.bins
        if bins is None:
            bins = learn_bins(train.files, train.chosen, train.encoder, params.get("max_bin", DEFAULT_BINS))
        params["max_bin"] = max(params.get("max_bin", DEFAULT_BINS), len(bins) + 1)  # more with a champion's cuts
        if given.external is not None:
            need_room(given.external, _least_on_disk(train, validation), "the binned rows", "leave out external_memory")
        self._rows = {"train": binned(given, params, train, bins)}
        if validation is not None:
            self._rows["validation"] = binned(given, params, validation, bins)
        self._functions = given.functions
        self._truth = truths(given.functions, train, validation, given.class_weight)
        if "objective" in self._functions and start is None:
            params["base_score"] = _intercept(params, self._rows["train"])
        with _said(self._own):
            self._booster = xgb.Booster(
                params, list(self._rows.values()), model_file=None if start is None else bytearray(start)
            )
        self.done = self._booster.num_boosted_rounds() if start is not None else 0
        metrics = params["eval_metric"]
        self.metric = str(metrics[-1] if isinstance(metrics, list) else metrics)
        self.larger_is_better = self.metric.partition("@")[0] in LARGER_IS_BETTER
        if "metric" in self._functions:
            self.metric, self.larger_is_better = METRIC, self._functions.larger_is_better

    def add(self) -> bool:
        """Learn one more round, if only of a leaf."""
        if self._sampled and self.done % self.segment == 0:
            with _said(self._own):
                _new_samplers(self._booster)
        if "objective" in self._functions:
            self._add_own()
        else:
            with _said(self._own):
                self._booster.update(self._rows["train"], iteration=self.done)
        self.done += 1
        return True

    def score(self, rows: str) -> float:
        """Return the last metric of the parameters on the rows of a role; over all workers' rows in a group.

        The folder's own metric of the training rows is the mean of what it says of each worker's, as they weigh.
        """
        if "metric" in self._functions:
            return self._own_score(rows)
        with _said():
            return float(self._booster.eval(self._rows[rows], rows, self.done).rpartition(":")[2])

    def save(self) -> bytes:
        """Return the booster as UBJSON."""
        return bytes(self._booster.save_raw("ubj"))

    def finish(self, rounds: int) -> bytes:
        """Return the booster of its first rounds, its intercept corrected for what the classes weighed."""
        booster = self._booster if rounds == self.done else self._booster[:rounds]
        if self._class_weight != 1:
            with _said():
                _shift(booster, self._offset(booster))
        return bytes(booster.save_raw("ubj"))

    def importance(self, rounds: int) -> dict[str, float]:
        """Return each feature's share of the total gain; 0 for one that is never split on."""
        return gain_shares(self._booster[:rounds], self._features)

    def _add_own(self) -> None:
        """Learn one more round of the folder's own objective, as `update` does of XGBoost's."""
        rows = self._rows["train"]
        with _said():
            margins = self._booster.predict(rows, output_margin=True, training=True)
        gradients, hessians = gradients_of(self._functions, self._truth["train"], margins)
        with _said():
            self._booster.boost(rows, iteration=self.done, grad=gradients, hess=hessians)

    def _own_score(self, rows: str) -> float:
        truth = self._truth[rows]
        with _said():
            predictions = self._booster.predict(self._rows[rows])
        score = score_of(self._functions, truth, predictions)
        if rows == "validation" or collective.get_world_size() == 1:  # of which each worker has all
            return score
        with _said():
            return _summed(score * truth.weight) / _summed(truth.weight)

    def _offset(self, booster: xgb.Booster) -> float:
        """Return the logit that brings the mean prediction back to the share of class 1 in the training rows."""
        rows = self._rows["train"]
        margins, labels = booster.predict(rows, output_margin=True), rows.get_label()
        weights = rows.get_weight() if len(rows.get_weight()) else np.ones(len(labels))
        weights = weights / np.where(labels == 1, self._class_weight, 1.0)
        return logit_to_mean(margins, labels, weights, _summed)


def _intercept(params: Mapping[str, Any], rows: xgb.QuantileDMatrix) -> str:
    """Return where XGBoost would begin: `boost` does not look at the labels for it, as `update` does."""
    with _said():
        begun = xgb.Booster({**params, "max_depth": 1}, [rows])
        begun.update(rows, iteration=0)
        return str(json.loads(begun.save_config())["learner"]["learner_model_param"]["base_score"])


def parameters(task: str, given: Mapping[str, Any], device: str, threads: int, classes: int = 0) -> dict[str, Any]:
    """Return the booster parameters: the user's, with what the project decides laid over them."""
    decided = {"objective": OBJECTIVES[task], "device": device, "nthread": threads, "tree_method": "hist"}
    several = {"num_class": classes} if classes else {}
    return {"eval_metric": METRICS[task], "verbosity": 0, **given, **decided, **several}


def gain_shares(booster: xgb.Booster, features: tuple[str, ...]) -> dict[str, float]:
    """Return each feature's share of the total gain; 0 for one that is never split on."""
    gain = booster.get_score(importance_type="total_gain")
    total = sum(gain.values()) or 1.0
    return {name: float(gain.get(name, 0.0)) / total for name in features}


def binned(given: Given, params: Mapping[str, Any], shard: Shard, bins: Matrix) -> xgb.QuantileDMatrix:
    """Return rows in the bins that all workers have, in memory or on disk."""
    options = {"max_bin": params.get("max_bin", DEFAULT_BINS), "nthread": given.threads, "enable_categorical": True}
    names = {"feature_names": list(shard.encoder.features), "feature_types": shard.encoder.types}
    kind = xgb.QuantileDMatrix if given.external is None else xgb.ExtMemQuantileDMatrix
    with _said():
        like = xgb.QuantileDMatrix(bins, **names, **options)
        rows = kind(_Batches(given, shard), ref=like, **options)
    shard.forget()
    return rows


class _Batches(xgb.DataIter):  # type: ignore[misc]
    """A shard as XGBoost reads it: several times over."""

    def __init__(self, given: Given, shard: Shard) -> None:
        self._shard, self._class_weight = shard, given.class_weight
        self._batches = iter(shard)
        cache = None if given.external is None else str(given.external / "rows")
        super().__init__(cache_prefix=cache, release_data=True)

    def reset(self) -> None:
        self._batches = iter(self._shard)

    def next(self, input_data: Callable[..., Any]) -> bool:
        batch = next(self._batches, None)
        if batch is None:
            return False
        weights = of_class(batch.labels, batch.weights, self._class_weight)
        encoder = self._shard.encoder
        input_data(
            data=batch.matrix, label=batch.labels, weight=weights, feature_names=list(encoder.features),
            feature_types=encoder.types,
        )  # fmt: skip
        return True


def _least_on_disk(*shards: Shard | None) -> int:
    """Return the bytes that binned rows take if no value is missing: one for each, and where each row begins."""
    return sum(shard.rows * (len(shard.encoder.features) + 8) for shard in shards if shard is not None)


def _summed(value: float) -> float:
    """Return a sum over all workers of a group."""
    return float(collective.allreduce(np.array([value]), collective.Op.SUM)[0])


def _shift(booster: xgb.Booster, logit: float) -> None:
    """Add to the intercept of a booster that predicts probabilities."""
    said = json.loads(booster.save_config())["learner"]["learner_model_param"]["base_score"]
    share = float(said.strip("[]"))
    odds = share / (1 - share) * math.exp(logit)
    booster.set_param({"base_score": float(odds / (1 + odds))})
    booster.save_config()  # parameters take effect when somebody asks


def _new_samplers(booster: xgb.Booster) -> None:
    """Have the next round make its tree builder anew, which then draws from the rounds' seeds alone.

    XGBoost throws a builder away when the tree method changes; the binned data is the matrix's and stays.
    """
    for method in ("approx", "hist"):
        booster.set_param({"tree_method": method})
        booster.save_config()  # parameters take effect when somebody asks


@contextmanager
def _said(own: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Tell what XGBoost refuses in our words, which names no parameter: so all that it was given."""
    try:
        yield
    except (xgb.core.XGBoostError, TypeError, ValueError) as error:
        said = str(error).partition("Stack trace")[0]
        if COLLECTIVE in said:
            raise GroupBroken(" ".join(said.split())[:300]) from error
        raise TrainingError(
            "XGBoost refused to train",
            where="train.params in model.yaml"
            + (f": {', '.join(f'{name} {value!r}' for name, value in own.items())}"[:300] if own else ""),
            expected="parameters that XGBoost accepts",
            found=" ".join(said.split())[:300],
            next_step="correct train.params",
        ) from error
