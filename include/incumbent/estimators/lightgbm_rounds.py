"""LightGBM round by round, from nothing or from a file, to the same bytes.

A booster that goes on starts from what its file predicts for the rows. That is what it had learned, to the last bit.
What draws rows and columns has a state that no file has: so each round draws from a seed of its own.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt

from incumbent.errors import TrainingError
from incumbent.estimators.abilities import ABILITIES
from incumbent.estimators.constraints import by_position, check_constraints
from incumbent.estimators.encoding import Matrix
from incumbent.estimators.intercept import logit_to_mean, of_class
from incumbent.estimators.own_functions import METRIC, score_of, truths
from incumbent.estimators.rounds import Given
from incumbent.estimators.shards import Shard
from incumbent.records import digest_of

OBJECTIVES = {"binary": "binary", "multiclass": "multiclass", "regression": "regression"}
METRICS = {"binary": "binary_logloss", "multiclass": "multi_logloss", "regression": "rmse"}
SAMPLING = {
    "bagging_fraction", "pos_bagging_fraction", "neg_bagging_fraction", "bagging_freq", "feature_fraction",
    "feature_fraction_bynode",
}  # fmt: skip
# Measured: with these a booster that goes on has the bytes of one that never stopped. Of others nobody knows.
EXACT = SAMPLING | {
    "learning_rate", "num_leaves", "max_depth", "min_data_in_leaf", "min_sum_hessian_in_leaf", "lambda_l1", "lambda_l2",
    "min_gain_to_split", "max_delta_step", "max_bin", "min_data_in_bin", "bin_construct_sample_cnt", "path_smooth",
    "max_cat_threshold", "max_cat_to_onehot", "cat_l2", "cat_smooth", "min_data_per_group", "monotone_constraints",
    "interaction_constraints", "metric",
}  # fmt: skip


class LightgbmRounds:
    """A booster over binned rows; see `incumbent.estimators.rounds.Rounds`."""

    larger_is_better: bool

    def __init__(self, given: Given, train: Shard, validation: Shard | None, start: bytes | None) -> None:
        own = canonical(given.params)
        check_constraints(own, train.encoder.features)
        own = by_position(own, train.encoder.features)
        params = parameters(given.task, own, given.threads, len(train.encoder.classes)) | {"seed": given.seed}
        self._truth = truths(given.functions, train, validation, given.class_weight)
        self.exact = own.keys() <= EXACT
        self.segment = 1
        self._given, self._rows = given, train
        self._sampled = bool(own.keys() & SAMPLING)
        self._rows_drawn_every = int(own.get("bagging_freq", 0))
        with _said():
            before = None if start is None else lgb.Booster(model_str=start.decode())
            data = binned(given, params, train, before)
            self._booster = lgb.Booster(dict(params), data)
            if before is not None:
                _merge(self._booster, before)
            if validation is not None:
                self._booster.add_valid(binned(given, params, validation, before, data), "validation")
            self.done = int(self._booster.current_iteration())
            if self._truth:
                self.metric, self.larger_is_better = METRIC, given.functions.larger_is_better
            else:
                last = self._booster.eval_train()[-1]
                self.metric, self.larger_is_better = str(last[1]), bool(last[3])

    def add(self) -> bool:
        """Learn one more round; False if no split is left that the parameters allow."""
        with _said():
            if self._sampled:
                self._new_draws()
            self._booster.update()
        before, self.done = self.done, int(self._booster.current_iteration())
        return self.done > before

    def score(self, rows: str) -> float:
        """Return the last metric of the parameters on the rows of a role."""
        own = self._own_metric(rows) if self._truth else None
        with _said():
            found = self._booster.eval_train(own) if rows == "train" else self._booster.eval_valid(own)
        return float(found[-1][2])

    def save(self) -> bytes:
        """Return the booster in LightGBM's text format."""
        return text(self._booster, self.done)

    def finish(self, rounds: int) -> bytes:
        """Return the booster of its first rounds, its intercept corrected for what the classes weighed."""
        found = text(self._booster, rounds)
        return found if self._given.class_weight == 1 else self._shifted(lgb.Booster(model_str=found.decode()))

    def importance(self, rounds: int) -> dict[str, float]:
        """Return each feature's share of the total gain; 0 for one that is never split on."""
        gain = self._booster.feature_importance("gain", iteration=rounds)
        total = float(gain.sum()) or 1.0
        return {name: float(each) / total for name, each in zip(self._rows.encoder.features, gain, strict=True)}

    def _own_metric(self, rows: str) -> Callable[[Any, Any], tuple[str, float, bool]]:
        """Return the folder's own metric as LightGBM asks for one."""
        functions, truth = self._given.functions, self._truth[rows]
        return lambda predictions, data: (METRIC, score_of(functions, truth, predictions), self.larger_is_better)

    def _new_draws(self) -> None:
        """Have the next round draw its columns, and every so many rounds its rows, from the round's number alone."""
        every = self._rows_drawn_every
        drawn = {
            "feature_fraction_seed": self._seed("columns", self.done),
            "bagging_seed": self._seed("rows", self.done // max(every, 1)),
        }
        # Rows are drawn anew, from the new seed, only when something else about them changes; so it is changed twice.
        for frequency in (2, 1) if every else (0,):
            self._booster.reset_parameter({**drawn, "bagging_freq": frequency})

    def _seed(self, what: str, number: int) -> int:
        # Not a sum: what LightGBM draws first from neighbouring seeds is nearly the same.
        return int(digest_of([self._given.seed, what, number])[:8], 16) % 2**31

    def _shifted(self, booster: lgb.Booster) -> bytes:
        margins = np.concatenate([_margins(booster, batch.matrix, self._given.threads) for batch in self._rows])
        labels, weights = self._rows.labels(), self._rows.weights()
        logit = logit_to_mean(margins, labels, np.ones(len(labels)) if weights is None else weights)
        # There is no intercept in the file but what the first tree's leaves have in common.
        for leaf in range(booster.dump_model(num_iteration=1)["tree_info"][0]["num_leaves"]):
            booster.set_leaf_output(0, leaf, booster.get_leaf_output(0, leaf) + logit)
        return text(booster, booster.current_iteration())


def parameters(task: str, own: Mapping[str, Any], threads: int, classes: int = 0) -> dict[str, Any]:
    """Return the booster parameters: the user's, with what the project decides laid over them."""
    decided = {"objective": OBJECTIVES[task], "num_threads": threads, "deterministic": True, "force_row_wise": True}
    several = {"num_class": classes} if classes else {}
    return {"metric": METRICS[task], **own, **decided, **several, "verbosity": -1}


def canonical(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the user's parameters under LightGBM's own names; LightGBM takes a typo without a word.

    Raises:
        TrainingError: A parameter is not known, is decided elsewhere, or is there under two names.
    """
    found: dict[str, Any] = {}
    decided = ABILITIES["lightgbm"].decided
    for name, value in given.items():
        own = _aliases().get(name, "")
        if own in found or own in decided or not own:
            why = "is not a parameter of LightGBM" if not own else f"is {own}, "
            if own:
                why += "which is there twice" if own in found else "which is not to be set here"
            instead = f": say {decided[own]} instead" if decided.get(own) else ""
            raise TrainingError(
                "a parameter cannot be taken",
                where="train.params in model.yaml",
                expected="parameters of LightGBM, each once, and none that is decided elsewhere",
                found=f"{name} {why}",
                next_step=f"correct train.params{instead}",
            )
        found[own] = value
    return found


def binned(
    given: Given,
    params: Mapping[str, Any],
    shard: Shard,
    before: lgb.Booster | None,
    like: lgb.Dataset | None = None,
) -> lgb.Dataset:
    """Return binned rows; validation rows in the bins of the training rows, all from what a booster predicts."""
    scores = None
    if before is not None:
        margins = np.concatenate([_margins(before, batch.matrix, given.threads) for batch in shard])
        scores = margins.ravel(order="F")  # of several classes it wants all rows of the first one, then of the next
    reader = _Reader(shard)
    labels, weights = shard.labels(), shard.weights()
    data = lgb.Dataset(
        [_Rows(reader, number, size) for number, size in enumerate(shard.sizes)],
        label=labels,
        weight=of_class(labels, weights, given.class_weight),
        init_score=scores,
        reference=like,
        categorical_feature=[at for at, kind in enumerate(shard.encoder.types) if kind == "c"],
        params=dict(params),
    ).construct()
    shard.forget()
    return data


def text(booster: lgb.Booster, rounds: int) -> bytes:
    """Return the first rounds of a booster in LightGBM's text format."""
    return str(booster.model_to_string(num_iteration=rounds)).encode()


class _Reader:
    """Holds one batch of a shard: LightGBM asks for single rows first, in order, and then for many at once."""

    def __init__(self, shard: Shard) -> None:
        self._shard, self._number, self._matrix = shard, -1, np.empty((0, 0), dtype=np.float32)

    def matrix(self, number: int) -> Matrix:
        if number != self._number:
            self._number, self._matrix = number, self._shard.batch(number).matrix
        return self._matrix


class _Rows(lgb.Sequence):  # type: ignore[misc]
    """A batch of a shard as LightGBM reads it."""

    batch_size = 65_536

    def __init__(self, reader: _Reader, number: int, size: int) -> None:
        self._reader, self._number, self._size = reader, number, size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, index: int | slice) -> npt.NDArray[Any]:
        found = self._reader.matrix(self._number)[index]
        return found if isinstance(index, slice) else found.astype(np.float64)  # of single rows it wants doubles


def _margins(booster: lgb.Booster, matrix: Matrix, threads: int) -> npt.NDArray[np.float64]:
    return np.asarray(booster.predict(matrix, raw_score=True, num_threads=threads), dtype=np.float64)


def _merge(booster: lgb.Booster, before: lgb.Booster) -> None:
    """Put the trees of another booster before those to come.

    `lightgbm.train` does the same for `init_model`, and wants all rows in memory for it; of the documented C function
    the Python package has no other face.
    """
    if lgb.basic._LIB.LGBM_BoosterMerge(booster._handle, before._handle):
        raise lgb.basic.LightGBMError(lgb.basic._LIB.LGBM_GetLastError().decode())


@cache
def _aliases() -> Mapping[str, str]:
    """Return each name of a parameter to LightGBM's own."""
    length, size = ctypes.c_int64(0), 1 << 20
    buffer = ctypes.create_string_buffer(size)
    lgb.basic._LIB.LGBM_DumpParamAliases(ctypes.c_int64(size), ctypes.byref(length), buffer)
    found = json.loads(buffer.value.decode())
    return {each: own for own, others in found.items() for each in (own, *others)}


@contextmanager
def _said() -> Iterator[None]:
    """Tell what LightGBM refuses in our words."""
    try:
        yield
    except (lgb.basic.LightGBMError, TypeError, ValueError) as error:
        raise TrainingError(
            "LightGBM refused to train",
            where="train.params in model.yaml",
            expected="parameters that LightGBM accepts",
            found=" ".join(str(error).split())[:300],
            next_step="correct train.params",
        ) from error
